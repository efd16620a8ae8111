"""Puts events on the bus of a stack, and returns of each whether the bus accepted it.

Used by every command that sends events. An event is what `perminute graph` or `--print` writes: an
EventBridge event with `detail` as an object. The bus gives each an id of its own, so an event that
may have to be sent again needs an identity in its detail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from perminute.application.retry import RetryPolicy
from perminute.domain.values.times import parse_instant
from perminute_local.deployment import output, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_ENTRIES = 10
MAX_REQUEST_BYTES = 256 * 1024
"""Of all entries of a request together (AWS: PutEvents)."""

TIME_BYTES = 14
"""What AWS counts for an entry's time, beside the bytes of its texts."""

PRODUCERS = {
    "perminute.billing": "BillingProducers",
    "perminute.licensing": "LicensingProducers",
    "perminute.telephony": "TelephonyProducers",
}
"""The stack's parameter that names who may send the events of a source."""

_AGAIN = frozenset({"ThrottlingException", "InternalFailure", "InternalException"})
"""Why the bus does not take an entry that it would take a moment later."""

_RETRIES = RetryPolicy(attempts=5, base_seconds=0.2, cap_seconds=2.0)

Event = Mapping[str, Any]
Entry = dict[str, Any]


class EventBridgeClient(Protocol):
    """The one call of boto3's client for EventBridge that is used here."""

    def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803, ANN401 - as boto3 has it
        """Put up to ten events on their bus."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """The bus took the event and gave it this id."""

    event_id: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The event is not on the bus, as far as is known, for this reason."""

    reason: str


Outcome = Sent | NotSent


@dataclass(frozen=True, slots=True)
class EventSender:
    """Sends to one bus, in as few requests as AWS allows."""

    client: EventBridgeClient
    bus_name: str
    retries: RetryPolicy = _RETRIES

    def __call__(self, events: Sequence[Event]) -> list[Outcome]:
        """Return what became of each event, in their order.

        A request that fails as a whole, such as for a missing permission, ends the sending: all
        that follow are not sent, for the same reason. Sending those that were not sent once more
        is right, and so is sending all: an event that is sent twice counts once.
        """
        outcomes: dict[int, Outcome] = {}
        try:
            for batch in _batches([self._entry(event) for event in events]):
                self._send(batch, outcomes)
        except (BotoCoreError, ClientError) as error:
            for place, event in enumerate(events):
                outcomes.setdefault(place, NotSent(_why(error, str(event["source"]))))
        return [outcomes[place] for place in range(len(events))]

    def _send(self, batch: Mapping[int, Entry], outcomes: dict[int, Outcome]) -> None:
        pending = dict(batch)
        for _ in self.retries.tries():
            answers = self.client.put_events(Entries=list(pending.values()))["Entries"]
            for place, answer in zip(list(pending), answers, strict=True):
                outcomes[place] = _outcome(answer)
                if answer.get("ErrorCode") not in _AGAIN:
                    del pending[place]
            if not pending:
                return

    def _entry(self, event: Event) -> Entry:
        return {
            "EventBusName": self.bus_name,
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Time": parse_instant(event["time"]),
            "Detail": json.dumps(event["detail"]),
        }


def sender_to(stack_name: str) -> EventSender:
    """Return what sends to the bus of a deployed stack; raises `WrongCall` if it is none of ours.

    Raises also what boto3 raises.
    """
    return EventSender(boto3.client("events"), output(stack_name, "EventBusName"))


def name_of(event: Event) -> str:
    """Return what distinguishes an event for people: its type, its organization, its identity."""
    detail = event["detail"]
    fields = ("userId", "license", "purchaseId", "adjustmentId", "callId", "changeId")
    return " ".join([event["detail-type"], *(f"{f} {detail[f]}" for f in fields if f in detail)])


def lines_of_not_sent(events: Sequence[Event], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line for each event that was not sent."""
    for event, outcome in zip(events, outcomes, strict=True):
        if isinstance(outcome, NotSent):
            yield f"not sent: {name_of(event)}: {outcome.reason}"


def _outcome(answer: Mapping[str, str]) -> Outcome:
    # EventBridge answers 200 for entries that it did not take.
    if "EventId" in answer:
        return Sent(answer["EventId"])
    return NotSent(f"{answer.get('ErrorCode')}: {answer.get('ErrorMessage')}")


def _batches(entries: Sequence[Entry]) -> Iterator[dict[int, Entry]]:
    batch: dict[int, Entry] = {}
    size = 0
    for place, entry in enumerate(entries):
        bytes_more = _bytes_of(entry)
        if batch and (len(batch) == MAX_ENTRIES or size + bytes_more > MAX_REQUEST_BYTES):
            yield batch
            batch, size = {}, 0
        batch[place] = entry
        size += bytes_more
    if batch:
        yield batch


def _bytes_of(entry: Entry) -> int:
    texts = (entry[part] for part in ("Source", "DetailType", "Detail"))
    return TIME_BYTES + sum(len(text.encode()) for text in texts)


def _why(error: Exception, source: str) -> str:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
    if code != "AccessDeniedException":
        return reason(error)
    if "explicit deny" in str(error):
        parameter = PRODUCERS.get(source, "one of the …Producers")
        remedy = (
            f"the bus lets nobody send {source} whom the stack's parameter {parameter} does not "
            "name; deploy the stack with your role added to it (docs/access.md)"
        )
    else:
        remedy = "your own policy must allow events:PutEvents on the stack's EventBusArn"
    return f"{error}. What to do: {remedy}"
