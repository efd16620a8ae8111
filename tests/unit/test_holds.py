"""What calls under way have set aside, and when it lapses."""

from __future__ import annotations

from datetime import timedelta

from builders import ANSWERED
from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.credit.holds import (
    MAX_INSTANTS_PER_SPAN,
    NOTHING_HELD,
    Hold,
    Holds,
    lapses_at,
)

MINUTE = timedelta(minutes=1)
SPANS = st.integers(1, 200_000).map(lambda s: timedelta(seconds=s))


def hold(minutes: int, amount: int = 5, calls: int = 1) -> Hold:
    return Hold(ANSWERED + minutes * MINUTE, amount, calls)


def test_what_is_held_until_an_instant_is_one_sum() -> None:
    holds = NOTHING_HELD.with_added(hold(20)).with_added(hold(10, 7)).with_added(hold(20, 1))
    assert holds == Holds((hold(10, 7), hold(20, 6, 2)))
    assert (holds.amount_at(ANSWERED), holds.calls_at(ANSWERED)) == (13, 3)


def test_what_lapses_is_no_longer_held_at_that_very_instant() -> None:
    holds = NOTHING_HELD.with_added(hold(10)).with_added(hold(20))
    before, then = ANSWERED + 10 * MINUTE - timedelta(microseconds=1), ANSWERED + 10 * MINUTE
    assert (holds.amount_at(before), holds.amount_at(then)) == (10, 5)
    assert holds.lapsed(then) == Holds((hold(20),))


def test_what_was_given_back_leaves_nothing_behind() -> None:
    holds = NOTHING_HELD.with_added(hold(10, 3)).with_added(hold(10, 4))
    assert holds.without(hold(10, 3)).without(hold(10, 4)) == NOTHING_HELD


def test_what_has_gone_already_is_not_taken_from_what_others_hold() -> None:
    holds = NOTHING_HELD.with_added(hold(20))
    assert holds.without(hold(10)) == holds


@given(SPANS, st.integers(0, 86_400 * 10**6).map(lambda us: timedelta(microseconds=us)))
def test_a_hold_lasts_as_long_as_it_must_and_hardly_longer(
    span: timedelta, later: timedelta
) -> None:
    at = ANSWERED + later
    until = lapses_at(at, span)
    assert at + span <= until
    assert until - at - span < max(MINUTE, 2 * span / MAX_INSTANTS_PER_SPAN)
    assert until.second == until.microsecond == 0


@given(SPANS)
def test_a_span_has_few_instants_however_many_calls_there_are(span: timedelta) -> None:
    instants = {lapses_at(ANSWERED + n * span / 500, span) for n in range(500)}
    assert len(instants) <= MAX_INSTANTS_PER_SPAN + 1
