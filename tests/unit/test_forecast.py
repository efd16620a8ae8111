from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from builders import MICROS

from perminute.domain.credit.lots import Lot
from perminute.domain.credit.recharge import (
    UNANSWERED_AFTER,
    AutoRecharge,
    RechargeRequest,
    RechargeState,
)
from perminute.domain.forecast.figures import Confidence, RunsOut
from perminute.domain.forecast.forecast import (
    Forecast,
    NotEnoughData,
    SpentSoFar,
    forecast,
)
from perminute.domain.forecast.run_out import Credit, walk
from perminute.domain.forecast.spend_model import SpendHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 11, 1, tzinfo=UTC)
WEEK = (10, 12, 12, 11, 9, 1, 0)
NOTHING_SPENT = SpentSoFar(0, 0)


def history(*daily: int, until: datetime = MONDAY) -> SpendHistory:
    first = until.date() - timedelta(days=len(daily))
    return SpendHistory(first, tuple(amount * MICROS for amount in daily))


def credit(*lots: tuple[int, datetime], debt: int = 0, auto: AutoRecharge | None = None) -> Credit:
    return Credit(
        lots=tuple(
            Lot(f"{number}", f"po-{number}", MONDAY, expires_at, amount * MICROS)
            for number, (amount, expires_at) in enumerate(lots)
        ),
        debt_micros=debt * MICROS,
        auto_recharge=auto,
    )


def foretold(
    daily: Sequence[int],
    of: Credit | None = None,
    *,
    so_far: SpentSoFar = NOTHING_SPENT,
    at: datetime = MONDAY,
) -> Forecast:
    answer = forecast(
        history(*daily, until=at), of or credit((200, NEXT_YEAR)), so_far, at=at, horizon_days=90
    )
    assert isinstance(answer, Forecast)
    return answer


class TestNotEnoughData:
    def test_six_days_are_too_few(self) -> None:
        short = history(*WEEK[:6])
        answer = forecast(short, credit(), NOTHING_SPENT, at=MONDAY, horizon_days=90)
        assert answer == NotEnoughData(short)

    def test_two_days_with_calls_are_too_few(self) -> None:
        rare = history(5, *[0] * 30, 5)
        answer = forecast(rare, credit(), NOTHING_SPENT, at=MONDAY, horizon_days=90)
        assert answer == NotEnoughData(rare)

    def test_seven_days_of_which_three_had_calls_are_enough(self) -> None:
        assert foretold((5, 0, 0, 5, 0, 0, 5)).confidence is Confidence.LOW

    def test_the_days_before_the_first_call_are_no_history(self) -> None:
        late = history(*[0] * 60, *WEEK[:6])
        answer = forecast(late, credit(), NOTHING_SPENT, at=MONDAY, horizon_days=90)
        assert answer == NotEnoughData(history(*WEEK[:6]))

    def test_without_any_call_there_is_no_history(self) -> None:
        answer = forecast(history(*[0] * 28), credit(), NOTHING_SPENT, at=MONDAY, horizon_days=90)
        assert answer == NotEnoughData(history())


class TestSpend:
    def test_the_days_before_the_first_call_change_nothing(self) -> None:
        assert foretold([*[0] * 10, *WEEK * 3]) == foretold(WEEK * 3)

    def test_what_lies_twelve_weeks_back_changes_nothing(self) -> None:
        assert foretold([900, *WEEK * 12]) == foretold(WEEK * 12)

    def test_confidence_grows_with_the_history(self) -> None:
        confidence = [foretold((5,) * days).confidence for days in (7, 27, 28, 55, 56, 84)]
        low, medium, high = Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH
        assert confidence == [low, low, medium, medium, high, high]

    def test_a_month_contains_what_was_spent_in_it(self) -> None:
        at = datetime(2026, 11, 30, tzinfo=UTC)
        last_day = foretold(WEEK * 4, at=at)
        so_far = SpentSoFar(250 * MICROS, 3 * MICROS)
        month = foretold(WEEK * 4, at=at, so_far=so_far).month
        assert month == tuple(250 * MICROS + micros for micros in last_day.month)

    def test_a_month_costs_at_least_what_was_spent_today(self) -> None:
        at = datetime(2026, 11, 30, 18, tzinfo=UTC)
        month = foretold(WEEK * 4, at=at, so_far=SpentSoFar(250 * MICROS, 900 * MICROS)).month
        assert month == (1150 * MICROS,) * 3

    def test_the_last_day_of_february_is_followed_by_march(self) -> None:
        february = foretold(WEEK * 4, at=datetime(2028, 2, 28, tzinfo=UTC)).month.expected
        two_days = foretold(WEEK * 4, credit(), at=datetime(2028, 2, 28, tzinfo=UTC)).path[1]
        assert february == -two_days.balance_micros.expected


