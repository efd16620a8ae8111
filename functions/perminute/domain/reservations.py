"""A call that is authorized: what was asked and answered, and what it has reserved.

Modeled on online charging (RFC 8506, 3GPP TS 32.291): an initial request, updates and a
termination, numbered from 0. The next number acts; the last one again, with the same content,
is given the answer that it had; anything else is a conflict. Used seconds are counted from the
report before (RFC 8506 §8.19).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import Conflict
from perminute.domain.holds import NO_HOLD, Hold
from perminute.domain.legs import MAX_LEG_SECONDS

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.legs import Leg
    from perminute.domain.spending import LimitName, SpendingKey

DEFAULT_QUOTA_SECONDS = 300
"""What is granted to who does not say how much; a call reports every five minutes (ours)."""

SHORTEST_VALIDITY = timedelta(minutes=5)
"""A grant is good for at least so long, however little it grants (ours)."""

RINGING = timedelta(minutes=1)
"""A call may ring so long before its granted seconds begin to run (ours)."""


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
    before `report_before`, when they are used up at the earliest. `limit` names the limit that
    stands in the way, if one does.
    """

    sequence: int
    decision: Decision
    reason: str | None = None
    granted_seconds: int = 0
    valid_until: datetime | None = None
    report_before: datetime | None = None
    final_unit: bool = False
    paid_by: PaidBy | None = None
    rate_micros_per_minute: int | None = None
    connection_fee_micros: int | None = None
    currency: str | None = None
    limit: LimitName | None = None


class Asked(NamedTuple):
    """What was asked, to know it when it comes again: what is wanted, and what was used."""

    operation: Operation
    sequence: int
    requested_seconds: int | None = None
    used_seconds: int = 0


class Held(NamedTuple):
    """What a call has reserved until an instant: micro-units of credit, and minutes of a pool.

    Either for what it is granted, which lapses; or for what it has `used`, which is held until the
    call is charged: by its `Call Ended`, or from `until` on by what its bridge reported.
    """

    until: datetime
    micros: int
    minutes: int
    used: bool = False

    @property
    def credit(self) -> Hold:
        """What the account holds for it."""
        return Hold(self.until, self.micros, 1, self.used)

    @property
    def pool(self) -> Hold:
        """What the pool holds for it."""
        return Hold(self.until, self.minutes, 1, self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call that was authorized, or refused, and has not ended yet.

    `leg` is what was asked for, answered when that was. `wanted_seconds` is what it is to be
    granted at once, and `used_seconds` are those reported until now, the last time at
    `reported_at`. `held` is what it has reserved, one part for each kind. `keys` name the spending
    records that count what is held as well.
    """

    leg: Leg
    asked: Asked
    answer: Answer
    wanted_seconds: int = DEFAULT_QUOTA_SECONDS
    used_seconds: int = 0
    reported_at: datetime | None = None
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

    def as_reported(self) -> Leg:
        """Return the leg that its bridge has described: it ended with the last report."""
        if self.reported_at is None:
            msg = f"nothing was reported of call {self.leg.call_id}"
            raise ValueError(msg)
        # More than a day is a slip of the bridge; a `Call Ended` would be refused for it.
        lasted = timedelta(seconds=min(self.used_seconds, MAX_LEG_SECONDS))
        return replace(self.leg, answered_at=self.reported_at - lasted, ended_at=self.reported_at)

    @property
    def may_go_on(self) -> bool:
        """Whether it can be updated or released."""
        return not self._was_refused and self.asked.operation is not Operation.RELEASE

    def answer_again(self, asked: Asked, leg: Leg | None = None) -> Answer | None:
        """Give the answer that a request had if it is the last one again; None if it is the next.

        Raises `Conflict` for anything else. `leg` is what an authorization says of the call.
        """
        if asked.sequence == self.sequence:
            same_call = leg is None or _facts(leg) == _facts(self.leg)
            if asked == self.asked and same_call:
                return self.answer
            raise Conflict(
                "sequence",
                f"{asked.sequence} was used for another request of this call; use "
                f"{self.sequence + 1} for the next one",
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


def check_first(asked: Asked) -> None:
    """Refuse what is asked of a call that nobody has asked for yet, unless it is the first."""
    if asked.operation is not Operation.AUTHORIZE:
        raise Conflict("callId", f"was never authorized; there is nothing to {asked.operation}")
    if asked.sequence != 0:
        raise Conflict("sequence", f"is {asked.sequence}, but the first of a call is 0")


def _facts(leg: Leg) -> Leg:
    """Take out of a leg what depends on when it was asked for."""
    never = None
    return replace(leg, answered_at=never, ended_at=_NO_TIME, billable_seconds=None)


_NO_TIME = NO_HOLD.until
