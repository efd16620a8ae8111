"""Bugs in what is notified of forecasts, each with the promise that it breaks."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from perminute.application import notify_forecasts
from perminute.domain.forecast import notified
from perminute.domain.forecast.notified import notify_of_forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.notifications.notifications import MonthCostForecast


@contextmanager
def forgetting_what_was_notified() -> Iterator[None]:
    """Each daily run notifies of what is still true."""

    def forgetful(account: Account, *known: Any, **more: Any) -> Transaction | None:
        found = notify_of_forecast(account, *known, **more)
        if found is None:
            return None
        return found._replace(after=found.after._replace(forecast=account.forecast))

    with patch.object(notify_forecasts, "notify_of_forecast", forgetful):
        yield


@contextmanager
def any_cost_exceeds_the_budget() -> Iterator[None]:
    """Who has a budget is notified of each month."""
    of_month = notified.exceeds_budget

    def without_budget(account: Account, *known: Any) -> MonthCostForecast | None:
        if account.settings is None or account.settings.monthly_budget_micros is None:
            return None
        settings = account.settings._replace(monthly_budget_micros=0)
        return of_month(account._replace(settings=settings), *known)

    with patch.object(notified, "exceeds_budget", without_budget):
        yield


FORECAST_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    forgetting_what_was_notified: "a forecast is notified of once while it is true",
    any_cost_exceeds_the_budget: (
        "a forecast that is notified of concerns the next days or exceeds the budget"
    ),
}
