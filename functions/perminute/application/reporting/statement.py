"""Read what the statement of a month rests on, as of one version of the account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.reporting.postings import MAX_REVISED_DAYS
from perminute.domain.reporting.statement import state_month

if TYPE_CHECKING:
    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.statement import Basis, Statement
    from perminute.ports.postings import Postings

_DAY = timedelta(days=1)


def read_statement(
    postings: Postings,
    organization_id: str,
    month: Month,
    basis: Basis,
    *,
    keeps_entries: bool = False,
) -> tuple[Account, Statement]:
    """Read the account, and state a month by what its version counts. Raises `Unavailable`."""
    account = postings.account(organization_id)
    # The instant after the last day on which a call can have ended that the account counts.
    known_until = (account.as_of or month.end) + _DAY
    statement = state_month(
        month,
        basis,
        account,
        revisions=postings.revisions(
            organization_id,
            since=month.start,
            until=month.end + timedelta(days=MAX_REVISED_DAYS),
        ),
        entries=postings.entries(organization_id, posted_since=month.start),
        # A charge may be in a list of the day before it was posted.
        lists=postings.usage_lists(organization_id, since=month.start - _DAY, until=month.end),
        later_lists=postings.usage_lists(organization_id, since=month.end, until=known_until),
        keeps_entries=keeps_entries,
    )
    return account, statement
