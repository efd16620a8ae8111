"""The forecast: what the month will cost, and when the credit runs out (docs/domain.md §7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.forecast.figures import Band, Confidence, RunsOut
from perminute.domain.forecast.run_out import Credit, CreditPath, walk
from perminute.domain.forecast.spend_model import ExpectedSpend, SpendHistory, SpendModel
from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perminute.domain.credit.recharge import RechargeRequest

MIN_DAYS = 7
MIN_ACTIVE_DAYS = 3
"""Less history is none: nothing is foretold by it."""

HORIZON_DAYS, MAX_HORIZON_DAYS = 90, 180
"""How far ahead a forecast looks by default, and at most."""


_CONFIDENT_FROM = ((56, Confidence.HIGH), (28, Confidence.MEDIUM), (0, Confidence.LOW))


class SpentSoFar(NamedTuple):
    """What the calls of the UTC month cost, in micro-units."""

    before_today_micros: int
    today_micros: int


class DayBalance(NamedTuple):
    """The balance at the end of a day."""

    day: date
    balance_micros: Band


class Forecast(NamedTuple):
    """What is expected of an organization's spend and credit."""

    history: SpendHistory  # what it rests on
    model: SpendModel
    confidence: Confidence
    month: Band  # all of the UTC month, with what was spent
    runs_out: RunsOut
    path: tuple[DayBalance, ...]  # within the horizon; negative, as if no call were refused
    recharged: tuple[date, ...]  # the days of the recharges that are expected
    recharges_if_high: int  # how many recharges there are if much is spent
    forfeited: Band  # what expires
    # What is not counted on: while it is open, no other recharge is requested either.
    unanswered: RechargeRequest | None = None


class NotEnoughData(NamedTuple):
    """There is too little history to expect anything by."""

    history: SpendHistory


def forecast(
    history: SpendHistory, credit: Credit, so_far: SpentSoFar, *, at: datetime, horizon_days: int
) -> Forecast | NotEnoughData:
    """Return the forecast as of an instant; the history ends with the UTC day before."""
    history = history.that_counts()
    days = len(history.daily_micros)
    if days < MIN_DAYS or history.active_days < MIN_ACTIVE_DAYS:
        return NotEnoughData(history)
    unanswered = credit.recharge.unanswered_at(at)
    if unanswered is not None:
        credit = credit._replace(auto_recharge=None)
    model, today = SpendModel.of(history), at.astimezone(UTC)
    left_of_month = (_next_month(today) - today.date()).days
    spend = list(model.expected_from(today.weekday(), max(horizon_days, left_of_month)))
    # In the order of the spend: low, expected, high.
    low, expected, high = (
        walk(credit, _daily(sums, so_far.today_micros), since=at)
        for sums in zip(*spend[:horizon_days], strict=True)
    )
    return Forecast(
        history=history,
        model=model,
        confidence=next(level for least, level in _CONFIDENT_FROM if days >= least),
        month=_month(spend[left_of_month - 1], so_far),
        runs_out=RunsOut(high.runs_out, expected.runs_out, low.runs_out),
        path=tuple(_balances(today.date(), (low, expected, high))),
        recharged=expected.recharged,
        recharges_if_high=len(high.recharged),
        forfeited=Band(low.forfeited_micros, expected.forfeited_micros, high.forfeited_micros),
        unanswered=unanswered,
    )


def _next_month(at: datetime) -> date:
    return month_start(month_start(at) + timedelta(days=31)).date()


def _daily(sums: Iterable[float], spent_today_micros: int) -> Sequence[int]:
    # What was spent today already is part of what is expected of today.
    micros = [round(value) for value in sums]
    rest_of_today = max(0, micros[0] - spent_today_micros)
    return [rest_of_today, *(after - before for before, after in pairwise(micros))]


def _month(spend: ExpectedSpend, so_far: SpentSoFar) -> Band:
    rest = (max(round(value), so_far.today_micros) for value in spend)
    return Band(*(so_far.before_today_micros + micros for micros in rest))


def _balances(first_day: date, paths: Sequence[CreditPath]) -> Iterable[DayBalance]:
    # Who spends more is recharged earlier, and may have more left on a day: so sort.
    for number, balances in enumerate(zip(*(p.balances_micros for p in paths), strict=True)):
        band = Band(min(balances), balances[1], max(balances))
        yield DayBalance(first_day + timedelta(days=number), band)