class TestRunningOut:
    def test_the_more_is_spent_the_earlier(self) -> None:
        earliest, expected, latest = foretold(WEEK * 4).runs_out
        assert earliest is not None
        assert expected is not None
        assert latest is not None
        assert MONDAY.date() < earliest < expected < latest

    def test_after_the_horizon_is_never(self) -> None:
        answer = foretold(WEEK * 4, credit((100_000, NEXT_YEAR)))
        assert answer.runs_out == RunsOut(None, None, None)

    def test_a_debt_has_run_out_today(self) -> None:
        today = MONDAY.date()
        assert foretold(WEEK * 4, credit(debt=5)).runs_out == RunsOut(today, today, today)

    def test_the_balances_end_with_the_horizon(self) -> None:
        answer = forecast(history(*WEEK * 4), credit(), NOTHING_SPENT, at=MONDAY, horizon_days=3)
        assert isinstance(answer, Forecast)
        assert [day.day for day in answer.path] == [date(2026, 11, day) for day in (2, 3, 4)]

    def test_what_was_spent_today_is_not_spent_again(self) -> None:
        fresh = foretold(WEEK * 4, credit((200, NEXT_YEAR)))
        spent = foretold(WEEK * 4, credit((197, NEXT_YEAR)), so_far=SpentSoFar(0, 3 * MICROS))
        assert spent.path == fresh.path


class TestWalk:
    def test_the_first_lot_pays_first(self) -> None:
        noon = MONDAY + timedelta(days=1, hours=12)
        path = walk(credit((10, noon), (100, NEXT_YEAR)), [8 * MICROS, 0], since=MONDAY)
        assert path.balances_micros == (102 * MICROS, 100 * MICROS)
        assert path.forfeited_micros == 2 * MICROS

    def test_half_of_a_day_is_spent_before_a_lot_expires_at_noon(self) -> None:
        noon = MONDAY + timedelta(hours=12)
        path = walk(credit((10, noon), (100, NEXT_YEAR)), [8 * MICROS], since=MONDAY)
        assert path.balances_micros == (96 * MICROS,)
        assert path.forfeited_micros == 6 * MICROS

    def test_the_rest_of_today_is_spent_from_now_on(self) -> None:
        at = MONDAY + timedelta(hours=12)
        lots = credit((10, MONDAY + timedelta(hours=18)), (100, NEXT_YEAR))
        path = walk(lots, [8 * MICROS], since=at)
        assert path.forfeited_micros == 6 * MICROS

    def test_a_lot_that_expires_at_midnight_pays_nothing_of_the_day_that_begins(self) -> None:
        tuesday = MONDAY + timedelta(days=1)
        path = walk(credit((10, tuesday)), [4 * MICROS, 4 * MICROS], since=MONDAY)
        assert path.balances_micros == (6 * MICROS, -4 * MICROS)
        assert path.runs_out == tuesday.date()

    def test_a_lot_that_has_expired_is_none(self) -> None:
        path = walk(credit((10, MONDAY)), [0], since=MONDAY)
        assert path == ((0,), MONDAY.date(), (), 0)

    def test_all_credit_may_expire(self) -> None:
        path = walk(credit((10, MONDAY + timedelta(days=3))), [0] * 5, since=MONDAY)
        assert path.runs_out == date(2026, 11, 5)
        assert path.forfeited_micros == 10 * MICROS


