"""A plan: everything that happens in the world of one seed, decided before anything runs.

`workloads` make it. Each item has a number, by which it can be run alone, and its own random
numbers: leaving other items out changes nothing about it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, assert_never

from perminute.domain.authorization.reservations import HANG_UP, REPORT_TOLERANCE
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

_MILLISECOND = timedelta(milliseconds=1)
_HANG_UP_MILLIS = HANG_UP // _MILLISECOND
"""The longest that hanging up may take: answers leave a bridge this time."""


class FalseReport(StrEnum):
    """What a bridge reports by mistake."""

    TOTAL = "total"
    """An update reports the total as what was used since the report before."""
    MILLISECONDS = "milliseconds"
    """An update reports milliseconds."""
    DAY = "day"
    """A release reports a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeBehavior:
    """How one bridge handles one call."""

    hang_up_millis: int = 0
    """How long its request to hang up takes."""
    extra_millis: int = 0
    """How far past a whole second a call lasts that ends by itself."""
    false_report: FalseReport | None = None
    reports_totals: bool = False
    """Whether it reports by `totalUsedSeconds`."""
    states_default: bool = False
    """Whether a repeated request states `requestedSeconds` if the first one left it out."""
    first_report_at: int | None = None
    """The second of the call at which it reports first; None, just before it must."""
    requests_later: int | None = None
    """`requestedSeconds` of its updates, if other than those of the first request."""
    loses_answers: bool = False
    """Whether no answer to a report ever arrives."""
    clock_skew: int = 0
    """By how many seconds telephony's clock is wrong."""
    outlasts_grant: bool = False
    """Whether it does nothing with its grant, and repeats the request when that has lapsed."""

    @property
    def hang_up_time(self) -> timedelta:
        """How long the call goes on after the bridge has begun to hang up."""
        return self.hang_up_millis * _MILLISECOND

    @property
    def extra_time(self) -> timedelta:
        """What is added to the whole seconds that a call lasts."""
        return self.extra_millis * _MILLISECOND

    def false_seconds(self, request: str, reported: int, used: int, since: timedelta) -> int | None:
        """Return the `usedSeconds` of a false report; None if they could be true.

        `reported` seconds were reported before, `used` is the total by now, and `since` the time
        since the call was authorized.
        """
        match self.false_report, request:
            case FalseReport.TOTAL, "update":
                seconds = used
            case FalseReport.MILLISECONDS, "update":
                seconds = 1_000 * (used - reported)
            case FalseReport.DAY, "release":
                seconds = MAX_CALL_SECONDS
            case _:
                return None
        # Both the sum and the time are rounded: hence the second.
        longest = since.total_seconds() + REPORT_TOLERANCE.seconds + 1
        return seconds if reported + seconds > longest else None


def random_behavior(rng: Random) -> BridgeBehavior:
    """Return the behavior of a bridge; many take as long to hang up as they may."""
    return BridgeBehavior(
        hang_up_millis=rng.choice((0, 1, 180, _HANG_UP_MILLIS - 1, _HANG_UP_MILLIS)),
        extra_millis=rng.choice((0, 0, 1, 999)),
        false_report=rng.choice((None, None, None, *FalseReport)),
        reports_totals=rng.randrange(3) == 0,
        states_default=rng.randrange(2) == 0,
    )


_SOURCES = {
    "Call Begun": "telephony",
    "Call Ended": "telephony",
    "Calls Ended": "telephony",
    "Credit Adjusted": "billing",
    "Credit Purchased": "billing",
    "Credits Configured": "billing",
    "Recharge Failed": "billing",
}


class Expected(StrEnum):
    """What must become of an event."""

    TAKEN = "taken"
    REFUSED = "refused"
    EITHER = "either"
    """It depends on what came before it; but one of both it must be."""
    ONCE_KNOWN = "onceKnown"
    """Refused until what it needs has arrived; it may be accepted when it is sent again."""


class EventSent(NamedTuple):
    """An event that another system sends."""

    source: str
    body: str
    expected: Expected = Expected.TAKEN
    of_each: tuple[Expected, ...] = ()
    """The same of each call of a `Calls Ended`."""


class EndReported(StrEnum):
    """When telephony reports the end of an authorized call."""

    PROMPTLY = "promptly"
    LATE = "late"
    """After 80 to 100 hours: mostly after the call was charged by its bridge's reports."""
    WITH_THE_RUN = "withTheRun"
    """At the instant at which the daily run may charge it."""
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlaced:
    """A call whose bridge asks for an authorization before it connects anybody."""

    organization_id: str
    organizer_id: str
    leg_type: str
    number: str
    rings: int
    """Seconds until the answer."""
    lasts: int
    """Seconds from the answer, unless its bridge must hang up before."""
    requests: int | None
    """Seconds that its bridge requests at a time; None, whatever the API grants by default."""
    releases: bool
    end_reported: EndReported
    fails_open: bool
    """Whether its bridge connects the call if the API does not answer."""
    behavior: BridgeBehavior = field(default_factory=BridgeBehavior)
    draws_on_pool: bool = True


