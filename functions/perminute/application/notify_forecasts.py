"""Forecast, and notify admins once of credit that runs out and of a month that costs too much."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.further_lots import further_lots
from perminute.application.reporting.forecast import credit_of, read_spent
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.application.transact import transact
from perminute.domain.errors import Unavailable
from perminute.domain.forecast.forecast import HORIZON_DAYS, Forecast
from perminute.domain.forecast.notified import RUNS_OUT_WITHIN_DAYS, notify_of_forecast

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from perminute.application.reporting.forecast import Spent
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.ports.postings import Postings
    from perminute.ports.stores import CreditStore

READ_SECONDS = 120
"""How long reading the calls of an organization, those of 84 days, may take.

At the pace of
`DynamoDBPostings`, 6 MB a second, these are some ten million calls."""


class ForecastDone(NamedTuple):
    """What became of the forecast of an organization."""

    notified: tuple[str, ...] = ()  # types of notifications
    left_out: bool = False  # it has too many calls to read them each day
    failed: Unavailable | None = None
    goes_on: bool = False  # time ran out, and a further message makes the forecast


@dataclass(frozen=True, slots=True)
class NotifyForecasts:
    """The use case with what it needs from outside."""

    credit: CreditStore
    postings: Postings
    retry: RetryPolicy
    clock: Callable[[], float] = time.monotonic

    def __call__(
        self, organization_id: str, at: datetime, deadline: Deadline = NEVER
    ) -> ForecastDone:
        """Forecast as of `at`, and notify of what is true now and was not notified of yet."""
        most = Deadline(self.clock() + READ_SECONDS, self.clock)
        until = min(most, deadline, key=lambda one: one.at)
        try:
            account = self.credit.account(organization_id)
            if account.forecast_from is None or account.forecast_from > at:
                return ForecastDone()
            # Not before anything booked: a run that is late knows of later calls.
            spent = read_spent(self.postings, account, account.now(at), until)
        except Unavailable as error:
            if deadline.passed:
                return ForecastDone(goes_on=True)
            return ForecastDone(left_out=True) if most.passed else ForecastDone(failed=error)
        try:
            transaction = self._notify(organization_id, spent, at, deadline)
        except Unavailable as error:
            return ForecastDone(failed=error)
        sent = transaction.notifications if transaction is not None else ()
        return ForecastDone(tuple(notification.type for notification in sent))

    def _notify(
        self, organization_id: str, spent: Spent, at: datetime, deadline: Deadline
    ) -> Transaction | None:
        def decide(account: Account) -> Transaction | None:
            # By the account as it is now. The calls were read a moment before, once.
            credit = credit_of(account, further_lots(self.credit, account))
            # Most organizations do not run out soon, and a short horizon shows that in less time.
            found = spent.forecast(credit, horizon_days=RUNS_OUT_WITHIN_DAYS + 1)  # from today on
            if isinstance(found, Forecast) and found.runs_out.expected is not None:
                # The notification says by when at the latest.
                found = spent.forecast(credit, horizon_days=HORIZON_DAYS)
            # Unless it was charged meanwhile.
            is_idle = spent.is_nothing and account.version == spent.version
            return notify_of_forecast(account, found, spent.so_far, spent.at, is_idle=is_idle)

        return transact(self.credit, organization_id, decide, self.retry, deadline, at=at)
