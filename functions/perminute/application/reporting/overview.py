"""Read how the credit of an organization stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.application.further_lots import further_lots
from perminute.domain.licensing.licensing import Licensing, counts_seats
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.overview import overview

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.reporting.overview import Overview


def read_overview(
    reader: ReportReader, organization_id: str, at: datetime, deadline: Deadline
) -> Overview:
    """Read account, pool and organization in one request; further lots and seats in others.

    Raises `Unavailable` if charges were in the way of all attempts, or time ran out.
    """

    def attempt() -> Overview:
        account, pool, organization = reader.accounts.account_state(organization_id, Month.of(at))
        licensing = Licensing(organization)
        if counts_seats(organization):
            licensing = reader.licensing.for_account(account, ())
        return overview(account, pool, licensing, at, further_lots(reader.credit, account))

    return reader.retry.call(attempt, organization_id, deadline)
