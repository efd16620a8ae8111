"""Read the calls of a period as they were at one version of the account.

The account is read first. What its version counts is in lists and revisions from then on, and these
never change; what is of a later version is left out. So all calls of a report are of one instant,
whatever is charged or rated again meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.open_days import open_days

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date, datetime

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.periods import Period
    from perminute.domain.reporting.postings import ListedUsage
    from perminute.domain.reporting.usage_sums import UsageFilter
    from perminute.ports.postings import Postings


def usages_of(
    postings: Postings, account: Account, period: Period, wanted: UsageFilter, deadline: Deadline
) -> Iterator[ListedUsage]:
    """Go through the calls that ended in a period, list by list.

    Raises `Unavailable`, also if time runs out.
    """
    usages = _ended_in(postings, account, period, deadline)
    return filter(wanted.includes, usages) if any(wanted) else usages


def _ended_in(
    postings: Postings, account: Account, period: Period, deadline: Deadline
) -> Iterator[ListedUsage]:
    if period.is_empty:
        return
    organization_id, since, until = account.organization_id, period.since, period.end_of_days
    revisions = postings.revisions(organization_id, since=since, until=period.revised_until)
    current = CurrentUsages(account.version, deadline.each(revisions))
    lists = postings.usage_lists(organization_id, since=since, until=until)
    for usage_list in deadline.each(lists):
        for usage in current.of(usage_list):
            if period.includes(usage.ended_at):
                yield usage


def open_days_of(
    reader: ReportReader, account: Account, period: Period, at: datetime, deadline: Deadline
) -> Sequence[date]:
    """Return the days of a period that something that waits may change. Raises `Unavailable`."""
    organization_id = account.organization_id
    # The account names the months whose pools are unsettled.
    months = account.provisional.months if account.provisional is not None else ()
    pools = reader.retry.call(
        lambda: reader.credit.pools(organization_id, months), organization_id, deadline
    )
    return open_days(period, reader.reratings.waiting(organization_id), pools.values(), at)
