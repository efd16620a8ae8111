"""When admins are notified of a forecast: once while it is true (docs/domain.md §7.4)."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from perminute.domain.credit.accounts import NO_FORECAST, ForecastState
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.forecast.forecast import Forecast
from perminute.domain.notifications.notifications import MonthCostForecast, RunOutForecast
from perminute.domain.pools.pools import Month

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.forecast.forecast import NotEnoughData, SpentSoFar

RUNS_OUT_WITHIN_DAYS = 7
"""How far ahead the expected day may be when admins are notified: time enough to buy credit."""


def notify_of_forecast(
    account: Account,
    found: Forecast | NotEnoughData,
    so_far: SpentSoFar,
    at: datetime,
    *,
    is_idle: bool = False,
) -> Transaction | None:
    """Return the transaction that notifies of a forecast; None if there is nothing to do.

    What is due by `at` must have been booked before. If the account `is_idle`, none of its calls
    counts any more, and it is forecast again after the next charge.
    """
    builder = TransactionBuilder(account, at)
    runs_out = month = None
    if isinstance(found, Forecast):
        runs_out = runs_out_soon(account, found, at)
        month = exceeds_budget(account, found, so_far, Month.of(at.astimezone(UTC)))
    before = account.forecast
    after = ForecastState(
        before.since,
        # Admins know already that the credit is used up: nothing changes.
        before.runs_out if account.balance_micros <= 0 else runs_out is not None,
        None if month is None else Month.parse(month.period),
    )
    if is_idle:
        after = NO_FORECAST
    if after == before:
        return None
    # The version distinguishes it from one of the same day, after which more credit was bought.
    cause = account.version
    if runs_out is not None and after.runs_out and not before.runs_out:
        builder.notify(runs_out, cause=cause)
    if month is not None and after.over_budget != before.over_budget:
        builder.notify(month, cause=cause)
    builder.set(forecast=after)
    return builder.build(may_ask=False)


def runs_out_soon(account: Account, found: Forecast, at: datetime) -> RunOutForecast | None:
    """Return a notification if the credit is expected to run out within days."""
    expected = found.runs_out.expected
    latest = at.astimezone(UTC).date() + timedelta(days=RUNS_OUT_WITHIN_DAYS)
    if expected is None or expected > latest:
        return None
    return RunOutForecast(
        runs_out=found.runs_out,
        balance_micros=account.balance_micros,
        currency=account.currency,
        confidence=found.confidence,
    )


def exceeds_budget(
    account: Account, found: Forecast, so_far: SpentSoFar, month: Month
) -> MonthCostForecast | None:
    """Return a notification if a month is expected to cost more than its budget."""
    budget_micros = account.settings.monthly_budget_micros if account.settings else None
    if budget_micros is None or found.month.expected <= budget_micros:
        return None
    return MonthCostForecast(
        period=str(month),
        month=found.month,
        monthly_budget_micros=budget_micros,
        spent_micros=so_far.before_today_micros + so_far.today_micros,
        currency=account.currency,
        confidence=found.confidence,
    )
