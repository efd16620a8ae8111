"""Usage is what the calls were after a version, however it is read and grouped."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING
from unittest.mock import patch

from builders import ORGANIZATION
from histories import another_posting, histories, periods
from hypothesis import given
from hypothesis import strategies as st

from perminute.application.reporting import calls
from perminute.application.reporting.calls import CallsPlace, CallsQuestion, calls_page
from perminute.application.reporting.usage import usages_of
from perminute.application.retry import NEVER
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.reporting.usage_sums import (
    GroupKey,
    UsageFilter,
    UsageSums,
    group_usage,
)

if TYPE_CHECKING:
    from random import Random

    from histories import History

    from perminute.domain.reporting.periods import Period


def filters() -> st.SearchStrategy[UsageFilter]:
    return st.builds(
        UsageFilter,
        organizer_id=st.sampled_from([None, None, "adele"]),
        outcome=st.sampled_from([None, None, Outcome.CHARGED]),
    )


@given(histories(), st.data(), st.randoms(use_true_random=False))
def test_calls_are_what_they_were_after_a_version(
    history: History, data: st.DataObject, order: Random
) -> None:
    version = data.draw(st.integers(0, history.version))
    order.shuffle(history.lists)
    order.shuffle(history.revised)
    current = CurrentUsages(version, history.revised)
    read = sorted(chain.from_iterable(map(current.of, history.lists)))
    paid = (u for u in history.states[version].values() if u.outcome is not Outcome.FREE)
    assert read == sorted(paid)


@given(histories(), st.lists(st.sampled_from(GroupKey), unique=True))
def test_the_total_is_the_same_however_calls_are_grouped(
    history: History, group_by: list[GroupKey]
) -> None:
    calls = list(history.states[-1].values())
    rows = group_usage(calls, group_by)
    expected, total = UsageSums(), UsageSums()
    for usage in calls:
        expected.add(usage)
    total.add_all(row.sums for row in rows)
    assert total == expected
    assert len({row.values for row in rows}) == len(rows)
    assert all(len(row.values) == len(group_by) for row in rows)


@given(histories(), periods(), filters())
def test_usage_of_a_period_is_that_of_the_calls_that_ended_in_it(
    history: History, period: Period, wanted: UsageFilter
) -> None:
    account = history.account(ORGANIZATION)
    read = sorted(usages_of(history, account, period, wanted, NEVER))
    assert read == expected(history, history.version, period, wanted)


@given(histories(), periods(), filters(), st.integers(1, 4), st.data())
def test_pages_together_are_each_call_once_whatever_is_posted_between_them(
    history: History, period: Period, wanted: UsageFilter, limit: int, data: st.DataObject
) -> None:
    version, place, read = history.version, CallsPlace(), list[ListedUsage]()
    question = CallsQuestion(ORGANIZATION, version, period, wanted)
    most_read = data.draw(st.integers(1, 20))
    for _ in range(100):
        with patch.object(calls, "MAX_CALLS_READ", most_read):
            page = calls_page(history, question, limit=limit, after=place, deadline=NEVER)
        assert len(page.usages) <= limit
        read += page.usages
        if page.next is None:
            break
        place = page.next
        if data.draw(st.booleans()):
            data.draw(another_posting(history))
    assert page.next is None
    assert sorted(read) == expected(history, version, period, wanted)


def expected(
    history: History, version: int, period: Period, wanted: UsageFilter
) -> list[ListedUsage]:
    return sorted(
        usage
        for usage in history.states[version].values()
        if usage.outcome is not Outcome.FREE
        and period.since <= usage.ended_at < period.until
        and wanted.includes(usage)
    )
