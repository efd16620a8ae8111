"""A call that is authorized: what was asked and answered, and what it has reserved.

Modeled on online charging (RFC 8506, 3GPP TS 32.291): an initial request, updates and a
termination, numbered from 0. The next number acts; the last one again, with the same content,
is given the answer that it had; anything else is a conflict. Used seconds are counted from the
report before (RFC 8506 §8.19), or from the answer of the call if the bridge says so.

An answer can get lost. Only the next number proves that it was heard; until then the bridge may
rely on the answer before. So a call has reserved what either of them promised (`covered`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.call_times import CLOCK_SKEW, RINGING
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.credit.holds import NO_HOLD, Hold
from perminute.domain.errors import Conflict, Refused
from perminute.domain.rating.calls import MAX_CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.domain.limits.spending import LimitName, SpendingKey
    from perminute.domain.rating.calls import Call

DEFAULT_QUOTA_SECONDS = 300
"""What is granted to who does not say how much; a call reports every five minutes (ours)."""

SHORTEST_VALIDITY = timedelta(minutes=5)
"""A grant is good for at least so long, however little it grants (ours)."""

HANG_UP = timedelta(seconds=2)
"""A bridge begins to hang up so long before a grant ends (ours): its request to the far end, and
the answer to that, take a part of it."""

REPORT_TOLERANCE = timedelta(seconds=60)
"""Used seconds may pass the time since the authorization by as much (ours): clocks differ."""


class Operation(StrEnum):
    """What can be asked of a call."""

    AUTHORIZE = "authorize"
    UPDATE = "update"
    RELEASE = "release"


class Decision(StrEnum):
    """The answer."""

    ALLOW = "allow"
    DENY = "deny"


class Denied(StrEnum):
    """Why a call may not begin or go on, beside what its licenses, policies and number say."""

    INSUFFICIENT_CREDIT = "insufficientCredit"
    SPEND_LIMIT = "spendLimit"
    FRAUD_SUSPECTED = "fraudSuspected"
    CALL_TOO_LONG = "callTooLong"
    CALL_ENDED = "callEnded"
    GRANT_LAPSED = "grantLapsed"


class PaidBy(StrEnum):
    """Who pays for what is granted."""

    CREDITS = "credits"
    POOL = "pool"
    POOL_AND_CREDITS = "poolAndCredits"
    SUBSCRIPTION = "subscription"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bridge is told; money in micro-units of `currency`.

    `granted_seconds` may be used from now on, until `valid_until`; the next report is to come
    before `report_before`, when they are used up at the earliest. `hang_up_after_seconds` and
    `remaining_seconds` are counted from the answer of the call, and None where nothing is granted:
    when to begin to hang up, and how long the call would be covered beside this grant. `limit`
    names the limit that stands in the way, if one does.
    """

    sequence: int
    decision: Decision
    reason: str | None = None
    granted_seconds: int = 0
    valid_until: datetime | None = None
    report_before: datetime | None = None
    hang_up_after_seconds: int | None = None
    remaining_seconds: int | None = None
    final_unit: bool = False
    paid_by: PaidBy | None = None
    rate_micros_per_minute: int | None = None
    connection_fee_micros: int | None = None
    currency: str | None = None
    limit: LimitName | None = None
    failure_handling: FailureHandling = FailureHandling.CLOSED

    def lapsed(self) -> Answer:
        """Return what is left of an answer once its grant has lapsed."""
        return replace(
            self,
            decision=Decision.DENY,
            reason=Denied.GRANT_LAPSED,
            granted_seconds=0,
            valid_until=None,
            report_before=None,
            hang_up_after_seconds=None,
            remaining_seconds=None,
            final_unit=True,
            paid_by=None,
            limit=None,
        )


class ChargingRequest(NamedTuple):
    """What was asked, to know it when it comes again: what is wanted, and what was used.

    A bridge reports what was used since the report before, or `total_used_seconds`: then the
    former count nothing.
    """

    operation: Operation
    sequence: int
    requested_seconds: int | None = None
    used_seconds: int = 0
    total_used_seconds: int | None = None

    def in_full(self, default_seconds: int, reported_seconds: int) -> ChargingRequest:
        """Return the request with all that it leaves open: how much it wants, and used since when.

        `reported_seconds` are those that were reported before.
        """
        used, total = self.used_seconds, self.total_used_seconds
        wants_more = self.operation is not Operation.RELEASE
        return self._replace(
            requested_seconds=(self.requested_seconds or default_seconds) if wants_more else None,
            used_seconds=used if total is None else total - reported_seconds,
            total_used_seconds=None,
        )


