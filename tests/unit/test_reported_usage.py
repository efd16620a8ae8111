"""Usage by hand: what a call adds, how rows are sorted, which days may still change."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from builders import ORGANIZATION
from histories import HOUR, START, History, listed

from perminute.application.reporting.usage import usages_of
from perminute.application.retry import Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month, SettlementCursor
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.open_days import open_days
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.usage_sums import (
    GroupKey,
    UsageFilter,
    UsageRow,
    UsageSums,
    group_usage,
)
from perminute.domain.rerating.rerating import Rerating

if TYPE_CHECKING:
    from perminute.domain.reporting.postings import ListedUsage

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def current(history: History, version: int) -> list[ListedUsage]:
    usages = CurrentUsages(version, history.revised)
    return [usage for usage_list in history.lists for usage in usages.of(usage_list)]


def test_a_call_is_what_its_last_revision_up_to_the_version_made_of_it() -> None:
    history, first = History(), listed()
    history.charge(first)
    second = first._replace(outcome=Outcome.POOLED, charge_micros=0, pool_minutes=10)
    history.revise(second)
    third = second._replace(pool_minutes=4, charge_micros=90_000, outcome=Outcome.CHARGED)
    history.revise(third)
    assert [current(history, version) for version in range(4)] == [[], [first], [second], [third]]


def test_a_call_that_ended_at_another_time_counts_where_it_is_listed_last() -> None:
    history, reported = History(), listed()
    history.charge(reported)
    ended = reported._replace(ended_at=START + 24 * HOUR)
    history.revise(ended)
    rerated = ended._replace(charge_micros=0, outcome=Outcome.INCLUDED)
    history.revise(rerated)
    assert len(history.lists) == 2
    assert [current(history, version) for version in (1, 2, 3)] == [[reported], [ended], [rerated]]


def test_a_call_that_has_become_free_is_left_out() -> None:
    history, first = History(), listed()
    history.charge(first)
    history.revise(first._replace(outcome=Outcome.FREE, charge_micros=0))
    assert current(history, 2) == []


def test_rows_are_sorted_and_those_without_a_value_come_last() -> None:
    calls = [
        listed("1", country=None, prefix=None, retail_micros=None, currency=None, charge_micros=0),
        listed("2", START + 24 * HOUR, country="FR", pool_minutes=3),
        listed("3", country="DE"),
        listed("4", country="FR", currency="EUR", charge_micros=0, outcome=Outcome.INCLUDED),
    ]
    rows = group_usage(calls, [GroupKey.COUNTRY, GroupKey.DAY])
    day, next_day = START.date(), START.date() + timedelta(days=1)
    values = [("DE", day), ("FR", day), ("FR", next_day), (None, day)]
    assert [row.values for row in rows] == values
    dollars, euros = Counter({"USD": 150_000}), Counter({"EUR": 150_000})
    assert [row.sums for row in rows] == [
        UsageSums(1, 590, 600, 0, 150_000, dollars),
        UsageSums(1, 590, 600, 0, 0, euros),
        UsageSums(1, 590, 600, 3, 150_000, dollars),
        UsageSums(1, 590, 600, 0, 0, Counter()),
    ]


def test_grouped_by_nothing_all_calls_are_one_row() -> None:
    sums = UsageSums(2, 1180, 1200, 0, 300_000, Counter({"USD": 300_000}))
    assert group_usage([listed("1"), listed("2")], []) == [UsageRow((), sums)]
    assert group_usage([], []) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (UsageFilter(), True),
        (UsageFilter("adele", LegType.DIAL_OUT, "DE", Outcome.CHARGED), True),
        (UsageFilter(organizer_id="enrico"), False),
        (UsageFilter(leg_type=LegType.TOLL_DIAL_IN), False),
        (UsageFilter(country="FR"), False),
        (UsageFilter(outcome=Outcome.POOLED), False),
    ],
)
def test_a_filter_includes_what_agrees_with_all_of_it(
    wanted: UsageFilter, *, expected: bool
) -> None:
    assert wanted.includes(listed()) is expected


def test_a_waiting_rerating_may_change_the_days_since_its_first_instant() -> None:
    at = datetime(2026, 11, 28, 23, tzinfo=UTC)
    rerating = Rerating(
        organization_id=ORGANIZATION,
        rerating_id="event#1",
        at=at,
        since={"adele": at - 24 * HOUR, None: at - 3 * HOUR},
        pools_since=at - 48 * HOUR,
    )
    assert open_days(NOVEMBER, [rerating], [], at) == [date(2026, 11, day) for day in (26, 27, 28)]
    late = Period(at - HOUR, at + HOUR)
    assert open_days(late, [rerating], [], at + 72 * HOUR) == [date(2026, 11, 28)]
    assert open_days(Period(at - 99 * HOUR, at - 72 * HOUR), [rerating], [], at) == []


def test_an_unsettled_pool_may_change_the_days_from_its_place_to_the_end_of_its_month() -> None:
    october = MinutePool(
        ORGANIZATION,
        Month(2026, 10),
        unsettled=SettlementCursor(DrawPosition(datetime(2026, 10, 30, 9, tzinfo=UTC), "")),
    )
    settled = MinutePool(ORGANIZATION, Month(2026, 11))
    # The last call of October may have ended on the first of November.
    both = Period(datetime(2026, 10, 31, tzinfo=UTC), datetime(2026, 11, 9, tzinfo=UTC))
    at = datetime(2026, 11, 20, tzinfo=UTC)
    days = [date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)]
    assert open_days(both, [], [october, settled], at) == days


def test_nothing_more_is_read_of_what_was_revised_once_time_runs_out() -> None:
    history = History()
    history.charge(listed("a", START))
    history.revise(listed("a", START, charge_micros=10))
    period = Period(START, START + HOUR)
    usages = usages_of(history, history.account(ORGANIZATION), period, UsageFilter(), Deadline(0))
    with patch.object(history, "usage_lists"), pytest.raises(Unavailable, match="no time was left"):
        list(usages)