class RateCardPublished(NamedTuple):
    """A rate card that is put in force."""

    version: str
    content: bytes


class RatesCorrected(NamedTuple):
    """A rate card by which an operator corrects an organization's calls; it is not in force."""

    version: str
    content: bytes
    organization_id: str


class NumbersMasked(NamedTuple):
    """From now on the phone numbers of an organization's calls are masked."""

    organization_id: str


class CallsErased(NamedTuple):
    """An operator is to erase a user, or all users, once everything has settled."""

    organization_id: str
    user_id: str | None = None


class ReportRequested(NamedTuple):
    """A report that somebody requests; if it has pages, one after the other."""

    organization_id: str
    name: str
    parameters: Mapping[str, str]


class CallRecord(NamedTuple):
    """A call record that another system writes, and what must become of it; it has its own id."""

    call_id: str
    call: Mapping[str, Any] | None = None
    """The detail of its `Call Ended`; None if it is no call."""
    kept: str = ""
    """The reason for which it is kept. A call is kept only until the directory has its number."""
    skipped: str = ""
    """The reason for which it is skipped. A record with neither is refused before it is read."""


class ObjectDropped(NamedTuple):
    """An object with call records; the same object may be dropped again."""

    key: str
    content: bytes
    records: tuple[CallRecord, ...]
    vanishes_after: timedelta | None = None


class RecordPosted(NamedTuple):
    """A call record that FreeSWITCH posts until it is taken."""

    authorization: str
    body: bytes
    record: CallRecord


class DirectoryPublished(NamedTuple):
    """A directory of call records that is put in force."""

    version: str
    content: bytes


class Quiesce(NamedTuple):
    """Faults stop until everything has settled, and every invariant is checked."""


OfRecords = ObjectDropped | RecordPosted | DirectoryPublished
Action = (
    EventSent
    | CallPlaced
    | RateCardPublished
    | RatesCorrected
    | NumbersMasked
    | CallsErased
    | ReportRequested
    | OfRecords
    | Quiesce
)


def described(action: Action) -> str:
    """Return an action in a few words."""
    match action:
        case EventSent(body=body):
            event = json.loads(body)
            return f"{event['detail-type']} {json.dumps(event['detail'])}"
        case RateCardPublished(version):
            return f"rate card {version}"
        case DirectoryPublished(version):
            return f"directory {version}"
        case RatesCorrected(version, _, organization_id):
            return f"calls of {organization_id} are corrected by rate card {version}"
        case (
            CallPlaced()
            | CallsErased()
            | NumbersMasked()
            | ObjectDropped()
            | RecordPosted()
            | ReportRequested()
        ):
            return str(action)
        case Quiesce():
            return "all is to settle"
        case never:
            assert_never(never)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that happens, `after` an instant; its `label` names what comes of it."""

    number: int
    at: datetime
    action: Action
    label: str
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that happens."""

    seed: int
    card: tuple[bytes, str]
    """The first rate card, and its version."""
    directory: bytes = b""
    """The first directory of call records."""
    organizations: tuple[str, ...]
    authorizing: frozenset[str]
    """Organizations all of whose calls are authorized before they begin."""
    items: tuple[Item, ...]

    def only(self, numbers: Sequence[int]) -> Iterator[Item]:
        """Yield the items with these numbers, in the order of the plan."""
        wanted = set(numbers)
        return (item for item in self.items if item.number in wanted)


def event_sent(
    identity: str,
    kind: str,
    at: datetime,
    detail: Mapping[str, Any],
    expected: Expected = Expected.TAKEN,
) -> EventSent:
    """Return an event as EventBridge delivers it, from the system that sends this kind."""
    source = _SOURCES.get(kind, "licensing")
    # The same detail always has the same account, and a body that was queued by hand has none.
    account = zlib.crc32(json.dumps(detail).encode())
    body = {
        "id": identity,
        **({"account": f"{account:012}"} if account % 4 else {}),
        "source": f"perminute.{source}",
        "detail-type": kind,
        "time": format_instant(at),
        "detail": {"schemaVersion": "1", **detail},
    }
    return EventSent(source, json.dumps(body), expected)


CALLS_PER_PART = 3
"""Calls of an organization that are charged by one message: few, so that events have many parts."""


def is_part(body: str) -> bool:
    """Return whether a message with calls is a part of an event that was divided."""
    return "part" in json.loads(body)


def events_in(body: str) -> list[str]:
    """Return the events that a message contains: the calls of a `Calls Ended` one by one."""
    message = json.loads(body)
    if message["detail-type"] != "Calls Ended":
        return [body]
    calls = message["detail"]["calls"]
    numbers = message["part"]["numbers"] if "part" in message else range(len(calls))
    return [
        json.dumps(
            {
                "id": f"{message['id']}#{number}",
                "source": message["source"],
                "detail-type": "Call Ended",
                "time": message["time"],
                "detail": call,
            }
        )
        for number, call in zip(numbers, calls, strict=True)
    ]
