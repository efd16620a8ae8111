"""A call that is authorized: its last request and answer, and what it has reserved.

This is online charging as in RFC 8506 and 3GPP TS 32.291, where the terms are:

=============================================  ==============================================
CC-Request-Type (§8.3), CC-Request-Number      `operation`, `sequence`
Requested- and Used-Service-Unit (§8.18, 8.19) `requested_seconds`, `used_seconds`
Granted-Service-Unit (§8.17)                   `granted_seconds`
Validity-Time (§8.33)                          `valid_until`, an instant
Final-Unit-Indication (§8.34)                  `final_unit`
Credit-Control-Failure-Handling (§8.14)        `failure_handling`
=============================================  ==============================================

Requests are numbered from 0. The next number acts; the last one again, with the same content,
has the same answer; anything else is a conflict.

An answer can get lost. Only the next number proves that it was received; until then the bridge may
rely on the answer before. So a call has reserved what either of them promised (`parts_to_reserve`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.credit.holds import Hold
from perminute.domain.errors import Conflict, Refused
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.domain.limits.spending import LimitName, SpendKey
    from perminute.domain.rating.calls import Call

DEFAULT_QUOTA_SECONDS = 300
"""Granted to an authorization that does not state how much it requests (our decision)."""

SHORTEST_VALIDITY = timedelta(minutes=5)
"""How long each grant is valid at least (our decision)."""

HANG_UP = timedelta(seconds=2)
"""How long before a grant ends a bridge begins to hang up (our decision): that takes a request to
the far end and its answer."""

REPORT_TOLERANCE = timedelta(seconds=60)
"""How far used seconds may exceed the time since the authorization (our decision), since clocks
differ."""

RINGING = timedelta(minutes=1)
"""How long a call may ring before its granted seconds begin (our decision). If the clock of
telephony is ahead, less of it is left."""

CLOCK_SKEW = timedelta(seconds=30)
"""How far a clock may be behind that of perminute (our decision): many times the error of a
synchronized clock."""

_SECOND = timedelta(seconds=1)


class Operation(StrEnum):
    """What a request about a call asks for."""

    AUTHORIZE = "authorize"
    UPDATE = "update"
    RELEASE = "release"


class Decision(StrEnum):
    """Whether a call may begin or go on."""

    ALLOW = "allow"
    DENY = "deny"


class Denied(StrEnum):
    """Why a call may not begin or go on, beside its licenses, policies and number."""

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


class CallState(StrEnum):
    """What a bridge may still do about a call."""

    UNDER_WAY = "underWay"  # its last grant has not lapsed
    DENIED = "denied"  # it was never authorized, or is to be hung up and released
    LAPSED = "lapsed"  # only what it has used is still reserved: its bridge stopped reporting
    RELEASED = "released"
    ENDED = "ended"  # its `Call Ended` is recorded, or it was charged by its bridge's reports


class Answer(NamedTuple):
    """The answer to a request about a call; money in micro-units of `currency`."""

    sequence: int
    decision: Decision
    reason: str | None = None
    # New quota from now on. It is used up at `report_before` at the earliest.
    granted_seconds: int = 0
    valid_until: datetime | None = None
    report_before: datetime | None = None
    # These two count from the answer of the call; None if nothing is granted.
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
        """Return what is left of the answer once its grant has lapsed."""
        return Answer(
            sequence=self.sequence,
            decision=Decision.DENY,
            reason=Denied.GRANT_LAPSED,
            final_unit=True,
            rate_micros_per_minute=self.rate_micros_per_minute,
            connection_fee_micros=self.connection_fee_micros,
            currency=self.currency,
            failure_handling=self.failure_handling,
        )


class ChargingRequest(NamedTuple):
    """What a bridge requests for a call, and reports of it."""

    operation: Operation
    sequence: int
    requested_seconds: int | None = None
    used_seconds: int = 0  # since the last report; ignored if the total is stated
    total_used_seconds: int | None = None  # since the answer of the call

    def in_full(self, default_seconds: int, reported_seconds: int) -> ChargingRequest:
        """Return the request with defaults and used seconds; `reported_seconds` are all before."""
        used, total = self.used_seconds, self.total_used_seconds
        wants_more = self.operation is not Operation.RELEASE
        return self._replace(
            requested_seconds=(self.requested_seconds or default_seconds) if wants_more else None,
            used_seconds=used if total is None else total - reported_seconds,
            total_used_seconds=None,
        )

    def check_is_first(self) -> None:
        """Raise `Conflict` if this cannot be the first request about a call."""
        if self.operation is not Operation.AUTHORIZE:
            raise Conflict("callId", f"was never authorized; there is nothing to {self.operation}")
        if self.sequence != 0:
            raise Conflict("sequence", f"is {self.sequence}, but the first of a call is 0")


class Promise(NamedTuple):
    """The cost of a whole call that a bridge may rely on until an instant."""

    until: datetime
    micros: int
    minutes: int  # of the pool


class ReservedPart(NamedTuple):
    """A part of what a call has reserved, until an instant."""

    until: datetime
    micros: int
    minutes: int  # of the pool
    # The call has used it: it does not lapse, but is charged by the `Call Ended`, or from `until`
    # on by what its bridge reported.
    used: bool = False
    calls: int = 1  # 0 for a further part, since each call counts once among those under way

    @property
    def credit(self) -> Hold:
        """The part as the account and the limits count it."""
        return Hold(self.until, self.micros, self.calls, self.used)

    @property
    def pool(self) -> Hold:
        """The part as the pool counts it."""
        return Hold(self.until, self.minutes, self.calls, self.used)


def parts_to_reserve(promises: Sequence[Promise], used: tuple[int, int]) -> Iterator[ReservedPart]:
    """Yield what to reserve so that at each instant the greatest lasting promise is covered.

    `used` are the micro-units and minutes that the call has used, which are reserved apart.
    """
    micros, minutes = used
    last = max((promise.until for promise in promises), default=None)
    for until in sorted({promise.until for promise in promises}, reverse=True):
        lasting = [promise for promise in promises if promise.until >= until]
        all_micros = max(micros, *(promise.micros for promise in lasting))
        all_minutes = max(minutes, *(promise.minutes for promise in lasting))
        part = ReservedPart(
            until, all_micros - micros, all_minutes - minutes, calls=int(until == last)
        )
        if part.calls or part.micros or part.minutes:
            yield part
        micros, minutes = all_micros, all_minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call that was authorized, or refused, and has not ended yet."""

    call: Call  # as it was authorized, answered at that instant
    last_request: ChargingRequest  # in full
    answer: Answer
    rate_card_version: str = ""  # prices the call, whichever is published while it lasts
    wanted_seconds: int = DEFAULT_QUOTA_SECONDS
    default_seconds: int = DEFAULT_QUOTA_SECONDS  # wanted if the last request did not state it
    used_seconds: int = 0  # reported in all
    reported_at: datetime | None = None  # the last time
    promised: Promise | None = None  # by the last answer
    held: tuple[ReservedPart, ...] = ()
    limit_keys: tuple[SpendKey, ...] = ()  # the spend counters that count what is reserved as well

    @property
    def sequence(self) -> int:
        """The number of the last request."""
        return self.last_request.sequence

    @property
    def charge_at(self) -> datetime | None:
        """When it is to be charged by what was reported; None if it has used nothing."""
        return next((held.until for held in self.held if held.used), None)

    @property
    def reserves_minutes(self) -> bool:
        """Whether minutes of a pool are reserved for it."""
        return any(held.minutes for held in self.held)

    @property
    def grant_lapses_at(self) -> datetime | None:
        """When the last grant lapses: after twice its validity; None if nothing was granted."""
        valid_until = self.answer.valid_until
        requested_at = self.reported_at or self.call.rated_at
        return valid_until and valid_until + (valid_until - requested_at)

    @property
    def was_refused(self) -> bool:
        """Whether it was never authorized."""
        is_first = self.last_request.operation is Operation.AUTHORIZE
        return is_first and self.answer.decision is Decision.DENY

    @property
    def may_go_on(self) -> bool:
        """Whether it can be updated or released."""
        return not self.was_refused and self.last_request.operation is not Operation.RELEASE

    def as_reported(self) -> Call:
        """Return the call as its bridge has described it: it ended with the last report."""
        if self.reported_at is None:
            msg = f"nothing was reported of call {self.call.call_id}"
            raise ValueError(msg)
        # More than a day is an error of the bridge; a `Call Ended` would be refused for it.
        lasted = timedelta(seconds=min(self.used_seconds, MAX_CALL_SECONDS))
        # The last report may come late, and only the price of these instants was reserved.
        earliest, latest = self.call.rated_at - CLOCK_SKEW, self.call.rated_at + RINGING
        answered_at = min(max(self.reported_at - lasted, earliest), latest)
        return replace(self.call, answered_at=answered_at, ended_at=answered_at + lasted)

    def next_request(self, request: ChargingRequest, at: datetime) -> ChargingRequest:
        """Return the next request in full; raises `Refused` if its used seconds cannot be right."""
        in_full = request.in_full(self.wanted_seconds, self.used_seconds)
        if in_full.used_seconds < 0:
            raise Refused(
                "totalUsedSeconds",
                f"is {request.total_used_seconds}, but {self.used_seconds} were reported before: "
                "the total of a call never falls",
            )
        total = self.used_seconds + in_full.used_seconds
        since = at - self.call.rated_at
        if total and timedelta(seconds=total) > since + REPORT_TOLERANCE:
            raise Refused(
                "usedSeconds" if request.total_used_seconds is None else "totalUsedSeconds",
                f"makes {total} s in all, but the call was authorized {max(0, since // _SECOND)} s "
                "ago; usedSeconds counts whole seconds since the report before, totalUsedSeconds "
                "since the call was answered",
            )
        return in_full

    def repeated_answer(
        self, request: ChargingRequest, at: datetime, call: Call | None = None
    ) -> Answer | None:
        """Return the answer to the last request if it is sent again; None for the next request.

        An authorization describes the `call`. Raises `Conflict` for any other request.
        """
        if request.sequence == self.sequence:
            if not self._is_last_request(request, call):
                raise Conflict(
                    "sequence",
                    f"{request.sequence} was used for another request of this call; send that one "
                    f"again to hear its answer, and use {self.sequence + 1} for the next one",
                )
            lapses_at = self.grant_lapses_at
            # Nothing is reserved any more for a grant that has lapsed.
            return self.answer if lapses_at is None or at < lapses_at else self.answer.lapsed()
        if request.sequence != self.sequence + 1:
            raise Conflict(
                "sequence",
                f"is {request.sequence}, but the last of this call was {self.sequence}: repeat "
                f"that or go on with {self.sequence + 1}",
            )
        self._check_next(request.operation)
        return None

    def _is_last_request(self, request: ChargingRequest, call: Call | None) -> bool:
        reported = self.used_seconds - self.last_request.used_seconds
        if request.in_full(self.default_seconds, reported) != self.last_request:
            return False
        if call is None:
            return True
        # The times of a call are those of its request, and differ when that is sent again.
        before = self.call
        return before == replace(call, answered_at=before.answered_at, ended_at=before.ended_at)

    def _check_next(self, operation: Operation) -> None:
        if operation is not Operation.AUTHORIZE:
            if not self.may_go_on:
                done = "was refused" if self.was_refused else "was released"
                raise Conflict("callId", f"{done}; there is nothing to {operation}")
        elif self.last_request.operation is Operation.RELEASE:
            raise Conflict("callId", "was released; a new call needs an id of its own")
        elif not self.was_refused:
            raise Conflict(
                "callId", "is authorized already; go on with update, or end it with release"
            )


def state_of(call: Reservation | Usage, at: datetime) -> CallState:
    """Return the state of a call at an instant."""
    if isinstance(call, Usage):
        return CallState.ENDED
    if call.last_request.operation is Operation.RELEASE:
        return CallState.RELEASED
    if call.answer.decision is Decision.DENY:
        return CallState.DENIED
    until = call.grant_lapses_at
    return CallState.LAPSED if until is None or until <= at else CallState.UNDER_WAY


def under_way_since(call: Reservation) -> datetime | None:
    """Return when a call was authorized; None if it was not, or has been released."""
    return call.call.rated_at if call.may_go_on else None