class Promise(NamedTuple):
    """What an answer lets a bridge rely on until an instant: the cost of the call as a whole.

    Micro-units of credit, and minutes of a pool.
    """

    until: datetime
    micros: int
    minutes: int


class Held(NamedTuple):
    """What a call has reserved until an instant: micro-units of credit, and minutes of a pool.

    Either for what it is granted, which lapses; or for what it has `used`, which is held until the
    call is charged: by its `Call Ended`, or from `until` on by what its bridge reported. A call
    counts once among those under way: `calls` is 0 for what it holds beside that.
    """

    until: datetime
    micros: int
    minutes: int
    used: bool = False
    calls: int = 1

    @property
    def credit(self) -> Hold:
        """What the account holds for it."""
        return Hold(self.until, self.micros, self.calls, self.used)

    @property
    def pool(self) -> Hold:
        """What the pool holds for it."""
        return Hold(self.until, self.minutes, self.calls, self.used)


def covered(promises: Sequence[Promise], used: tuple[int, int]) -> Iterator[Held]:
    """Yield what to hold so that at each instant the greatest promise that lasts is covered.

    `used` are the micro-units and minutes of the cost that are held apart, until they are charged.
    """
    micros, minutes = used
    last = max(promise.until for promise in promises)
    for until in sorted({promise.until for promise in promises}, reverse=True):
        lasting = [promise for promise in promises if promise.until >= until]
        all_micros = max(micros, *(promise.micros for promise in lasting))
        all_minutes = max(minutes, *(promise.minutes for promise in lasting))
        held = Held(until, all_micros - micros, all_minutes - minutes, calls=int(until == last))
        if held.calls or held.micros or held.minutes:
            yield held
        micros, minutes = all_micros, all_minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call that was authorized, or refused, and has not ended yet.

    `call` is what was asked for, answered when that was. `wanted_seconds` is what it is to be
    granted at once; had the request not said it, that would be `default_seconds`. `used_seconds`
    are those reported until now, the last time at `reported_at`. `promised` is what the last answer
    lets the bridge rely on, if anything. `held` is what the call has reserved. `keys` name the
    spending records that count what is held as well. `rate_card_version` names the card that
    prices the call, whichever is published while it lasts.
    """

    call: Call
    asked: ChargingRequest
    answer: Answer
    rate_card_version: str = ""
    wanted_seconds: int = DEFAULT_QUOTA_SECONDS
    default_seconds: int = DEFAULT_QUOTA_SECONDS
    used_seconds: int = 0
    reported_at: datetime | None = None
    promised: Promise | None = None
    held: tuple[Held, ...] = ()
    keys: tuple[SpendingKey, ...] = ()

    @property
    def sequence(self) -> int:
        """The number of the last request."""
        return self.asked.sequence

    @property
    def charge_at(self) -> datetime | None:
        """From when on it is charged by what was reported; None, it has nothing to be charged."""
        return next((held.until for held in self.held if held.used), None)

    @property
    def holds_minutes(self) -> bool:
        """Whether minutes of a pool are reserved for it."""
        return any(held.minutes for held in self.held)

    def as_reported(self) -> Call:
        """Return the call that its bridge has described: it ended with the last report, or before.

        That report may have waited. So the call was answered within the time that a call may ring.
        """
        if self.reported_at is None:
            msg = f"nothing was reported of call {self.call.call_id}"
            raise ValueError(msg)
        # More than a day is a slip of the bridge; a `Call Ended` would be refused for it.
        lasted = timedelta(seconds=min(self.used_seconds, MAX_CALL_SECONDS))
        # The last report may come late. The price of these instants is what was reserved.
        earliest, latest = self.call.rated_at - CLOCK_SKEW, self.call.rated_at + RINGING
        answered_at = min(max(self.reported_at - lasted, earliest), latest)
        return replace(self.call, answered_at=answered_at, ended_at=answered_at + lasted)

    @property
    def grant_lapses_at(self) -> datetime | None:
        """When the last grant lapses: as long after `valid_until` as that is after the request.

        None if the last answer granted nothing.
        """
        valid_until = self.answer.valid_until
        if valid_until is None:
            return None
        return valid_until + (valid_until - (self.reported_at or self.call.rated_at))

    @property
    def may_go_on(self) -> bool:
        """Whether it can be updated or released."""
        return not self._was_refused and self.asked.operation is not Operation.RELEASE

    def next_request(self, asked: ChargingRequest, at: datetime) -> ChargingRequest:
        """Return the next request about the call in full, once what it reports can be true.

        Raises `Refused` if more was used than the time since the authorization allows.
        """
        in_full = asked.in_full(self.wanted_seconds, self.used_seconds)
        if in_full.used_seconds < 0:
            raise Refused(
                "totalUsedSeconds",
                f"is {asked.total_used_seconds}, but {self.used_seconds} were reported before: "
                "the total of a call never falls",
            )
        total = self.used_seconds + in_full.used_seconds
        since = at - self.call.rated_at
        if total and timedelta(seconds=total) > since + REPORT_TOLERANCE:
            raise Refused(
                "usedSeconds" if asked.total_used_seconds is None else "totalUsedSeconds",
                f"makes {total} s in all, but the call was authorized {max(0, since // _SECOND)} s "
                "ago; usedSeconds counts whole seconds since the report before, totalUsedSeconds "
                "since the call was answered",
            )
        return in_full

    def answer_again(
        self, asked: ChargingRequest, at: datetime, call: Call | None = None
    ) -> Answer | None:
        """Return the answer that a request had if it is the last one again; None if it is the next.

        A grant that has lapsed is not given again: nothing is reserved for it any more. `call` is
        what an authorization says of the call. Raises `Conflict` for anything else.
        """
        if asked.sequence == self.sequence:
            reported = self.used_seconds - self.asked.used_seconds
            same_call = call is None or _facts(call) == _facts(self.call)
            if asked.in_full(self.default_seconds, reported) == self.asked and same_call:
                lapses_at = self.grant_lapses_at
                return self.answer if lapses_at is None or at < lapses_at else self.answer.lapsed()
            raise Conflict(
                "sequence",
                f"{asked.sequence} was used for another request of this call; send that one again "
                f"to hear its answer, and use {self.sequence + 1} for the next one",
            )
        if asked.sequence != self.sequence + 1:
            raise Conflict(
                "sequence",
                f"is {asked.sequence}, but the last of this call was {self.sequence}: repeat that "
                f"or go on with {self.sequence + 1}",
            )
        if asked.operation is Operation.AUTHORIZE and self.asked.operation is Operation.RELEASE:
            raise Conflict("callId", "was released; a new call needs an id of its own")
        if asked.operation is Operation.AUTHORIZE and not self._was_refused:
            raise Conflict(
                "callId", "is authorized already; go on with update, or end it with release"
            )
        if asked.operation is not Operation.AUTHORIZE and not self.may_go_on:
            done = "was refused" if self._was_refused else "was released"
            raise Conflict("callId", f"{done}; there is nothing to {asked.operation}")
        return None

    @property
    def _was_refused(self) -> bool:
        is_first = self.asked.operation is Operation.AUTHORIZE
        return is_first and self.answer.decision is Decision.DENY


def check_first(asked: ChargingRequest) -> None:
    """Refuse what is asked of a call that nobody has asked for yet, unless it is the first."""
    if asked.operation is not Operation.AUTHORIZE:
        raise Conflict("callId", f"was never authorized; there is nothing to {asked.operation}")
    if asked.sequence != 0:
        raise Conflict("sequence", f"is {asked.sequence}, but the first of a call is 0")


def _facts(call: Call) -> Call:
    """Take out of a call what depends on when it was asked for."""
    never = None
    return replace(call, answered_at=never, ended_at=_NO_TIME, billable_seconds=None)


_NO_TIME = NO_HOLD.until
_SECOND = timedelta(seconds=1)
