"""What goes of a long timeline, and what must stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from builders import fact

from perminute.domain.licensing.timelines import Fact, Timeline, fold

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def held(value: bool, days: int, identity: str = "e") -> Fact:  # noqa: FBT001 - what the fact says
    """Whether a license is held from so many days before the horizon on."""
    return fact("license:X", value, BEFORE - days * DAY, identity)


def test_old_repeats_go_and_each_change_stays() -> None:
    changes = [held(value=True, days=9), held(value=False, days=5), held(value=True, days=3)]
    repeats = [held(value=True, days=8), held(value=True, days=7), held(value=True, days=1)]
    assert fold([*changes, *repeats], BEFORE) == frozenset(changes)


def test_a_repeat_from_the_horizon_on_stays_for_a_removal_may_come_in_between() -> None:
    facts = [held(value=True, days=2), held(value=True, days=0), held(value=True, days=-1)]
    assert fold(facts, BEFORE) == frozenset(facts)


def test_the_first_that_is_said_of_an_attribute_stays_even_if_it_is_a_removal() -> None:
    facts = [held(value=False, days=9), fact("country", "DE", BEFORE - DAY)]
    assert fold(facts, BEFORE) == frozenset(facts)


def test_of_one_old_instant_the_fact_that_holds_stays() -> None:
    """Though it repeats: without it the other would hold, should that one be left behind."""
    first, removed = held(value=True, days=9), held(value=False, days=5, identity="1")
    holds = replace(held(value=True, days=5, identity="2"), issued_at=BEFORE)
    kept = fold([holds, removed, first], BEFORE)
    assert kept == {first, holds}
    assert fold(kept, BEFORE) == {first}


def test_minutes_used_before_the_cutover_repeat_nothing_for_they_hold_for_one_month() -> None:
    facts = [
        fact("poolMinutesUsed", 45, datetime(2025, month, 1, tzinfo=UTC)) for month in (9, 10, 11)
    ]
    assert fold(facts, BEFORE) == frozenset(facts)


def test_nothing_old_is_nothing_to_fold() -> None:
    assert fold([], BEFORE) == frozenset()
    assert Timeline(fold([held(value=True, days=1)], BEFORE)).value_at("license:X", BEFORE) is True


def test_the_earliest_copy_of_an_event_stays_until_the_copies_that_it_hides_are_gone() -> None:
    """Else a later copy, should it be left behind, would hold against what was said in between."""
    earliest = replace(held(value=True, days=5), issued_at=BEFORE - 5 * DAY, has_change_id=True)
    copy = replace(earliest, issued_at=BEFORE - 3 * DAY)
    between = replace(held(value=False, days=5, identity="2"), issued_at=BEFORE - 4 * DAY)
    kept = fold([copy, between, earliest], BEFORE)
    assert kept == {earliest, between}
    assert Timeline([copy, *kept]).value_at("license:X", BEFORE) is False
    assert fold(kept, BEFORE) == {between}