class TestRecharges:
    AUTO = AutoRecharge(50 * MICROS, 100 * MICROS)

    def test_a_balance_below_the_trigger_is_recharged(self) -> None:
        path = walk(
            credit((60, NEXT_YEAR), auto=self.AUTO), [10 * MICROS, 1 * MICROS], since=MONDAY
        )
        assert path.balances_micros == (50 * MICROS, 149 * MICROS)
        assert path.recharged == (date(2026, 11, 3),)

    def test_a_recharge_pays_the_debt_first(self) -> None:
        path = walk(credit(debt=30, auto=self.AUTO), [0], since=MONDAY)
        assert path == ((70 * MICROS,), None, (MONDAY.date(),), 0)

    def test_the_monthly_limit_is_reset_on_the_first(self) -> None:
        auto = self.AUTO._replace(monthly_limit_micros=100 * MICROS)
        since = datetime(2026, 11, 28, tzinfo=UTC)
        path = walk(credit((60, NEXT_YEAR), auto=auto), [60 * MICROS] * 4, since=since)
        assert path.recharged == (date(2026, 11, 28), date(2026, 12, 1))
        assert path.balances_micros == tuple(amount * MICROS for amount in (100, 40, -20, 20))
        assert path.runs_out == date(2026, 11, 30)

    def test_what_was_requested_this_month_counts(self) -> None:
        auto = self.AUTO._replace(monthly_limit_micros=100 * MICROS)
        asked = RechargeState(month=MONDAY.replace(day=1), month_micros=100 * MICROS)
        path = walk(credit(auto=auto)._replace(recharge=asked), [0], since=MONDAY)
        assert path.recharged == ()

    def test_a_day_has_at_most_ten_recharges(self) -> None:
        path = walk(credit(debt=5_000, auto=self.AUTO), [0, 0], since=MONDAY)
        assert path.balances_micros == (-4_000 * MICROS, -3_000 * MICROS)

    def test_after_three_failures_nothing_is_recharged(self) -> None:
        failed = credit(auto=self.AUTO)._replace(recharge=RechargeState(failures=3))
        assert walk(failed, [0], since=MONDAY).recharged == ()

    @pytest.mark.parametrize("lots", [(), ((80, NEXT_YEAR),)])
    def test_an_open_request_is_paid_when_it_is_sent_again(
        self, lots: tuple[tuple[int, datetime], ...]
    ) -> None:
        earlier = MONDAY - timedelta(hours=20)
        request = RechargeRequest("r-1", 100 * MICROS, earlier, earlier)
        waiting = credit(*lots, auto=self.AUTO)._replace(recharge=RechargeState(open=request))
        path = walk(waiting, [0, 0], since=MONDAY)
        assert path.recharged == (date(2026, 11, 3),)

    def test_a_request_that_is_not_answered_in_time_is_not_counted_on(self) -> None:
        # Nor is any other, for one is open at a time. However often it was sent again.
        asked = MONDAY - UNANSWERED_AFTER
        request = RechargeRequest("r-1", 100 * MICROS, asked, MONDAY - timedelta(hours=1))
        waiting = credit((80, NEXT_YEAR), auto=self.AUTO)
        waiting = waiting._replace(recharge=RechargeState(open=request))
        overdue = foretold(WEEK * 4, waiting)
        assert overdue.unanswered == request
        assert (overdue.recharged, overdue.recharges_if_high) == ((), 0)
        without = foretold(WEEK * 4, credit((80, NEXT_YEAR)))
        assert (overdue.runs_out, overdue.path) == (without.runs_out, without.path)

    def test_a_request_that_may_still_be_answered_is_counted_on(self) -> None:
        asked = MONDAY - UNANSWERED_AFTER + timedelta(seconds=1)
        request = RechargeRequest("r-1", 100 * MICROS, asked, MONDAY - timedelta(hours=1))
        waiting = credit((80, NEXT_YEAR), auto=self.AUTO)
        waiting = waiting._replace(recharge=RechargeState(open=request))
        counted = foretold(WEEK * 4, waiting)
        assert counted.unanswered is None
        assert counted.recharged[0] == date(2026, 11, 3)
