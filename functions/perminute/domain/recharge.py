"""Auto-recharge: when to ask for credit to be bought, and when to stop asking (DOMAIN §5).

One request at a time, a limit for each month, off after three failures in a row: a card that
fails is not tried for ever, and no crossing is paid for twice.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

OUTCOME_WITHIN = timedelta(hours=24)
"""How long a request stands in the way of the next one when nobody tells what became of it."""

MAX_FAILURES = 3
"""Failures in a row that switch auto-recharge off."""

MAX_WAITING = 5
"""Requests without an outcome that are remembered. The account item must stay small; an outcome
that comes after five further days of silence is booked all the same."""

_NAMES = uuid.UUID("6a3f5f0c-6d2e-5b0e-9d53-2f4e6b1f7a10")
"""The namespace of our recharge ids: any constant would do, but it must never change."""


class Disabled(StrEnum):
    """Why auto-recharge asks for nothing although the balance is below the trigger."""

    THREE_FAILURES = "threeFailures"
    MONTHLY_LIMIT = "monthlyLimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoRecharge:
    """What the admin configured; micro-units of the account's currency."""

    trigger_micros: int
    recharge_micros: int
    monthly_limit_micros: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeRequest:
    """Credit that we asked to be bought."""

    recharge_id: str
    amount_micros: int
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeState:
    """What was asked for and what became of it.

    `month_micros` is what was asked for in the UTC month that begins at `month`, less what
    failed; a request without an outcome counts, since it may still be paid.
    """

    requests: int = 0
    waiting: tuple[RechargeRequest, ...] = ()
    failures: int = 0
    month: datetime | None = None
    month_micros: int = 0
    limit_told: bool = False

    def next_step(
        self, auto: AutoRecharge | None, balance_micros: int, *, organization_id: str, now: datetime
    ) -> tuple[RechargeState, RechargeRequest | Disabled | None]:
        """Decide what a balance asks for; the limit is told once, until it no longer matters.

        `now` never goes back: somebody is to pay from now on, however late an event tells why.
        """
        if auto is None:
            return self, None
        if balance_micros >= auto.trigger_micros:
            return replace(self, limit_told=False), None
        if self.failures >= MAX_FAILURES or self._outstanding(now):
            return self, None
        month = _month_of(now)
        asked_micros = self.month_micros if self.month == month else 0
        limit_micros = auto.monthly_limit_micros
        if limit_micros is not None and asked_micros + auto.recharge_micros > limit_micros:
            told = None if self.limit_told else Disabled.MONTHLY_LIMIT
            return replace(self, limit_told=True), told
        request = RechargeRequest(
            recharge_id=recharge_id(organization_id, self.requests + 1),
            amount_micros=auto.recharge_micros,
            requested_at=now,
        )
        state = RechargeState(
            requests=self.requests + 1,
            waiting=(*self.waiting, request)[-MAX_WAITING:],
            failures=self.failures,
            month=month,
            month_micros=asked_micros + auto.recharge_micros,
        )
        return state, request

    def due_at(self, auto: AutoRecharge | None, balance_micros: int) -> datetime | None:
        """Tell when time alone allows what is not allowed now; None if it never does."""
        if auto is None or balance_micros >= auto.trigger_micros or self.failures >= MAX_FAILURES:
            return None
        if self.limit_told:
            limit_micros = auto.monthly_limit_micros
            if self.month is None or limit_micros is None or auto.recharge_micros > limit_micros:
                return None
            return _next_month(self.month)
        return self.waiting[-1].requested_at + OUTCOME_WITHIN if self.waiting else None

    def succeeded(self, recharge_id: str | None) -> RechargeState:
        """Take note of a purchase: it switches recharging on again, whoever made it."""
        waiting = tuple(one for one in self.waiting if one.recharge_id != recharge_id)
        return replace(self, waiting=waiting, failures=0)

    def failed(self, recharge_id: str) -> RechargeState:
        """Take note of a failure; only that of a request whose outcome was open counts."""
        request = next((one for one in self.waiting if one.recharge_id == recharge_id), None)
        if request is None:
            return self
        back_micros = request.amount_micros if self.month == _month_of(request.requested_at) else 0
        return replace(
            self,
            waiting=tuple(one for one in self.waiting if one is not request),
            failures=self.failures + 1,
            month_micros=self.month_micros - back_micros,
        )

    def reconfigured(self) -> RechargeState:
        """Start afresh under new settings; what was asked for stays asked for."""
        return replace(self, failures=0, limit_told=False)

    def waits_for(self, recharge_id: str) -> bool:
        """Whether the outcome of this request is open."""
        return any(one.recharge_id == recharge_id for one in self.waiting)

    def _outstanding(self, now: datetime) -> bool:
        return bool(self.waiting) and now < self.waiting[-1].requested_at + OUTCOME_WITHIN


def recharge_id(organization_id: str, number: int) -> str:
    """Name the n-th request of an organization: the same whoever decides on it, and how often."""
    return str(uuid.uuid5(_NAMES, f"{organization_id}#{number}"))


def _month_of(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(month: datetime) -> datetime:
    """The first instant of the month after; a month never has more than 31 days."""
    return _month_of(month + timedelta(days=31))
