"""The rates of listed calls, to price a part of them again.

A list states the price of a minute at the start of a call, and what all of it costs. If these say
the same, the rate has that price throughout the call. Else it has steps, which only the record of
the call knows.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Rate, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import ListedUsage

CALLS_AT_ONCE = 100
"""One request reads their records."""


def read_rates(
    reader: ReportReader,
    organization_id: str,
    usages: Sequence[ListedUsage],
    deadline: Deadline,
) -> Mapping[str, Rate]:
    """Return the rate of each call that has a price, by its id. Raises `Unavailable`."""
    rates = {usage.call_id: rate for usage in usages if (rate := _flat_rate(usage)) is not None}
    stepped = [
        usage.call_id
        for usage in usages
        if usage.retail_micros is not None and usage.call_id not in rates
    ]
    for call_id, record in read_records(reader, organization_id, stepped, deadline).items():
        (rates[call_id],) = record.price.as_card(record.call.leg_type).rates
    return rates


def read_records(
    reader: ReportReader, organization_id: str, call_ids: Sequence[str], deadline: Deadline
) -> Mapping[str, Usage]:
    """Read the records of calls by their ids. Raises `Unavailable`."""
    records: dict[str, Usage] = {}
    for start in range(0, len(call_ids), CALLS_AT_ONCE):
        deadline.check()
        some = call_ids[start : start + CALLS_AT_ONCE]
        read = partial(reader.calls.usages_by_id, organization_id, some)
        records |= reader.retry.call(read, organization_id, deadline)
    return records


def _flat_rate(usage: ListedUsage) -> Rate | None:
    minute_micros, fee_micros = usage.rate_micros_per_minute, usage.connection_fee_micros
    if minute_micros is None or fee_micros is None or usage.prefix is None:
        return None
    rate = Rate(
        leg_type=usage.leg_type,
        prefix=usage.prefix,
        country=usage.country,
        description="",
        currency=usage.currency or "",
        connection_fee_micros=fee_micros,
        initial_increment_seconds=SECONDS_PER_MINUTE,
        steps=(Step(0, minute_micros, SECONDS_PER_MINUTE),),
        effective_from=None,
        effective_to=None,
        blocked=False,
    )
    return rate if rate.charge_micros(usage.billed_seconds) == usage.retail_micros else None
