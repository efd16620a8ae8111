"""Usage: sums over calls, by any combination of their attributes."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date

    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.usage_record import Outcome
    from perminute.domain.reporting.postings import ListedUsage

    KeyValue = date | str | None


class GroupKey(StrEnum):
    """An attribute of calls by which usage is grouped."""

    DAY = "day"  # the UTC day on which the call ended
    ORGANIZER_ID = "organizerId"
    LEG_TYPE = "legType"
    COUNTRY = "country"  # of the row of the rate card; None without one, as for the prefix
    PREFIX = "prefix"
    OUTCOME = "outcome"


_VALUES: dict[GroupKey, Callable[[ListedUsage], KeyValue]] = {
    GroupKey.DAY: lambda usage: usage.ended_at.date(),
    GroupKey.ORGANIZER_ID: lambda usage: usage.organizer_id,
    GroupKey.LEG_TYPE: lambda usage: usage.leg_type,
    GroupKey.COUNTRY: lambda usage: usage.country,
    GroupKey.PREFIX: lambda usage: usage.prefix,
    GroupKey.OUTCOME: lambda usage: usage.outcome,
}


class UsageFilter(NamedTuple):
    """Which calls are reported: those that agree with all that is not None."""

    organizer_id: str | None = None
    leg_type: LegType | None = None
    country: str | None = None
    outcome: Outcome | None = None

    def includes(self, usage: ListedUsage) -> bool:
        """Whether a call is reported."""
        return (
            self.organizer_id in {None, usage.organizer_id}
            and self.leg_type in {None, usage.leg_type}
            and self.country in {None, usage.country}
            and self.outcome in {None, usage.outcome}
        )


@dataclass(slots=True)
class UsageSums:
    """Sums over calls."""

    calls: int = 0
    connected_seconds: int = 0
    billed_seconds: int = 0
    pool_minutes: int = 0
    charge_micros: int = 0  # in the currency of the credit
    # By the currency of the price: credit does not pay prices in others, but their calls may be
    # included or not entitled. Amounts of two currencies are never added.
    retail_micros: Counter[str] = field(default_factory=Counter)

    def add(self, usage: ListedUsage) -> None:
        """Add a call; one without a price adds no retail cost."""
        self.calls += 1
        self.connected_seconds += usage.connected_seconds
        self.billed_seconds += usage.billed_seconds
        self.pool_minutes += usage.pool_minutes
        self.charge_micros += usage.charge_micros
        if usage.retail_micros is not None and usage.currency is not None:
            self.retail_micros[usage.currency] += usage.retail_micros

    def add_all(self, others: Iterable[UsageSums]) -> None:
        """Add the sums over other calls."""
        for other in others:
            self.calls += other.calls
            self.connected_seconds += other.connected_seconds
            self.billed_seconds += other.billed_seconds
            self.pool_minutes += other.pool_minutes
            self.charge_micros += other.charge_micros
            self.retail_micros.update(other.retail_micros)


class UsageRow(NamedTuple):
    """The sums over the calls whose attributes have these values, in the order of `group_by`."""

    values: tuple[KeyValue, ...]
    sums: UsageSums


def group_usage(usages: Iterable[ListedUsage], group_by: Sequence[GroupKey]) -> list[UsageRow]:
    """Sum calls by attributes; the rows are sorted by their values, in each case None last.

    Grouped by nothing, all calls are one row; without calls there is none.
    """
    values_of = [_VALUES[key] for key in group_by]
    groups: dict[tuple[KeyValue, ...], UsageSums] = {}
    for usage in usages:
        values = tuple([value_of(usage) for value_of in values_of])
        if (sums := groups.get(values)) is None:
            sums = groups[values] = UsageSums()
        sums.add(usage)
    return sorted((UsageRow(*group) for group in groups.items()), key=_none_last)


def regroup(rows: Iterable[UsageRow], *places: int) -> list[UsageRow]:
    """Sum rows by the attributes of their key at these places."""
    groups: defaultdict[tuple[KeyValue, ...], UsageSums] = defaultdict(UsageSums)
    for row in rows:
        groups[tuple([row.values[place] for place in places])].add_all([row.sums])
    return sorted((UsageRow(*group) for group in groups.items()), key=_none_last)


def _none_last(row: UsageRow) -> list[tuple[bool, KeyValue]]:
    return [(value is None, value or "") for value in row.values]
