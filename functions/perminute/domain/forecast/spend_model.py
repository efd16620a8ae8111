"""What is spent on a day, as it is expected from what was spent before (docs/domain.md §7.1, §7.2).

These are estimates, so they are floats; no money is booked by them.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate
from math import exp, log, log1p, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

MAX_DAYS = 84
"""How much of the history counts; after so long a day weighs a sixteenth."""

_WEEK = 7
# A day weighs half as much as one three weeks later.
_WEIGHT_OF_A_DAY = 0.5 ** (1 / 21)
# A short history says little of a weekday, so two weeks of this profile are added to it.
_PROFILE = (1.3, 1.3, 1.3, 1.3, 1.3, 0.25, 0.25)
_PROFILE_WEEKS = 2
_ROUNDS = 3
# The tenth and the ninetieth percentile of the normal distribution.
_Z = 1.2815515655446004
# The level drifts by some 4.5 % a day: so much is assumed with the weight of six weeks.
_DRIFT_VARIANCE = 0.045**2
_DRIFT_WEEKS = 6
# One week that is far off, such as that of a holiday, must not widen the band for a year.
_MAX_WEEKLY_VARIANCE = 0.5
# By how many days' drift the band of a sum of days widens, and that of a week, 10 + 7/3.
_DRIFT_OF_ANY_SUM = 10
_DRIFT_BY_DAY = 1 / 3
_DRIFT_OF_A_WEEK = 12.3
# A spread is understated that few active days show.
_SPREAD_DAYS = 8


class SpendHistory(NamedTuple):
    """What the calls of each day cost, of successive UTC days, in micro-units."""

    first_day: date
    daily_micros: tuple[int, ...]

    @property
    def active_days(self) -> int:
        """On how many days anything was spent."""
        return sum(micros > 0 for micros in self.daily_micros)

    def that_counts(self) -> SpendHistory:
        """Return its last days, at most `MAX_DAYS`, from the first day with spend on."""
        daily = self.daily_micros
        first = next((place for place, micros in enumerate(daily) if micros), len(daily))
        first = max(first, len(daily) - MAX_DAYS)
        return SpendHistory(self.first_day + timedelta(days=first), daily[first:])

    def up_to(self, days: int) -> SpendHistory:
        """Return its first days."""
        return SpendHistory(self.first_day, self.daily_micros[:days])

    def weekday(self, place: int) -> int:
        """Return the weekday of a day; Monday is 0."""
        return (self.first_day.weekday() + place) % _WEEK


class ExpectedSpend(NamedTuple):
    """What is spent from a day on, in micro-units: the band contains the sum in 8 cases of 10."""

    low: float
    expected: float
    high: float


class SpendModel(NamedTuple):
    """A level and a factor of each weekday, and how far to trust them."""

    level: float  # micro-units a day
    factors: tuple[float, ...]  # of Monday to Sunday; their mean is 1
    days: float  # how many days of full weight it is known by
    dispersion: float = 0.0  # the variance of a day's spend by its mean, in micro-units
    drift_variance: float = 0.0  # relative, of the level in a day

    @classmethod
    def of(cls, history: SpendHistory) -> SpendModel:
        """Return the model of a history of at least one active day."""
        model = _fit(history)
        model = model._replace(dispersion=_dispersion(model, history))
        return model._replace(drift_variance=_drift_variance(model, history))

    def expected_on(self, weekday: int) -> float:
        """Return what is expected to be spent on a weekday; Monday is 0."""
        return self.level * self.factors[weekday]

    def expected_from(self, weekday: int, days: int) -> Iterator[ExpectedSpend]:
        """Go through the sums of the first day, of the first two days, and so on.

        None of them is smaller than the one before.
        """
        low = high = 0.0
        means = accumulate(self.expected_on((weekday + day) % _WEEK) for day in range(days))
        for day, mean in enumerate(means, start=1):
            drift = self.drift_variance * (_DRIFT_OF_ANY_SUM + _DRIFT_BY_DAY * day)
            variance = log1p(self.noise_of(mean) + drift)
            middle, half_band = log(mean) - variance / 2, _Z * sqrt(variance)
            low = max(low, exp(middle - half_band))
            high = max(high, mean, exp(middle + half_band))
            yield ExpectedSpend(low, mean, high)

    def noise_of(self, mean: float) -> float:
        """Return the relative variance of a sum by chance, and as the level is not known better."""
        return self.dispersion / mean + self.dispersion / (self.level * self.days)


def _fit(history: SpendHistory) -> SpendModel:
    weights, spent = [0.0] * _WEEK, [0.0] * _WEEK
    for age, micros in enumerate(reversed(history.daily_micros)):
        weekday = history.weekday(len(history.daily_micros) - 1 - age)
        weights[weekday] += _WEIGHT_OF_A_DAY**age
        spent[weekday] += _WEIGHT_OF_A_DAY**age * micros
    factors: Sequence[float] = _PROFILE
    for _ in range(_ROUNDS if any(spent) else 0):
        factors = _factors(weights, spent, _level(weights, spent, factors))
    return SpendModel(_level(weights, spent, factors), tuple(factors), sum(weights))


def _level(weights: Sequence[float], spent: Sequence[float], factors: Sequence[float]) -> float:
    weighted = zip(weights, factors, strict=True)
    return sum(spent) / sum(weight * factor for weight, factor in weighted)


def _factors(weights: Sequence[float], spent: Sequence[float], level: float) -> list[float]:
    factors = [
        (micros / level + _PROFILE_WEEKS * usual) / (weight + _PROFILE_WEEKS)
        for weight, micros, usual in zip(weights, spent, _PROFILE, strict=True)
    ]
    mean = sum(factors) / _WEEK
    return [factor / mean for factor in factors]


def _dispersion(model: SpendModel, history: SpendHistory) -> float:
    means = [model.expected_on(history.weekday(day)) for day in range(len(history.daily_micros))]
    misses = zip(history.daily_micros, means, strict=True)
    spread = sum((micros - mean) ** 2 for micros, mean in misses) / sum(means)
    return spread * (1 + _SPREAD_DAYS / history.active_days)


def _drift_variance(model: SpendModel, history: SpendHistory) -> float:
    # By the weeks that had a forecast of at least two weeks' history.
    places = range(2 * _WEEK, len(history.daily_micros) - _WEEK + 1, _WEEK)
    weeks = [
        max(0.0, min(variance, _MAX_WEEKLY_VARIANCE))
        for place in places
        if (variance := _variance_by_drift(model, history, place)) is not None
    ]
    seen = sum(weeks) / _DRIFT_OF_A_WEEK
    return (seen + _DRIFT_WEEKS * _DRIFT_VARIANCE) / (len(weeks) + _DRIFT_WEEKS)


def _variance_by_drift(model: SpendModel, history: SpendHistory, place: int) -> float | None:
    # Of the week after the first days; None if nothing was spent before, so nothing was expected.
    earlier = _fit(history.up_to(place))._replace(dispersion=model.dispersion)
    week = range(place, place + _WEEK)
    mean = sum(earlier.expected_on(history.weekday(day)) for day in week)
    if not mean:
        return None
    spent = sum(history.daily_micros[place : place + _WEEK])
    return float(((spent - mean) / mean) ** 2 - earlier.noise_of(mean))
