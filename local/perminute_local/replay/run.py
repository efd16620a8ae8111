"""One replay: make the resources, push the events through the functions, read what is left."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

import boto3

from perminute.batches import event_id_of
from perminute.domain.rate_card_csv import read_rate_card
from perminute.domain.reconciliation import Difference
from perminute.domain.times import format_instant
from perminute.settings import TableNames
from perminute_local.commands import publish
from perminute_local.embedded_aws import client_environment, embedded_aws, environment
from perminute_local.reconcile import reconcile
from perminute_local.replay.bus import Bus
from perminute_local.replay.deliveries import WINDOW, Delivery, batches, in_order, read_events
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.listener import Listener
from perminute_local.replay.requests import ChargingRequests
from perminute_local.replay.results import Rejected, Response, Results, collect, drain
from perminute_local.replay.schedules import Clock, Failure, Scheduled
from perminute_local.replay.table_stream import Reader, TableStream
from perminute_local.stack import (
    ApiTrigger,
    QueueTrigger,
    ScheduleTrigger,
    Stack,
    StreamTrigger,
    create_stack,
    load_template,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from perminute.application.reconcile_books import Reconciled
    from perminute_local.replay.deliveries import Disturbance


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to replay, and how; `requests` are those to the charging API, by their lines."""

    rate_card: bytes
    deliveries: tuple[Delivery, ...]
    rejected: tuple[Rejected, ...]
    requests: tuple[str, ...]
    batch_size: int | None
    disturbance: Disturbance


def read_plan(folder: Path, *, batch_size: int | None, disturbance: Disturbance) -> Plan:
    """Read `rates.csv` and `events.jsonl`; a faulty card is refused before anything starts."""
    rate_card = (folder / "rates.csv").read_bytes()
    read_rate_card(rate_card)
    lines = list(read_events(folder / "events.jsonl"))
    return Plan(
        rate_card=rate_card,
        deliveries=tuple(in_order([line for line in lines if isinstance(line, Delivery)])),
        rejected=tuple(
            Rejected(line.event_id, line.reason) for line in lines if not isinstance(line, Delivery)
        ),
        requests=tuple(
            line.event_id for line in lines if isinstance(line, Delivery) and line.request
        ),
        batch_size=batch_size,
        disturbance=disturbance,
    )


@contextmanager
def embedded_stack() -> Iterator[Stack]:
    """Run an embedded AWS with the resources of the template for as long as the context lasts."""
    with (
        embedded_aws() as endpoint,
        environment(**client_environment(endpoint)),
    ):
        yield create_stack(load_template())


