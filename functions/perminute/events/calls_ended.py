"""Divides a message with several calls into one `Call Ended` event for each of them.

So each call is parsed, charged, refused and logged as if it had come alone. A message with more
than one transaction can charge is not processed, but queued again in parts: no invocation charges
more than one that gets messages with single calls. A part is a `Calls Ended` with calls of one
organization, and says in `part` what the calls need of the event. Producers cannot send `part`
over the bus, which writes all fields beside `detail`. Those that may send to the queue itself
could, but gain nothing by it: it only names calls, and states an earlier time than the queue.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import decode

from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.times import format_instant
from perminute.events.event import detail_type_of, read_event
from perminute.events.telephony import MAX_CALLS_IN_EVENT, TELEPHONY, CallsEnded
from perminute.fields import BookingInstant, Message
from perminute.parsing import read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from perminute.ports.messaging import CallsQueue
    from perminute.sqs import Received

MAX_EVENT_BYTES = 240 * 1024
"""EventBridge and SQS take 256 KB (AWS: PutEvents), with all that is around the calls."""
_CALLS_ENDED = "Calls Ended"
_MAX_ID_LENGTH = MAX_ID_LENGTH - len(f"#{MAX_CALLS_IN_EVENT}")
_TOO_LARGE = 10**400
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,300}")

Delivered: TypeAlias = "tuple[str, Received]"
"""An event, and when it was received."""


class _Part(Message, frozen=True, kw_only=True):
    # When the event was sent to our queue, if that is known.
    heard_at: BookingInstant | None
    # The place of each call in the event.
    numbers: tuple[Annotated[int, Meta(ge=0, lt=MAX_CALLS_IN_EVENT)], ...]


class _RawCalls(Struct):
    calls: list[Raw]


class _RawEvent(Struct):
    id: str
    detail: _RawCalls
    part: Any = None


class _Call(NamedTuple):
    number: int
    organization_id: str
    # As it was sent: a call that is refused is stored with all of its fields.
    detail: str


@dataclass(frozen=True, slots=True)
class DivideCalls:
    """Divides messages, or queues them again in parts.

    `report` is called with the id of an event that was queued again, its calls and its parts.
    """

    queue: CallsQueue
    report: Callable[[str, int, int], None]

    def __call__(self, body: str, received: Received) -> Sequence[Delivered]:
        """Return the `Call Ended` events of a message; none if its parts were queued.

        Raises `Refused` if the message as a whole is wrong, and `Unavailable` if not all parts
        could be queued. Then it is delivered again, and calls may be queued twice.
        """
        event = _read_calls(body, received) if _may_have_several_calls(body) else None
        if event is None:
            return [(body, received)]
        parts = list(event.parts())
        if len(parts) == 1:
            return event.single_events()
        self.queue.send([event.message(part) for part in parts])
        self.report(event.id, len(event.calls), len(parts))
        return []


class _CallsEvent(NamedTuple):
    id: str
    time: str
    calls: Sequence[_Call]
    received: Received

    def parts(self) -> Iterator[list[_Call]]:
        """Yield the calls of each organization, as many as one transaction and message take."""
        by_organization: dict[str, list[_Call]] = {}
        for call in self.calls:
            by_organization.setdefault(call.organization_id, []).append(call)
        for calls in by_organization.values():
            part, size = list[_Call](), 0
            for call in calls:
                size += len(call.detail)
                if part and (len(part) == CALLS_PER_BATCH or size > MAX_EVENT_BYTES):
                    yield part
                    part, size = [], len(call.detail)
                part.append(call)
            yield part

    def single_events(self) -> list[Delivered]:
        begin, middle = f'{{"id": {json.dumps(self.id)[:-1]}#', self._envelope("Call Ended")
        return [
            (f'{begin}{call.number}", {middle}, "detail": {call.detail}}}', self.received)
            for call in self.calls
        ]

    def message(self, calls: Sequence[_Call]) -> str:
        heard_at = self.received.heard_at
        part = {
            "heardAt": heard_at and format_instant(heard_at),
            "numbers": [call.number for call in calls],
        }
        detail = f'{{"calls": [{", ".join(call.detail for call in calls)}]}}'
        return f'{{{self._envelope(_CALLS_ENDED, id=self.id, part=part)}, "detail": {detail}}}'

    def _envelope(self, detail_type: str, **more: object) -> str:
        fields = {"source": TELEPHONY.name, "detail-type": detail_type, "time": self.time, **more}
        return json.dumps(fields)[1:-1]


def _may_have_several_calls(body: str) -> bool:
    detail_type = detail_type_of(body)
    # None: wrong, or JSON that msgspec does not take (`parse_json`). The reader of events decides.
    return _CALLS_ENDED in body if detail_type is None else detail_type == _CALLS_ENDED


def _read_calls(body: str, received: Received) -> _CallsEvent | None:
    event = read_event(body, TELEPHONY, received)
    if not isinstance(event.detail, CallsEnded):
        return None
    event_id, details, sent_part = _as_sent(body)
    if len(event_id) > _MAX_ID_LENGTH:
        raise Refused("id", f"must have at most {_MAX_ID_LENGTH} characters, as calls add theirs")
    if sent_part is None:
        _check_size(body)
        part = _Part(heard_at=received.heard_at, numbers=tuple(range(len(details))))
    else:
        part = read_message(sent_part, _Part, called="part")
    if len(part.numbers) != len(details):
        raise Refused("part.numbers", f"must be {len(details)}, one for each call")
    # Never later than the queue says: nobody can put off when credit expires.
    times = [at for at in (part.heard_at, received.heard_at) if at is not None]
    organizations = [
        call.get("organizationId") if isinstance(call, dict) else None
        for call in event.detail.calls
    ]
    return _CallsEvent(
        event_id,
        format_instant(event.time),
        [*map(_Call, part.numbers, map(str, organizations), details)],
        received._replace(heard_at=min(times, default=None)),
    )


def _as_sent(body: str) -> tuple[str, list[str], object]:
    """Return id, details and `part` of an event that was read before."""
    try:
        event = decode(body, type=_RawEvent)
    except (DecodeError, UnicodeEncodeError, RecursionError):
        sent = json.loads(body, parse_float=_number, parse_int=_number)
        return sent["id"], [json.dumps(call) for call in sent["detail"]["calls"]], sent.get("part")
    return event.id, [bytes(call).decode() for call in event.detail.calls], event.part


def _number(text: str) -> float:
    """Read a number, so that it can be written again: JSON writes no infinity."""
    if _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    return number if isfinite(number := float(text)) else _TOO_LARGE


def _check_size(body: str) -> None:
    size = len(body.encode(errors="replace"))
    if size > MAX_EVENT_BYTES:
        raise Refused(
            "calls",
            f"the event has {-(-size // 1024)} KB, and at most {MAX_EVENT_BYTES // 1024} are "
            "allowed; send fewer calls in an event",
        )
