"""Usage is what the calls were after a version, however it is read and grouped."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from histories import histories
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.usage_sums import GroupKey, UsageSums, group_usage

if TYPE_CHECKING:
    from random import Random

    from histories import History


@given(histories(), st.data(), st.randoms(use_true_random=False))
def test_calls_are_what_they_were_after_a_version(
    history: History, data: st.DataObject, order: Random
) -> None:
    version = data.draw(st.integers(0, history.version))
    order.shuffle(history.lists)
    order.shuffle(history.revisions)
    current = CurrentUsages(version, history.revisions)
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