class System:
    """The functions of the template, loaded, over the resources of a stack, with a rate card."""

    def __init__(self, stack: Stack, rate_card: bytes) -> None:
        """Set up what a deployment has before the first event comes, and somebody who listens."""
        self._stack = stack
        self.readers: dict[str, tuple[QueueTrigger, LoadedFunction]] = {}
        readers: defaultdict[str, list[Reader]] = defaultdict(list)
        scheduled: list[Scheduled] = []
        for function in stack.functions:
            loaded = LoadedFunction(function)
            match function.trigger:
                case QueueTrigger(queue=queue) as trigger:
                    self.readers[queue] = trigger, loaded
                case StreamTrigger() as trigger:
                    readers[trigger.stream_arn].append(Reader(trigger, loaded))
                case ScheduleTrigger() as trigger:
                    scheduled.append(Scheduled(function.name, trigger, loaded))
                case ApiTrigger(routes=routes):
                    self._charging = ChargingRequests(loaded, routes)
                case never:
                    assert_never(never)
        self.streams = [TableStream(arn, reading) for arn, reading in readers.items()]
        self.clock = Clock(scheduled, table_names(stack).credit)
        self._bus = Bus(stack)
        self._sqs = boto3.client("sqs")
        self._not_pumped_since: datetime | None = None
        self._listener = Listener(stack.setting("NOTIFICATION_TOPIC_ARN"))
        publish_rate_card(rate_card, stack)

    def replay(self, plan: Plan, *, advance: Callable[[int], None]) -> Results:
        """Push the events through the functions; `advance` hears how many were settled."""
        rejected, responses = list(plan.rejected), dict[str, Response]()
        largest = plan.batch_size or max(reads.batch_size for reads, _ in self.readers.values())
        for batch in batches(plan.deliveries, largest, plan.disturbance):
            at = min(_times(batch), default=None)
            rejected += self._pump_before(at)
            rejected += self._pass_until(at)
            if batch[0].request is not None:
                responses[batch[0].event_id] = self._charging.response(batch[0])
                advance(1)
                continue
            queues = [q for q in self._bus.queues_for(batch[0]) if q in self.readers]
            for queue in queues:
                rejected += self._deliver(batch, queue, plan.batch_size)
            if not queues:
                rejected += map(_unknown, batch)
            advance(len(batch))
        rejected += self._pump()
        rejected += self._pass_until(max(_times(plan.deliveries), default=None))
        rejected += map(_failed_run, self.clock.run_all())
        for queue in self._sent_to({one.name for one in self.clock.scheduled}):
            rejected += self._deliver_sent(queue)
        rejected += self._pump()
        places = {event_id_of(delivery.body): delivery.event_id for delivery in plan.deliveries}
        tables = table_names(self._stack)
        results = collect(tables, self._stack, rejected, places)
        return replace(
            results,
            rejected=sorted(results.rejected),
            responses=[responses[place] for place in plan.requests],
            notifications=self._listener.heard(),
            differences=[one for books in reconcile(tables) for one in _found(books)],
        )

    def _pump_before(self, at: datetime | None) -> list[Rejected]:
        """Have it pumped within a second of the clock, however many batches that second has."""
        since = self._not_pumped_since
        if at is not None and (since is None or since <= at <= since + WINDOW):
            self._not_pumped_since = since or at
            return []
        self._not_pumped_since = at
        return self._pump()

    def _pump(self) -> list[Rejected]:
        """Have functions see what was written to the stream, and what they send each other."""
        rejected: list[Rejected] = []
        heard = True
        while heard:
            heard = False
            for stream in self.streams:
                told, given_up = stream.pump()
                rejected += map(_given_up, given_up)
                for queue in self._sent_to(told):
                    rejected += self._deliver_sent(queue)
                    heard = True
        return rejected

    def _sent_to(self, names: set[str]) -> list[str]:
        """Name the queues that these functions may have sent to, and that functions read."""
        urls = {
            value
            for function in self._stack.functions
            if function.name in names
            for value in function.environment.values()
        }
        return [queue for queue in self.readers if self._stack.queues[queue].url in urls]

    def _deliver_sent(self, queue: str) -> list[Rejected]:
        """Deliver what one of our functions has sent to another."""
        url = self._stack.queues[queue].url
        sent = [SQSMessage(message["Body"]) for message in drain(url, self._sqs)]
        names = {message.body: f"{queue}: {message.body}" for message in sent}
        return self._deliver_messages(sent, names, queue, None)

    def _pass_until(self, at: datetime | None) -> list[Rejected]:
        """Let time pass, up to the earliest of what comes next."""
        return [] if at is None else list(map(_failed_run, self.clock.pass_until(at)))

    def _deliver(
        self, batch: Sequence[Delivery], queue: str, batch_size: int | None
    ) -> list[Rejected]:
        """Deliver until each is settled, or was received as often as its queue allows."""
        names = {delivery.body: delivery.event_id for delivery in batch}
        messages = [SQSMessage(delivery.body, sent_at=delivery.at) for delivery in batch]
        return self._deliver_messages(messages, names, queue, batch_size)

    def _deliver_messages(
        self,
        messages: list[SQSMessage],
        names: Mapping[str, str],
        queue: str,
        batch_size: int | None,
    ) -> list[Rejected]:
        exhausted: list[Rejected] = []
        trigger, function = self.readers[queue]
        size = batch_size or trigger.batch_size
        arn, limit = self._stack.queues[queue].arn, self._stack.queues[queue].max_receive_count or 1
        while messages:
            again: list[SQSMessage] = []
            for start in range(0, len(messages), size):
                again += function.invoke(messages[start : start + size], arn)
            exhausted += [
                Rejected(names[message.body], f"failed {limit} times; see the function's log above")
                for message in again
                if message.receive_count >= limit
            ]
            messages = [message for message in again if message.receive_count < limit]
        return exhausted


def _times(deliveries: Sequence[Delivery]) -> list[datetime]:
    return [delivery.at for delivery in deliveries if delivery.at is not None]


def _found(books: Reconciled) -> Sequence[Difference]:
    if books.unavailable is None:
        return books.differences
    return [Difference(books.organization_id, f"cannot be read: {books.unavailable}")]


def _failed_run(failure: Failure) -> Rejected:
    return Rejected(failure.name, f"the run of {format_instant(failure.at)} {failure.why}")


def _given_up(record: dict[str, Any]) -> Rejected:
    return Rejected(
        record["dynamodb"]["Keys"]["record"]["S"],
        "what the table's stream told could not be carried out; see the function's log above",
    )


def _unknown(delivery: Delivery) -> Rejected:
    return Rejected(delivery.event_id, f"source: {delivery.source!r} is no source that we know")


def publish_rate_card(content: bytes, stack: Stack) -> None:
    """Put the card in force as `perminute rates publish` does, its version being its content."""
    bucket = stack.setting("RATE_CARD_BUCKET")
    version = hashlib.sha256(content).hexdigest()[:12]
    publish(boto3.client("s3"), bucket, content, version=version)


def table_names(stack: Stack) -> TableNames:
    """Read the names of the tables where the functions read them."""
    return TableNames.from_environment(
        dict(item for function in stack.functions for item in function.environment.items())
    )
