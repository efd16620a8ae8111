"""Who gets how much of a minute pool (docs/domain.md §4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, LONG_AGO, ORGANIZATION, fact, phone_call

from perminute.domain.credit.holds import Hold
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import (
    DrawPosition,
    MinutePool,
    MinutePools,
    Month,
    SettlementCursor,
    minutes_wanted,
    month_of,
)
from perminute.domain.pools.settling import PoolClaim, reserved_after, settle_next, settled_until

if TYPE_CHECKING:
    from perminute.domain.rating.calls import Call

NOVEMBER = Month(2026, 11)
POOL = MinutePool(organization_id=ORGANIZATION, month=NOVEMBER)
MINUTE = timedelta(minutes=1)


def licensed(*minutes: tuple[int, datetime]) -> Licensing:
    """So many minutes from each instant on."""
    facts = [fact("poolMinutesPerLicense", 1)]
    facts += [fact("purchased:MCOMEETADV", n, since, f"e-{since}") for n, since in minutes]
    return Licensing(Timeline(facts))


def call(name: str, ended: datetime, lasted: timedelta = MINUTE) -> Call:
    return phone_call(call_id=name, answered_at=ended - lasted, ended_at=ended)


def draw_one(
    pool: MinutePool, one: Call, wanted: int, licensing: Licensing, reserved: int | None = None
) -> tuple[MinutePool, int]:
    return pool.draw(one, wanted, licensing, reserved=reserved, now=ANSWERED)


def draw(pool: MinutePool, licensing: Licensing, *drawn: tuple[str, int, int]) -> MinutePool:
    """Have calls draw, each by name, the minute at which it ended, and what it wants."""
    for name, at, wanted in drawn:
        pool, _ = draw_one(pool, call(name, ANSWERED + at * MINUTE), wanted, licensing)
    return pool


def test_calls_draw_until_the_pool_ends_and_the_one_that_straddles_it_gets_the_rest() -> None:
    licensing = licensed((12, LONG_AGO))
    pool, taken = POOL, []
    for number, wanted in enumerate((5, 5, 5, 1)):
        one = call(f"c-{number}", ANSWERED + number * MINUTE)
        pool, minutes = draw_one(pool, one, wanted, licensing)
        taken.append(minutes)
    assert taken == [5, 5, 2, 0]
    assert pool == POOL._replace(
        used_by_day={date(2026, 11, 2): 12},
        drawn_until=DrawPosition(ANSWERED + 2 * MINUTE, "c-2"),
    )


def test_the_minutes_are_those_of_the_licenses_when_the_call_was_answered() -> None:
    licensing = licensed((10, LONG_AGO), (30, ANSWERED), (4, ANSWERED + 5 * MINUTE))
    pool = draw(POOL, licensing, ("a", 0, 12))
    assert pool.used == 10
    pool = draw(pool, licensing, ("b", 2, 12))
    assert pool.used == 22
    # Fewer licenses than what is used take nothing back, and give nothing.
    assert draw(pool, licensing, ("c", 7, 1)).used == 22


def test_a_late_call_is_settled_at_once_if_there_is_enough_for_all() -> None:
    licensing = licensed((12, LONG_AGO))
    pool = draw(POOL, licensing, ("b", 2, 5), ("a", 1, 7))
    assert (pool.used, pool.unsettled) == (12, None)
    assert pool.drawn_until == DrawPosition(ANSWERED + 2 * MINUTE, "b")


def test_a_late_call_that_others_may_have_to_make_room_for_unsettles_its_day() -> None:
    licensing = licensed((12, LONG_AGO))
    pool = draw(POOL, licensing, ("b", 2, 10), ("a", 1, 7))
    assert pool.unsettled == SettlementCursor(DrawPosition(datetime(2026, 11, 2, tzinfo=UTC), ""))
    assert pool.used == 12


def test_a_late_call_after_the_last_that_drew_changes_nothing_for_others() -> None:
    licensing = licensed((10, LONG_AGO))
    pool = draw(POOL, licensing, ("a", 1, 10), ("c", 3, 5), ("b", 2, 5))
    assert (pool.used, pool.unsettled) == (10, None)


def test_of_two_calls_that_end_at_one_instant_the_id_says_which_comes_first() -> None:
    licensing = licensed((10, LONG_AGO))
    assert draw(POOL, licensing, ("a", 1, 8), ("b", 1, 8)).unsettled is None
    assert draw(POOL, licensing, ("b", 1, 8), ("a", 1, 8)).unsettled is not None


def test_a_long_call_that_was_answered_under_fewer_licenses_counts_as_a_later_one() -> None:
    """It ended after the late one, but had less to draw on: there is not enough for both."""
    licensing = licensed((10, LONG_AGO), (60, ANSWERED))
    long_call = call("long", ANSWERED + 30 * MINUTE, lasted=40 * MINUTE)
    pool, taken = draw_one(POOL, long_call, 40, licensing)
    assert taken == 10
    assert draw(pool, licensing, ("late", 20, 5)).unsettled is not None


def test_fewer_licenses_after_the_last_call_that_drew_take_nothing_from_a_late_one() -> None:
    licensing = licensed((60, LONG_AGO), (1, ANSWERED + 90 * MINUTE))
    pool = draw(POOL, licensing, ("b", 2, 5), ("a", 1, 5))
    assert (pool.used, pool.unsettled) == (10, None)
    sooner = licensed((60, LONG_AGO), (1, ANSWERED + 2 * MINUTE))
    assert draw(POOL, sooner, ("b", 2, 5), ("a", 1, 5)).unsettled is not None


def test_who_finds_a_pool_unsettled_makes_it_no_more_settled() -> None:
    licensing = licensed((100, LONG_AGO))
    cursor = SettlementCursor(DrawPosition(ANSWERED + 5 * MINUTE, "x"), 3)
    unsettled = POOL._replace(unsettled=cursor)
    assert draw(unsettled, licensing, ("after", 6, 1)).unsettled == cursor
    before = draw(unsettled, licensing, ("before", 4, 1)).unsettled
    assert before == SettlementCursor(DrawPosition.start_of(ANSWERED.date()))
    # The call that the cursor is at was dealt with: news of it needs another look.
    at = unsettled.unsettled_from(cursor.position)
    assert at.unsettled == before


def test_what_was_read_of_an_unsettled_pool_holds_up_to_where_others_have_drawn_since() -> None:
    licensing = licensed((100, LONG_AGO))
    read = POOL._replace(unsettled=SettlementCursor(DrawPosition.start_of(ANSWERED.date())))
    last = DrawPosition(ANSWERED + 5 * MINUTE, "e")
    for later in (read, draw(read, licensing, ("f", 5, 1), ("g", 9, 1))):
        assert later.is_at_step_of(read)
        assert not later.was_drawn_on_before(last)
    between = draw(read, licensing, ("g", 9, 1), ("d", 5, 1), ("h", 10, 1))
    assert between.is_at_step_of(read)
    assert between.was_drawn_on_before(last)
    # Read again, with all that has drawn by then, it holds again; what was read before does not.
    again = between.at_next_step()._replace(drawn_from=None)
    assert not again.was_drawn_on_before(last)
    assert not again.is_at_step_of(read)
    assert not draw(read, licensing, ("early", -999, 1)).is_at_step_of(read)


def test_a_call_that_begins_to_draw_is_heard_of_though_its_pool_is_unsettled_already() -> None:
    read = POOL._replace(unsettled=SettlementCursor(DrawPosition.start_of(ANSWERED.date())))
    pools = MinutePools({NOVEMBER: read}, licensed())
    pools.unsettle(call("b", ANSWERED))
    (pool,) = pools.touched
    assert pool.is_at_step_of(read)
    assert pool.was_drawn_on_before(DrawPosition(ANSWERED, "b"))
    assert not pool.was_drawn_on_before(DrawPosition(ANSWERED, "a"))


def settle(
    pool: MinutePool, licensing: Licensing, *calls: tuple[Call, int, int]
) -> tuple[MinutePool, tuple[int, ...]]:
    return settle_next(pool, [PoolClaim(*one) for one in calls], licensing, ANSWERED)


def test_settling_gives_each_call_what_is_left_by_those_before() -> None:
    day = ANSWERED.date()
    start = SettlementCursor(DrawPosition.start_of(day))
    pool = POOL._replace(
        used_by_day={day - timedelta(days=1): 2, day: 12},
        drawn_until=DrawPosition(ANSWERED + 9 * MINUTE, "z"),
        unsettled=start,
    )
    a, b, c = (call(name, ANSWERED + n * MINUTE) for n, name in enumerate("abc"))
    settled, taken = settle(pool, licensed((10, LONG_AGO)), (a, 0, 5), (b, 12, 12), (c, 0, 1))
    assert taken == (5, 3, 0)
    assert settled == pool._replace(
        used_by_day={day - timedelta(days=1): 2, day: 8},
        drawn_until=DrawPosition.of(b),
        unsettled=SettlementCursor(DrawPosition.of(c), 8),
        step_count=1,
    )


def test_settling_goes_on_where_it_stopped_also_on_the_next_day() -> None:
    day = ANSWERED.date()
    licensing = licensed((10, LONG_AGO))
    pool = POOL._replace(
        used_by_day={day: 9}, unsettled=SettlementCursor(DrawPosition.start_of(day))
    )
    a, b = (call(name, ANSWERED + n * MINUTE) for n, name in enumerate("ab"))
    tomorrow = call("c", ANSWERED + timedelta(days=1))
    pool, _ = settle(pool, licensing, (a, 4, 4))
    pool, taken = settle(pool, licensing, (b, 5, 5))
    assert (taken, pool.unsettled) == ((5,), SettlementCursor(DrawPosition.of(b), 9))
    pool, taken = settle(settled_until(pool, tomorrow.ended_at.date()), licensing, (tomorrow, 0, 7))
    assert taken == (1,)
    assert pool.used_by_day == {day: 9, day + timedelta(days=1): 1}
    assert pool.drawn_until == DrawPosition.of(tomorrow)


def test_a_pool_is_settled_when_no_day_is_left_on_which_its_calls_can_have_ended() -> None:
    unsettled = POOL._replace(unsettled=SettlementCursor(DrawPosition.start_of(ANSWERED.date())))
    assert NOVEMBER.last_day == date(2026, 12, 2)
    assert settled_until(unsettled, date(2026, 12, 2)).unsettled is not None
    assert settled_until(unsettled, date(2026, 12, 3)).unsettled is None
    with pytest.raises(ValueError, match="is settled"):
        settle(POOL, licensed())


def test_nobody_after_the_bound_has_drawn_even_if_nobody_draws_any_more() -> None:
    """`drawn_until` lets a late call draw without another look: it must not be too low."""
    day = ANSWERED.date()
    pool = POOL._replace(
        used_by_day={day: 5},
        drawn_until=DrawPosition(ANSWERED, "a"),
        unsettled=SettlementCursor(DrawPosition.start_of(day)),
    )
    a = call("a", ANSWERED)
    lower, _ = settle(pool, licensed(), (a, 5, 5))
    assert lower.drawn_until == DrawPosition.start_of(day)
    assert lower.used == 0
    later = call("b", ANSWERED + MINUTE)
    higher, _ = settle(pool, licensed((60, LONG_AGO)), (a, 5, 5), (later, 0, 1))
    assert higher.drawn_until == DrawPosition.of(later)


@pytest.mark.parametrize(
    ("used", "minutes", "level"),
    [
        (0, 0, 0),
        (1, 0, 100),
        (79, 100, 0),
        (80, 100, 80),
        (99, 100, 80),
        (100, 100, 100),
        (7, 9, 0),
    ],
)
def test_thresholds_are_reached_at_exactly_their_percent(
    used: int, minutes: int, level: int
) -> None:
    pool = POOL._replace(used_by_day={ANSWERED.date(): used})
    assert pool.threshold_reached(minutes) == level


def reached(pools: MinutePools, at: datetime = ANSWERED) -> list[tuple[int, int]]:
    return [(percent, minutes) for _, percent, minutes in pools.thresholds_reached(at)]


def test_a_threshold_is_told_once_and_again_after_more_licenses() -> None:
    def used(minutes: int, told: int) -> MinutePool:
        return POOL._replace(used_by_day={ANSWERED.date(): minutes}, notified_percent=told)

    few, more = licensed((10, LONG_AGO)), licensed((20, LONG_AGO))
    for pool, licensing, expected, told in (
        (used(7, 0), few, [], 0),
        (used(8, 0), few, [(80, 10)], 80),
        (used(9, 80), few, [], 80),
        (used(10, 80), few, [(100, 10)], 100),
        (used(10, 0), few, [(80, 10), (100, 10)], 100),
        (used(10, 100), more, [], 0),
        (used(16, 0), more, [(80, 20)], 80),
    ):
        pools = MinutePools({NOVEMBER: pool}, licensing)
        pools.put(pool)
        assert reached(pools) == expected
        assert pools[NOVEMBER].notified_percent == told


def test_minutes_used_before_the_cutover_count_for_thresholds() -> None:
    carried = fact("poolMinutesUsed", 6, NOVEMBER.start, "cutover")
    licensing = Licensing(Timeline([*licensed((10, LONG_AGO)).organization.facts, carried]))
    pools = MinutePools({NOVEMBER: POOL}, licensing)
    pools.put(draw(POOL, licensing, ("a", 1, 3), ("b", 2, 3)))
    assert pools[NOVEMBER].used == 4
    assert reached(pools) == [(80, 10), (100, 10)]
    told = POOL._replace(used_by_day={ANSWERED.date(): 2}, notified_percent=80)
    pools = MinutePools({NOVEMBER: told}, licensing)
    pools.put(told)
    assert reached(pools) == []


def test_licenses_that_were_announced_ahead_arm_a_threshold_again() -> None:
    """100 % of 10 were told; from noon on there are 20, of which one call uses up the rest."""
    before = POOL._replace(used_by_day={ANSWERED.date(): 10}, notified_percent=100)
    licensing = licensed((10, LONG_AGO), (20, ANSWERED))
    pools = MinutePools({NOVEMBER: before}, licensing)
    pools.put(draw(before, licensing, ("a", 1, 10)))
    assert reached(pools, ANSWERED + MINUTE) == [(80, 20), (100, 20)]


def test_nothing_is_told_of_a_pool_that_is_unsettled_or_was_not_drawn_on() -> None:
    full = POOL._replace(used_by_day={ANSWERED.date(): 10})
    unsettled = full._replace(unsettled=SettlementCursor(DrawPosition(ANSWERED, "a")))
    for pool in (full, unsettled):
        pools = MinutePools({NOVEMBER: pool}, licensed((10, LONG_AGO)))
        if pool is unsettled:
            pools.put(pool)
        assert reached(pools) == []


def test_what_is_told_of_a_month_that_is_over_goes_by_its_last_licenses() -> None:
    pool = POOL._replace(used_by_day={ANSWERED.date(): 8})
    pools = MinutePools({NOVEMBER: pool}, licensed((10, LONG_AGO), (100, NOVEMBER.end)))
    pools.put(pool)
    assert reached(pools, NOVEMBER.end + timedelta(days=3)) == [(80, 10)]


@pytest.mark.parametrize(
    ("month", "start", "end"),
    [
        (Month(2026, 11), datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (Month(2026, 12), datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (Month(987, 1), datetime(987, 1, 1, tzinfo=UTC), datetime(987, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_month_is_half_open_and_reads_back(month: Month, start: datetime, end: datetime) -> None:
    assert (month.start, month.end) == (start, end)
    assert Month.of(start) == Month.of(end - timedelta(microseconds=1)) == month
    assert Month.of(end) != month
    assert Month.parse(str(month)) == month


def test_a_call_draws_from_the_month_in_which_it_was_answered() -> None:
    over_the_turn = call("a", NOVEMBER.end + MINUTE, lasted=2 * MINUTE)
    assert month_of(over_the_turn) == NOVEMBER
    assert month_of(call("b", NOVEMBER.end + MINUTE)) == Month(2026, 12)


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 1), (60, 1), (61, 2), (86_400, 1_440)])
def test_a_started_minute_counts_in_full(seconds: int, minutes: int) -> None:
    assert minutes_wanted(phone_call(billable_seconds=seconds)) == minutes


def test_what_a_call_has_reserved_is_its_own_whichever_call_ends_first() -> None:
    licensing = licensed((10, LONG_AGO))
    hold = Hold(ANSWERED + 10 * MINUTE, 6, 1)
    pool = POOL.with_held(hold, ANSWERED)
    pool, first = draw_one(pool, call("a", ANSWERED + MINUTE), 9, licensing)
    pool, second = draw_one(
        pool.without_held(hold), call("b", ANSWERED + 2 * MINUTE), 7, licensing, reserved=6
    )
    assert (first, second) == (4, 6)
    assert pool.reserved_by_day == {date(2026, 11, 2): 6}


def test_a_pool_that_is_gone_over_again_leaves_reserved_minutes_to_whose_they_are() -> None:
    licensing = licensed((10, LONG_AGO))
    early, late = call("a", ANSWERED + MINUTE), call("b", ANSWERED + 2 * MINUTE)
    pool, _ = draw_one(POOL, late, 6, licensing, reserved=6)
    pool, taken = draw_one(pool, early, 9, licensing)
    assert taken == 4
    pool = pool.with_held(Hold(ANSWERED + 10 * MINUTE, 1, 1), ANSWERED)
    claims = [PoolClaim(early, 4, 9), PoolClaim(late, 6, 6, 6)]
    settled, minutes = settle_next(pool, claims, licensing, ANSWERED)
    assert minutes == (3, 6)
    assert settled.unsettled == SettlementCursor(DrawPosition.of(late), 9, 6)
    _, again = settle_next(pool, claims, licensing, ANSWERED + 10 * MINUTE)
    assert again == (4, 6)


def test_reserved_minutes_of_a_call_that_no_longer_draws_are_for_others() -> None:
    licensing = licensed((10, LONG_AGO))
    first, second = call("a", ANSWERED + MINUTE), call("b", ANSWERED + 2 * MINUTE)
    pool, _ = draw_one(POOL, first, 6, licensing, reserved=6)
    pool, _ = draw_one(pool, second, 9, licensing)
    pool = pool.unsettled_from(DrawPosition.of(first))
    settled, minutes = settle_next(
        pool, [PoolClaim(first, 6, 0, 6), PoolClaim(second, 4, 9)], licensing, ANSWERED
    )
    assert (minutes, settled.reserved_by_day, settled.used) == ((0, 9), {}, 9)


def test_what_an_authorized_call_is_given_beyond_what_it_had_reserved_is_its_own_too() -> None:
    licensing = licensed((10, LONG_AGO))
    early, late = call("a", ANSWERED + MINUTE), call("b", ANSWERED + 2 * MINUTE)
    pool, taken = draw_one(POOL, late, 8, licensing, reserved=0)
    assert taken == 8
    pool, taken = draw_one(pool, early, 5, licensing)
    claims = [PoolClaim(early, taken, 5), PoolClaim(late, 8, 8, 8)]
    _, minutes = settle_next(pool, claims, licensing, ANSWERED)
    assert minutes == (2, 8)


def test_a_late_call_that_holds_cut_short_has_its_pool_gone_over_again() -> None:
    licensing = licensed((12, LONG_AGO))
    early, late = call("a", ANSWERED + MINUTE), call("b", ANSWERED + 2 * MINUTE)
    pool = POOL.with_held(Hold(ANSWERED + 10 * MINUTE, 4, 1), ANSWERED)
    pool, first = draw_one(pool, late, 6, licensing)
    pool, second = draw_one(pool, early, 4, licensing)
    assert (first, second) == (6, 2)
    _, minutes = settle_next(
        pool, [PoolClaim(early, 2, 4), PoolClaim(late, 6, 6)], licensing, ANSWERED
    )
    assert minutes == (4, 4)


def test_what_has_lapsed_is_no_longer_a_calls_own() -> None:
    hold = Hold(ANSWERED + 10 * MINUTE, 4, 1)
    for now, own in ((ANSWERED + 9 * MINUTE, 4), (ANSWERED + 10 * MINUTE, 0)):
        pools = MinutePools({NOVEMBER: POOL.with_held(hold, ANSWERED)}, licensed())
        assert pools.release(NOVEMBER, hold, now) == own
        assert not pools[NOVEMBER].held


def test_a_cursor_counts_what_was_reserved_up_to_it() -> None:
    day = date(2026, 11, 2)
    pool = POOL._replace(reserved_by_day={day - timedelta(days=1): 3, day: 4})
    cursor = SettlementCursor(DrawPosition(ANSWERED, "a"), 9, 1)
    assert reserved_after(cursor, pool) == 3
