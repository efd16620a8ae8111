"""One replay: make the resources, push the events through the functions, read what is left."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.s3_directories import POINTER_KEY, DirectoryPointer
from perminute.domain.errors import Unavailable
from perminute.domain.values.times import format_instant
from perminute.settings import TableNames
from perminute_local.embedded_aws import client_environment, embedded_aws, environment
from perminute_local.rates.publishing import PreparedCard, publish
from perminute_local.reconcile import reconcile
from perminute_local.replay.arrivals import arrivals_of
from perminute_local.replay.plan import (
    EVENTS,
    RATES,
    WINDOW,
    Delivery,
    Events,
    Timeline,
    batches,
    check_folder,
)
from perminute_local.replay.posted_requests import WEBHOOK_URL, webhook_secret
from perminute_local.replay.record_folder import DIRECTORY, directory_of
from perminute_local.replay.record_ids import record_ids
from perminute_local.replay.results import Listener, Rejected, Response, Results, collect
from perminute_local.stack import Stack, create_stack, load_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from perminute_local.replay.arrivals import Skips
    from perminute_local.replay.lambda_runtime import Failure
    from perminute_local.replay.links import Links
    from perminute_local.replay.plan import Disturbance


class BooksNotRead(Exception):  # noqa: N818 - it names what is the matter
    """What the run has left could not be read; so it is not known whether it is right."""


class RecordsPlan(NamedTuple):
    """What reading records needs: the directory, and the secret that verifies webhooks."""

    directory: bytes
    secret: str
    skips: Skips


class Plan(NamedTuple):
    """What to replay, and how; `requests` are those to the charging API, by their lines."""

    rate_card: bytes
    deliveries: Sequence[Delivery] | Timeline
    rejected: tuple[Rejected, ...]
    requests: tuple[str, ...]
    batch_size: int | None
    disturbance: Disturbance
    records: RecordsPlan | None = None  # None: there are no call records


def read_plan(folder: Path, *, batch_size: int | None, disturbance: Disturbance) -> Plan:
    """Read the rate card, events and call records of a folder, once all are known to be sound.

    Raises `WrongCall` with every fault if they are not.
    """
    sources = check_folder(folder)
    rate_card = (folder / RATES).read_bytes()
    # Of a folder with call records there may be no events.
    events = Events(folder / EVENTS) if (folder / EVENTS).exists() else None
    of_events = () if events is None else events.rejected
    plan = Plan(
        rate_card=rate_card,
        deliveries=Timeline(events, ()),
        rejected=tuple(Rejected(line.event_id, line.reason) for line in of_events),
        requests=() if events is None else tuple(events.requests),
        batch_size=batch_size,
        disturbance=disturbance,
    )
    if not sources:
        return plan
    arrivals = arrivals_of(sources, directory_of(folder))
    return plan._replace(
        deliveries=Timeline(events, arrivals.in_order),
        rejected=(*plan.rejected, *arrivals.rejected),
        records=RecordsPlan(
            (folder / DIRECTORY).read_bytes(), webhook_secret(arrivals.tokens), arrivals.skips
        ),
    )


@contextmanager
def embedded_stack(*, receives_records: bool = False) -> Iterator[Stack]:
    """Run an embedded AWS with the resources of the template for as long as the context lasts."""
    with embedded_aws() as endpoint, environment(**client_environment(endpoint)):
        chosen = receiving() if receives_records else {}
        yield create_stack(load_template(), chosen=chosen)


def receiving() -> dict[str, str]:
    """Return parameters of a stack that receives records; makes the secret that they name."""
    client = boto3.client("secretsmanager")
    secret = client.create_secret(Name=SECRET_NAME, SecretString=webhook_secret({}))
    return {"DropBucket": "true", "WebhookSecret": secret["ARN"], "WebhookUrl": WEBHOOK_URL}


SECRET_NAME = "webhooks-of-a-replay"  # noqa: S105 - it is a name


class System:
    """A stack with a rate card, and a subscriber: what a deployment has from the start."""

    def __init__(self, links: Links, rate_card: bytes) -> None:
        self._links = links
        self._not_pumped_since: datetime | None = None
        self._listener = Listener(links.stack.setting("NOTIFICATION_TOPIC_ARN"))
        publish_rate_card(rate_card, links.stack)

    def replay(self, plan: Plan, *, advance: Callable[[int], None]) -> Results:
        """Replay the events; `advance` is called with the number of events of each batch."""
        links = self._links
        if plan.records is not None:
            prepare_for_records(plan.records, links.stack)
        rejected, responses = list(plan.rejected), dict[str, Response]()
        latest: datetime | None = None

        def largest(first: Delivery) -> int:
            return plan.batch_size or links.largest_batch(first)

        for batch in batches(plan.deliveries, largest, plan.disturbance):
            at = min(_times(batch), default=None)
            latest = max([*_times(batch), *filter(None, [latest])], default=None)
            rejected += self._pump_before(at)
            rejected += self._pass_until(at)
            if batch[0].request is not None:
                responses[batch[0].event_id] = links.response(batch[0])
            elif batch[0].arrival is not None:
                rejected += links.deliver_records(batch, plan.batch_size)
            else:
                rejected += links.deliver(batch, plan.batch_size)
            advance(len(batch))
        rejected += self._pump()
        rejected += self._pass_until(latest)
        rejected += map(_failed_run, links.clock.run_all())
        rejected += links.deliver_sent({schedule.name for schedule in links.clock.scheduled}) or ()
        rejected += self._pump()
        tables = table_names(links.stack)
        with _reading():
            results = collect(tables, links.stack, rejected, partial(self._own_ids, plan))
            books = list(reconcile(tables))
        return replace(
            results,
            rejected=sorted(results.rejected),
            responses=[responses[place] for place in plan.requests],
            notifications=self._listener.heard(),
            differences=[difference for checked in books for difference in checked.differences],
            unread=[checked for checked in books if checked.unavailable is not None],
        )

    def _own_ids(self, plan: Plan, wanted: Collection[str]) -> Mapping[str, str]:
        places = self._links.places(plan.deliveries)
        found: dict[str, str] = {}
        for name in wanted:
            # One call of several goes by its event, and its place there.
            event_id, mark, number = name.rpartition("#")
            found[name] = places.get(name) or places.get(event_id, event_id) + mark + number
        if plan.records is None:
            return found
        arrivals = (
            delivery.arrival for delivery in plan.deliveries if delivery.arrival is not None
        )
        bucket = self._links.stack.records_bucket
        return found | record_ids(wanted, arrivals, plan.records.directory, bucket)

    def _pump_before(self, at: datetime | None) -> list[Rejected]:
        # Once within a second of the clock, however many batches that second has.
        since = self._not_pumped_since
        if at is not None and (since is None or since <= at <= since + WINDOW):
            self._not_pumped_since = since or at
            return []
        self._not_pumped_since = at
        return self._pump()

    def _pump(self) -> list[Rejected]:
        rejected: list[Rejected] = []
        has_sent = True
        while has_sent:
            has_sent = False
            for stream in self._links.streams:
                invoked, given_up = stream.pump()
                rejected += map(_given_up, given_up)
                sent = self._links.deliver_sent(invoked)
                if sent is not None:
                    rejected += sent
                    has_sent = True
        return rejected

    def _pass_until(self, at: datetime | None) -> list[Rejected]:
        return [] if at is None else list(map(_failed_run, self._links.clock.pass_until(at)))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, Unavailable) as error:
        msg = f"the books could not be read: {error}"
        raise BooksNotRead(msg) from error


def _times(deliveries: Sequence[Delivery]) -> list[datetime]:
    return [delivery.at for delivery in deliveries if delivery.at is not None]


def _failed_run(failure: Failure) -> Rejected:
    return Rejected(failure.name, f"the run of {format_instant(failure.at)} {failure.why}")


def _given_up(record: dict[str, Any]) -> Rejected:
    return Rejected(
        record["dynamodb"]["Keys"]["record"]["S"],
        "a record of the table's stream could not be processed; see the function's log above",
    )


def publish_rate_card(content: bytes, stack: Stack) -> None:
    """Publish the card as `perminute rates publish` does, its version being its content."""
    bucket = stack.setting("RATE_CARD_BUCKET")
    version = hashlib.sha256(content).hexdigest()[:12]
    publish(boto3.client("s3"), bucket, PreparedCard.of(content, version))


def prepare_for_records(plan: RecordsPlan, stack: Stack) -> None:
    """Put the directory in force, and store the secret."""
    bucket, s3 = stack.setting("RATE_CARD_BUCKET"), boto3.client("s3")
    version = hashlib.sha256(plan.directory).hexdigest()[:12]
    pointer = DirectoryPointer.of(version, plan.directory)
    s3.put_object(Bucket=bucket, Key=pointer.csv.key, Body=plan.directory)
    s3.put_object(Bucket=bucket, Key=POINTER_KEY, Body=pointer.content())
    secrets = boto3.client("secretsmanager")
    secrets.put_secret_value(SecretId=stack.setting("WEBHOOK_SECRET"), SecretString=plan.secret)


def table_names(stack: Stack) -> TableNames:
    """Read the names of the tables where the functions read them."""
    return TableNames.from_environment(
        dict(item for function in stack.functions for item in function.environment.items())
    )
