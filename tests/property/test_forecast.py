"""The forecast against its formulas as docs/domain.md §7 states them, word for word."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perminute.domain.credit.lots import Lot, total_micros
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.forecast.forecast import Forecast, SpentSoFar, forecast
from perminute.domain.forecast.run_out import Credit, walk
from perminute.domain.forecast.spend_model import SpendHistory, SpendModel

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
Q = 0.5 ** (1 / 21)
PRIOR = [1.3] * 5 + [0.25] * 2
Z = 1.2815515655446004

AMOUNTS = st.integers(0, 10**12)
HISTORIES = st.lists(AMOUNTS, min_size=7, max_size=120)
LOTS = st.lists(
    st.tuples(st.integers(1, 10**9), st.integers(1, 60 * 24)).map(
        lambda lot: Lot(f"{lot}", "po", MONDAY, MONDAY + timedelta(hours=lot[1]), lot[0])
    ),
    max_size=6,
).map(tuple)
RECHARGES = st.none() | st.builds(
    AutoRecharge,
    trigger_micros=st.integers(0, 10**9),
    recharge_micros=st.integers(10**6, 10**9),
    monthly_limit_micros=st.none() | st.integers(0, 10**10),
)


def fitted(spent: list[int], weekdays: list[int]) -> tuple[float, list[float], float]:
    days = range(len(spent))
    weights = [Q ** (len(spent) - 1 - day) for day in days]
    factors = PRIOR

    def level() -> float:
        expected = sum(weights[day] * factors[weekdays[day]] for day in days)
        return sum(weights[day] * spent[day] for day in days) / expected

    for _ in range(3):
        now = level()
        if now == 0:
            break
        raw = []
        for weekday in range(7):
            mine = [day for day in days if weekdays[day] == weekday]
            above = sum(weights[day] * spent[day] / now for day in mine) + 2 * PRIOR[weekday]
            raw.append(above / (sum(weights[day] for day in mine) + 2))
        factors = [factor / (sum(raw) / 7) for factor in raw]
    return level(), factors, sum(weights)


def bands(spent: list[int], weekdays: list[int], days: int) -> list[tuple[float, float, float]]:
    level, factors, known = fitted(spent, weekdays)
    means = [level * factors[weekday] for weekday in weekdays]
    misses = [(amount - mean) ** 2 for amount, mean in zip(spent, means, strict=True)]
    phi = sum(misses) / sum(means) * (1 + 8 / sum(amount > 0 for amount in spent))
    weeks = []
    for cut in range(14, len(spent) - 6, 7):
        earlier, by_weekday, weight = fitted(spent[:cut], weekdays[:cut])
        if earlier:
            mean = sum(earlier * by_weekday[weekday] for weekday in weekdays[cut : cut + 7])
            miss = (sum(spent[cut : cut + 7]) - mean) / mean
            weeks.append(miss**2 - phi / mean - phi / (earlier * weight))
    drift = sum(max(0, min(week, 0.5)) for week in weeks) / 12.3 + 6 * 0.045**2
    drift /= len(weeks) + 6
    found, mean, low = [], 0.0, 0.0
    for day in range(1, days + 1):
        mean += level * factors[(weekdays[-1] + day) % 7]
        variance = math.log(1 + phi / mean + phi / (level * known) + drift * (10 + day / 3))
        low = max(low, math.exp(math.log(mean) - variance / 2 - Z * math.sqrt(variance)))
        high = math.exp(math.log(mean) - variance / 2 + Z * math.sqrt(variance))
        found.append((low, mean, max(high, mean)))
    return found


def counted(spent: list[int]) -> list[int]:
    while spent and not spent[0]:
        spent = spent[1:]
    return spent[-84:]


@given(spent=HISTORIES, first=st.integers(0, 6))
@example(spent=[10**12, 1, 1, *[0] * 81], first=5)  # the ninetieth percentile is below the mean
@example(
    spent=[5, *[0] * 60, *[7] * 40], first=0
)  # nothing was spent in the first weeks that count
def test_the_spend_is_expected_as_the_formulas_say(spent: list[int], first: int) -> None:
    history = SpendHistory((MONDAY + timedelta(days=first)).date(), tuple(spent)).that_counts()
    counts = counted(spent)
    assert list(history.daily_micros) == counts
    if any(counts):
        weekdays = [(first + len(spent) - len(counts) + day) % 7 for day in range(len(counts))]
        expected = bands(counts, weekdays, 90)
        found = list(SpendModel.of(history).expected_from((weekdays[-1] + 1) % 7, 90))
        assert [(band.low, band.expected) for band in found] == [
            pytest.approx(band[:2], rel=1e-9) for band in expected
        ]
        highest = 0.0
        for mine, (_, _, high) in zip(found, expected, strict=True):
            highest = max(highest, high)
            assert mine.high == pytest.approx(highest, rel=1e-9)


@given(spent=HISTORIES, lots=LOTS, auto=RECHARGES, today=AMOUNTS, hours=st.integers(0, 24 * 40))
def test_what_is_foretold_is_in_order(
    spent: list[int], lots: tuple[Lot, ...], auto: AutoRecharge | None, today: int, hours: int
) -> None:
    at = MONDAY + timedelta(hours=hours)
    history = SpendHistory(at.date() - timedelta(days=len(spent)), tuple(spent))
    credit = Credit(lots, auto_recharge=auto)
    answer = forecast(history, credit, SpentSoFar(7, today), at=at, horizon_days=40)
    if isinstance(answer, Forecast):
        assert 7 + today <= answer.month.low <= answer.month.expected <= answer.month.high
        assert all(
            low <= expected <= high
            for low, expected, high in (day.balance_micros for day in answer.path)
        )
        assert len(answer.path) == 40


@given(lots=LOTS, auto=RECHARGES, spent=st.lists(st.integers(0, 10**9), min_size=1, max_size=70))
def test_no_cent_is_lost_on_the_way(
    lots: tuple[Lot, ...], auto: AutoRecharge | None, spent: list[int]
) -> None:
    path = walk(Credit(lots, auto_recharge=auto), spent, since=MONDAY)
    bought_micros = len(path.recharged) * (auto.recharge_micros if auto else 0)
    left_micros = total_micros(lots) + bought_micros - sum(spent) - path.forfeited_micros
    assert path.balances_micros[-1] == left_micros
    if auto is None:
        # Without new credit nothing comes back: whoever spends more has never more left.
        more = walk(Credit(lots), [micros + 1 for micros in spent], since=MONDAY)
        assert all(map(int.__le__, more.balances_micros, path.balances_micros))
