"""What reports are read from: ports of which nothing is ever written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perminute.application.licensing_cache import LicensingCache
    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.licensing import Licensing
    from perminute.ports.messaging import RateCards
    from perminute.ports.postings import Postings
    from perminute.ports.reports import AccountStates
    from perminute.ports.statements import StatementRenderer
    from perminute.ports.stores import Calls, CreditStore, Reratings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReader:
    """The ports of all reports. Whatever is read raises `Unavailable`."""

    accounts: AccountStates
    postings: Postings
    credit: CreditStore
    calls: Calls
    licensing: LicensingCache
    rate_cards: RateCards
    reratings: Reratings
    retry: RetryPolicy
    renderer: StatementRenderer | None = None  # None: this deployment makes no PDF

    def all_licenses(self, organization_id: str, deadline: Deadline) -> tuple[Account, Licensing]:
        """Read the account, and the licenses of all users as of the same version."""

        def attempt() -> tuple[Account, Licensing]:
            account = self.postings.account(organization_id)
            return account, self.licensing.for_all_users(account)

        return self.retry.call(attempt, organization_id, deadline)
