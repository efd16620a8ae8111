"""Read what the statement of a month rests on, as of one version of the account."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.statement import state_month

if TYPE_CHECKING:
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.statement import Basis, Statement
    from perminute.ports.postings import Postings

_DAY = timedelta(days=1)


class StatementQuestion(NamedTuple):
    """Which statement is asked for."""

    organization_id: str
    month: Month
    basis: Basis
    with_details: bool = False  # its entries, and its usage by day


def read_statement(
    postings: Postings, question: StatementQuestion, deadline: Deadline
) -> tuple[Account, Statement]:
    """Read the account, and state a month by what its version counts.

    Raises `Unavailable`, also if time runs out.
    """
    organization_id, month, basis, with_details = question
    account, period = postings.account(organization_id), Period(month.start, month.end)
    # The instant after the last day on which a call can have ended that the account counts.
    known_until = (account.as_of or month.end) + _DAY
    lists = partial(postings.usage_lists, organization_id)
    revisions = postings.revisions(organization_id, since=month.start, until=period.revised_until)
    statement = state_month(
        month,
        basis,
        account,
        revisions=deadline.each(revisions),
        entries=deadline.each(postings.entries(organization_id, posted_since=month.start)),
        # A charge may be in a list of the day before it was posted.
        lists=deadline.each(lists(since=month.start - _DAY, until=month.end)),
        later_lists=deadline.each(lists(since=month.end, until=known_until)),
        with_details=with_details,
    )
    return account, statement
