"""The report `usage`: sums over calls, by any combination of their attributes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import UNSET, UnsetType, field

from perminute.api.reports.calls_query import OMITTED, CallsQuery, Omitted
from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.reports.parameters import one_of
from perminute.api.values import Count, Money
from perminute.application.reporting.usage import open_days_of, usages_of
from perminute.domain.reporting.usage_sums import GroupKey, UsageRow, UsageSums, group_usage
from perminute.domain.values.money import format_micros
from perminute.fields import Message, about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader


if TYPE_CHECKING:
    RequestedKey: TypeAlias = GroupKey
else:
    RequestedKey = one_of(GroupKey, "attribute of calls")


class UsageQuery(CallsQuery, frozen=True, kw_only=True):
    """A period, which of its calls, and by what they are grouped."""

    group_by: Annotated[
        tuple[RequestedKey, ...], about("Without it, all calls are one row; without calls, none.")
    ] = ()


class UsageRowDocument(Message, frozen=True, kw_only=True):
    """Sums over calls, with the attributes by which they are grouped; null: the calls have none."""

    day: Annotated[str | UnsetType, about("The UTC day on which the calls ended.")] = UNSET
    organizer_id: str | UnsetType = UNSET
    leg_type: str | UnsetType = UNSET
    country: str | UnsetType | None = UNSET
    prefix: str | UnsetType | None = UNSET
    outcome: str | UnsetType = UNSET
    calls: Count
    connected_seconds: Count
    billed_seconds: Count
    pool_minutes: Count
    charge: Annotated[Money, about("What credit paid.")]
    retail_cost: Annotated[Money, about("The price by the rate card, paid or not.")]
    other_retail_costs: Annotated[
        dict[str, Money] | UnsetType,
        about("Prices in other currencies than `currency`, which credit never pays."),
    ] = UNSET


class UsageDocument(ReportDocument, frozen=True, kw_only=True):
    """Usage by groups, sorted by their attributes, in each case null last."""

    currency: Annotated[
        str | None, about("The currency of the credit; until that is set up, of the retail costs.")
    ]
    group_by: list[GroupKey]
    rows: list[UsageRowDocument]
    total: UsageRowDocument
    may_change: Annotated[
        list[str],
        about("Days whose figures a waiting re-rating or an unsettled minute pool may change."),
    ]
    omits: Omitted = field(default_factory=OMITTED.copy)


@report("usage", UsageQuery, UsageDocument)
def answer(reader: ReportReader, target: ReportTarget, query: UsageQuery) -> UsageDocument:
    """Sum the calls of a period by day, organizer, leg type, country, prefix or outcome."""
    account = reader.postings.account(target.organization_id)
    group_by = tuple(dict.fromkeys(query.group_by))
    period = query.period
    usages = usages_of(reader.postings, account, period, query.wanted, target.deadline)
    rows = group_usage(usages, group_by)
    total = UsageSums()
    total.add_all(row.sums for row in rows)
    currency = account.currency or min(total.retail_micros, default=None)
    may_change = open_days_of(reader, account, period, target.at, target.deadline)
    return UsageDocument(
        as_of=target.as_of(account.version),
        currency=currency,
        group_by=list(group_by),
        rows=[usage_row(row, group_by, currency) for row in rows],
        total=usage_row(UsageRow((), total), (), currency),
        may_change=[day.isoformat() for day in may_change],
    )


def usage_row(
    row: UsageRow, group_by: Sequence[GroupKey], currency: str | None
) -> UsageRowDocument:
    """Write a row; `currency` is that of `retail_cost`."""
    attributes: dict[str, Any] = {
        key.name.lower(): value.isoformat() if isinstance(value, date) else value
        for key, value in zip(group_by, row.values, strict=True)
    }
    sums = row.sums
    retail_costs = {
        name: format_micros(micros) for name, micros in sorted(sums.retail_micros.items())
    }
    return UsageRowDocument(
        **attributes,
        calls=sums.calls,
        connected_seconds=sums.connected_seconds,
        billed_seconds=sums.billed_seconds,
        pool_minutes=sums.pool_minutes,
        charge=format_micros(sums.charge_micros),
        retail_cost=retail_costs.pop(currency or "", "0"),
        other_retail_costs=retail_costs or UNSET,
    )
