"""Auto-recharge: when to ask for credit to be bought, and when to stop (docs/domain.md §5.3).

One request at a time, under one id until it succeeds or fails; a limit for each month and one for
each day, off after three failures in a row. A card that fails is not tried for ever, no crossing is
paid for twice, and a slip in the settings does not become hundreds of payments (ADR 14).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

RESEND_AFTER = timedelta(hours=24)
"""How long after an attempt a request that nobody has answered is sent again, under its own id."""

UNANSWERED_AFTER = timedelta(days=3)
"""How long a request may be open before an operator is told."""

MAX_FAILURES = 3
"""Failures in a row that switch auto-recharge off."""

MAX_REQUESTS_A_DAY = 10
"""Requests of one UTC day, attempts among them (ours). An honest organization recharges a few times
a day at most; one whose recharge amount is a slip would pay hundreds of times in an hour."""

_DAY = timedelta(days=1)
_NAMES = uuid.UUID("6a3f5f0c-6d2e-5b0e-9d53-2f4e6b1f7a10")
"""The namespace of our recharge ids: any constant would do, but it must never change."""


class Disabled(StrEnum):
    """Why auto-recharge asks for nothing although the balance is below the trigger."""

    THREE_FAILURES = "threeFailures"
    MONTHLY_LIMIT = "monthlyLimit"
    DAILY_LIMIT = "dailyLimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRecharge:
    """What the admin configured; micro-units of the account's currency."""

    trigger_micros: int
    recharge_micros: int
    monthly_limit_micros: int | None = None

    @property
    def may_ever_recharge(self) -> bool:
        """Whether the monthly limit allows one recharge in a month in which nothing was asked."""
        return self.monthly_limit_micros is None or (
            self.recharge_micros <= self.monthly_limit_micros
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeRequest:
    """Credit that we asked to be bought; `attempt` counts how often, from 1."""

    recharge_id: str
    amount_micros: int
    requested_at: datetime
    attempted_at: datetime
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeState:
    """What was asked for and what became of it.

    `open` is the request whose outcome nobody has reported; there is never more than one.
    `month_micros` is what was requested in the UTC month that begins at `month`, less what failed,
    and what was paid in it after it had failed. An open request counts, since it may still be paid.
    `day_requests` counts the attempts of the UTC day that begins at `day`. `stopped_by` is the
    limit that stands in the way and was told.
    """

    requests: int = 0
    open: RechargeRequest | None = None
    failures: int = 0
    month: datetime | None = None
    month_micros: int = 0
    day: datetime | None = None
    day_requests: int = 0
    stopped_by: Disabled | None = None

    def next_step(
        self, auto: AutoRecharge | None, balance_micros: int, *, organization_id: str, now: datetime
    ) -> tuple[RechargeState, RechargeRequest | Disabled | None]:
        """Decide what a balance asks for; a limit is told once, until it no longer matters.

        `now` never goes back: somebody is to pay from now on, however late an event tells why.
        """
        if auto is None:
            return self, None
        if self.open is not None:
            return self._send_again(self.open, now)
        if balance_micros >= auto.trigger_micros:
            return self._back_above(), None
        if self.failures >= MAX_FAILURES:
            return self, None
        limit = self._limit_before(auto, now)
        if limit is not None:
            return replace(self, stopped_by=limit), None if self.stopped_by is limit else limit
        request = RechargeRequest(
            recharge_id=recharge_id(organization_id, self.requests + 1),
            amount_micros=auto.recharge_micros,
            requested_at=now,
            attempted_at=now,
        )
        return self._with_sent(request), request

    def due_at(self, auto: AutoRecharge | None, balance_micros: int) -> datetime | None:
        """Tell when time alone allows what is not allowed now; None if it never does."""
        if auto is None:
            return None
        if self.open is not None:
            return self.open.attempted_at + RESEND_AFTER
        if balance_micros >= auto.trigger_micros or self.failures >= MAX_FAILURES:
            return None
        if self.stopped_by is Disabled.DAILY_LIMIT:
            return self.day and self.day + _DAY
        if self.stopped_by is Disabled.MONTHLY_LIMIT and auto.may_ever_recharge:
            return self.month and _next_month(self.month)
        return None

    @property
    def unanswered_from(self) -> datetime | None:
        """When an operator is to hear of the open request, on or off; None if none is open."""
        return None if self.open is None else self.open.requested_at + UNANSWERED_AFTER

    def succeeded(self, recharge_id: str | None) -> RechargeState:
        """Take note of a purchase: it switches recharging on again, whoever made it."""
        is_answer = self.open is not None and self.open.recharge_id == recharge_id
        return replace(self, open=None if is_answer else self.open, failures=0)

    def paid_after_failure(self, amount_micros: int, now: datetime) -> RechargeState:
        """Count for the month what was bought although its failure had given it back."""
        state = self._turned(now)
        return replace(state, month_micros=state.month_micros + amount_micros)

    def failed(self, recharge_id: str) -> RechargeState:
        """Take note of a failure; only that of a request whose outcome was open counts."""
        request = self.open
        if request is None or request.recharge_id != recharge_id:
            return self
        back_micros = request.amount_micros if self.month == _month_of(request.requested_at) else 0
        return replace(
            self,
            open=None,
            failures=self.failures + 1,
            month_micros=self.month_micros - back_micros,
        )

    def reconfigured(self) -> RechargeState:
        """Start afresh under settings that differ; what was asked for stays asked for."""
        return replace(self, failures=0, stopped_by=None, day_requests=0)

    def waits_for(self, recharge_id: str) -> bool:
        """Whether the outcome of this request is open."""
        return self.open is not None and self.open.recharge_id == recharge_id

    def _send_again(
        self, request: RechargeRequest, now: datetime
    ) -> tuple[RechargeState, RechargeRequest | None]:
        """Repeat the open request a day after its last attempt, whatever the balance is by then.

        The limits cannot stand in its way: it is in what was asked for in its month, and it is the
        only attempt of its day.
        """
        if now < request.attempted_at + RESEND_AFTER:
            return self, None
        again = replace(request, attempted_at=now, attempt=request.attempt + 1)
        return self._with_sent(again), again

    def _with_sent(self, request: RechargeRequest) -> RechargeState:
        """Count an attempt for its day; for its month, only the first one of a request."""
        state, is_first = self._turned(request.attempted_at), request.attempt == 1
        return replace(
            state,
            requests=state.requests + (1 if is_first else 0),
            open=request,
            month_micros=state.month_micros + (request.amount_micros if is_first else 0),
            day_requests=state.day_requests + 1,
            stopped_by=None,
        )

    def _limit_before(self, auto: AutoRecharge, now: datetime) -> Disabled | None:
        """Name the limit that one more request would pass; the one that lasts longer goes first."""
        state, limit_micros = self._turned(now), auto.monthly_limit_micros
        if limit_micros is not None and state.month_micros + auto.recharge_micros > limit_micros:
            return Disabled.MONTHLY_LIMIT
        return Disabled.DAILY_LIMIT if state.day_requests >= MAX_REQUESTS_A_DAY else None

    def _back_above(self) -> RechargeState:
        """Have the monthly limit told again at the next fall; the daily one is told once a day."""
        is_monthly = self.stopped_by is Disabled.MONTHLY_LIMIT
        return replace(self, stopped_by=None) if is_monthly else self

    def _turned(self, now: datetime) -> RechargeState:
        """Begin to count anew in a month and a day in which nothing was counted yet."""
        month, day = _month_of(now), _day_of(now)
        return replace(
            self,
            month=month,
            month_micros=self.month_micros if self.month == month else 0,
            day=day,
            day_requests=self.day_requests if self.day == day else 0,
        )


def recharge_id(organization_id: str, number: int) -> str:
    """Name the n-th request of an organization: the same whoever decides on it, and how often."""
    return str(uuid.uuid5(_NAMES, f"{organization_id}#{number}"))


def _month_of(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _day_of(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _next_month(month: datetime) -> datetime:
    """The first instant of the month after; a month never has more than 31 days."""
    return _month_of(month + timedelta(days=31))
