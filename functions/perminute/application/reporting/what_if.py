"""Read the recorded calls of a month, to rate them with other rates, licenses or pool minutes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.reporting.listed_rates import read_records
from perminute.application.reporting.usage import usages_of
from perminute.domain.advice.what_if import RecordedCall, what_if
from perminute.domain.errors import Refused
from perminute.domain.pools.pools import LONGEST_CALL, Month
from perminute.domain.rating.rate_card import RateCard
from perminute.domain.rating.rating import RatingContext
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.usage_sums import UsageFilter

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.advice.what_if import Change, WhatIf
    from perminute.domain.credit.accounts import Account

MAX_CALLS = 50_000
"""Calls of a month: 500 requests read their records."""


class AccountWhatIf(NamedTuple):
    """The account, the users of whom anything is recorded, and what its calls would have cost."""

    account: Account
    users: Collection[str]
    found: WhatIf


def read_what_if(
    reader: ReportReader, organization_id: str, month: Month, change: Change, deadline: Deadline
) -> AccountWhatIf:
    """Read the licenses of all users, and the calls that were answered in a month.

    Raises `Refused` if there are too many calls, and `Unavailable`.
    """
    account, licensing = reader.all_licenses(organization_id, deadline)
    period = Period(month.start, month.end + LONGEST_CALL)
    listed = usages_of(reader.postings, account, period, UsageFilter(), deadline)
    answered = (usage for usage in listed if Month.of(usage.answered_at) == month)
    usages = {usage.call_id: usage for usage in islice(answered, MAX_CALLS + 1)}
    if len(usages) > MAX_CALLS:
        msg = f"{month} has more than {MAX_CALLS:,} calls, too many to rate again in one request"
        raise Refused("month", msg)
    records = read_records(reader, organization_id, list(usages), deadline)
    calls = [
        RecordedCall(usages[call_id], record.call, record.price.as_card(usages[call_id].leg_type))
        for call_id, record in records.items()
    ]
    context = RatingContext.of(account, licensing, RateCard(()))
    return AccountWhatIf(account, licensing.users, what_if(calls, month, context, change))
