"""Auto-recharge: when to request a purchase, and when to stop (docs/domain.md §5.3, ADR 14)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from datetime import datetime

RESEND_AFTER = timedelta(hours=24)
"""How long after an attempt an unanswered request is sent again, under its own id."""

UNANSWERED_AFTER = timedelta(days=3)
"""How long a request may be open before operators are alarmed, and nobody counts on it."""

MAX_FAILURES = 3
"""Failures in a row that switch auto-recharge off: a card that fails is not tried for ever."""

MAX_REQUESTS_A_DAY = 10
"""Requests of one UTC day, with attempts (our decision). A few are usual; if the recharge amount is
an error in the settings, there would be hundreds in an hour."""

_NAMES = uuid.UUID("6a3f5f0c-6d2e-5b0e-9d53-2f4e6b1f7a10")
"""The namespace of recharge ids: any constant would do, but it must never change."""


class Disabled(StrEnum):
    """Why auto-recharge requests nothing although the balance is below the trigger."""

    THREE_FAILURES = "threeFailures"
    MONTHLY_LIMIT = "monthlyLimit"
    DAILY_LIMIT = "dailyLimit"


class AutoRecharge(NamedTuple):
    """The settings of the admin, in micro-units of the account's currency."""

    trigger_micros: int
    recharge_micros: int
    monthly_limit_micros: int | None = None

    @property
    def may_ever_recharge(self) -> bool:
        """Whether the monthly limit allows one recharge in a month without any other."""
        limit_micros = self.monthly_limit_micros
        return limit_micros is None or self.recharge_micros <= limit_micros


class RechargeRequest(NamedTuple):
    """A request to the billing system to buy credit."""

    recharge_id: str
    amount_micros: int
    requested_at: datetime
    attempted_at: datetime
    attempt: int = 1  # the first one is 1


class RechargeState(NamedTuple):
    """What was requested and what became of it."""

    requests: int = 0
    open: RechargeRequest | None = None  # the one request without a reported outcome
    failures: int = 0  # in a row
    # What was requested in the UTC month that begins at `month`, less what failed, and what was
    # paid in it after it had failed. An open request counts, since it may still be paid.
    month: datetime | None = None
    month_micros: int = 0
    # The attempts of the UTC day that begins at `day`.
    day: datetime | None = None
    day_requests: int = 0
    stopped_by: Disabled | None = None  # the limit that was reached, and that was notified

    def next_step(
        self, auto: AutoRecharge | None, balance_micros: int, *, organization_id: str, now: datetime
    ) -> tuple[RechargeState, RechargeRequest | Disabled | None]:
        """Return the next state, and a due request or the limit in its way (docs/domain.md §5.3).

        Each time that a limit is reached it is returned once.
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
            return self._replace(stopped_by=limit), None if self.stopped_by is limit else limit
        request = RechargeRequest(
            recharge_id=recharge_id(organization_id, self.requests + 1),
            amount_micros=auto.recharge_micros,
            requested_at=now,
            attempted_at=now,
        )
        return self._with_sent(request), request

    def due_at(self, auto: AutoRecharge | None, balance_micros: int) -> datetime | None:
        """Return when time alone makes a request possible; None if it never does."""
        if auto is None:
            return None
        if self.open is not None:
            return self.open.attempted_at + RESEND_AFTER
        if balance_micros >= auto.trigger_micros or self.failures >= MAX_FAILURES:
            return None
        if self.stopped_by is Disabled.DAILY_LIMIT:
            return self.day and self.day + timedelta(days=1)
        if self.stopped_by is Disabled.MONTHLY_LIMIT and auto.may_ever_recharge:
            return self.month and month_start(self.month + timedelta(days=31))
        return None

    @property
    def unanswered_from(self) -> datetime | None:
        """The instant from which the open request alarms operators; None without one."""
        return None if self.open is None else self.open.requested_at + UNANSWERED_AFTER

    def unanswered_at(self, at: datetime) -> RechargeRequest | None:
        """Return the open request if an answer to it is overdue at an instant."""
        since = self.unanswered_from
        return self.open if since is not None and since <= at else None

    def succeeded(self, recharge_id: str | None) -> RechargeState:
        """Return the state after a purchase, which switches auto-recharge on again."""
        is_paid = self.waits_for(recharge_id)
        return self._replace(open=None if is_paid else self.open, failures=0)

    def paid_after_failure(self, amount_micros: int, now: datetime) -> RechargeState:
        """Return the state after a request was paid that had failed before."""
        state = self._counting_at(now)
        return state._replace(month_micros=state.month_micros + amount_micros)

    def failed(self, recharge_id: str) -> RechargeState:
        """Return the state after a failure, which counts only for the open request."""
        request = self.open
        if request is None or request.recharge_id != recharge_id:
            return self
        is_of_month = self.month == month_start(request.requested_at)
        month_micros = self.month_micros - is_of_month * request.amount_micros
        return self._replace(open=None, failures=self.failures + 1, month_micros=month_micros)

    def reconfigured(self) -> RechargeState:
        """Return the state under changed settings; an open request stays open."""
        return self._replace(failures=0, stopped_by=None, day_requests=0)

    def waits_for(self, recharge_id: str | None) -> bool:
        """Whether this request is the open one; without an id it is none."""
        return self.open is not None and self.open.recharge_id == recharge_id

    def _send_again(
        self, request: RechargeRequest, now: datetime
    ) -> tuple[RechargeState, RechargeRequest | None]:
        # No limit can prevent it: it is counted for its month, and the only attempt of its day.
        if now < request.attempted_at + RESEND_AFTER:
            return self, None
        again = request._replace(attempted_at=now, attempt=request.attempt + 1)
        return self._with_sent(again), again

    def _with_sent(self, request: RechargeRequest) -> RechargeState:
        state, is_first = self._counting_at(request.attempted_at), request.attempt == 1
        return state._replace(
            requests=state.requests + is_first,
            open=request,
            month_micros=state.month_micros + is_first * request.amount_micros,
            day_requests=state.day_requests + 1,
            stopped_by=None,
        )

    def _limit_before(self, auto: AutoRecharge, now: datetime) -> Disabled | None:
        # The monthly limit is stated first, since it lasts longer.
        state, limit_micros = self._counting_at(now), auto.monthly_limit_micros
        if limit_micros is not None and state.month_micros + auto.recharge_micros > limit_micros:
            return Disabled.MONTHLY_LIMIT
        return Disabled.DAILY_LIMIT if state.day_requests >= MAX_REQUESTS_A_DAY else None

    def _back_above(self) -> RechargeState:
        # The monthly limit is notified again at the next fall, the daily one once a day.
        is_monthly = self.stopped_by is Disabled.MONTHLY_LIMIT
        return self._replace(stopped_by=None) if is_monthly else self

    def _counting_at(self, now: datetime) -> RechargeState:
        month = month_start(now)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return self._replace(
            month=month,
            month_micros=self.month_micros if self.month == month else 0,
            day=day,
            day_requests=self.day_requests if self.day == day else 0,
        )


def recharge_id(organization_id: str, number: int) -> str:
    """Return the id of the n-th request of an organization: the same if it is decided again."""
    return str(uuid.uuid5(_NAMES, f"{organization_id}#{number}"))
