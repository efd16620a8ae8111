"""Read what the forecast rests on: what calls cost by day, and the credit as it is."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.further_lots import further_lots
from perminute.application.reporting.usage import usages_of
from perminute.domain.forecast.forecast import SpentSoFar, forecast
from perminute.domain.forecast.run_out import Credit
from perminute.domain.forecast.spend_model import MAX_DAYS, SpendHistory
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.usage_sums import UsageFilter
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.forecast.forecast import Forecast, NotEnoughData
    from perminute.ports.postings import Postings


class AccountForecast(NamedTuple):
    """The account, and the forecast by what it counts."""

    account: Account
    forecast: Forecast | NotEnoughData


def read_forecast(
    reader: ReportReader,
    organization_id: str,
    at: datetime,
    deadline: Deadline,
    *,
    horizon_days: int,
) -> AccountForecast:
    """Read the account with all its lots, and then the calls of the days that count.

    Raises `Unavailable` if charges were in the way of all attempts, or time ran out.
    """

    def attempt() -> tuple[Account, Credit]:
        account = reader.postings.account(organization_id)
        return account, credit_of(account, further_lots(reader.credit, account))

    account, credit = reader.retry.call(attempt, organization_id, deadline)
    spent = read_spent(reader.postings, account, at, deadline)
    return AccountForecast(account, spent.forecast(credit, horizon_days=horizon_days))


class Spent(NamedTuple):
    """What calls cost until an instant: by day, and in its month."""

    history: SpendHistory
    so_far: SpentSoFar
    at: datetime
    version: int  # of the account: what it counts is in it

    @property
    def is_nothing(self) -> bool:
        """Whether no day that counts had a cost."""
        return not (self.history.active_days or any(self.so_far))

    def forecast(self, credit: Credit, *, horizon_days: int) -> Forecast | NotEnoughData:
        """Return the forecast of this credit."""
        return forecast(self.history, credit, self.so_far, at=self.at, horizon_days=horizon_days)


def read_spent(postings: Postings, account: Account, at: datetime, deadline: Deadline) -> Spent:
    """Read the calls of the days that count; raises `Unavailable`, also if time runs out."""
    today = at.astimezone(UTC).date()
    first_day = today - timedelta(days=MAX_DAYS)
    period = Period(datetime.combine(first_day, time(), UTC), end_of(today))
    spent: Counter[date] = Counter()
    for usage in usages_of(postings, account, period, UsageFilter(), deadline):
        spent[usage.ended_at.date()] += usage.charge_micros
    days = [first_day + timedelta(days=number) for number in range(MAX_DAYS)]
    of_month = sum(spent[day] for day in days if _is_of_month(day, today))
    return Spent(
        SpendHistory(first_day, tuple(spent[day] for day in days)),
        SpentSoFar(of_month, spent[today]),
        at,
        account.version,
    )


def credit_of(account: Account, further: Lots) -> Credit:
    """Return the credit of an account with its further lots."""
    return Credit(
        (*account.lots, *further), account.debt_micros, account.auto_recharge, account.recharge
    )


def _is_of_month(day: date, today: date) -> bool:
    return (day.year, day.month) == (today.year, today.month)
