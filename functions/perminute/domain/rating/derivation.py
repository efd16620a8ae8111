"""How the rating of a call comes about, step by step: for explanations, not for charging."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE
from perminute.domain.rating.usage_record import Free, Outcome
from perminute.domain.values.money import round_half_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.domain.licensing.licensing import AppliedRule, Rule
    from perminute.domain.rating.rate_card import Rate
    from perminute.domain.rating.rating import Rating, RatingContext
    from perminute.domain.rating.usage_record import Usage


class PricedStep(NamedTuple):
    """Billed seconds of a call, `[from_second, to_second)`, that one step of its rate prices."""

    from_second: int
    to_second: int
    rate_micros_per_minute: int
    increment_seconds: int

    @property
    def sixtieths(self) -> int:
        """What they cost exactly, in sixtieths of a micro-unit."""
        return (self.to_second - self.from_second) * self.rate_micros_per_minute

    @property
    def amount_micros(self) -> int:
        """What its seconds cost, rounded half up; a charge is rounded only after adding all."""
        return round_half_up(self.sixtieths, SECONDS_PER_MINUTE)


class Derivation(NamedTuple):
    """A usage that was rated, and what it was rated by."""

    usage: Usage
    rate: Rate | None  # the row of the card; None without a price that credit can pay
    rules: tuple[AppliedRule, ...]  # of the organizer's licenses; none for a call that is free
    # The seconds that credit pays; if it pays none, those of the price by the rate card.
    steps: tuple[PricedStep, ...]

    @property
    def rule(self) -> Rule | None:
        """The rule that decided: the first one that is met, or the last one."""
        met = (rule for rule, conditions in self.rules if all(conditions))
        return next(met, self.rules[-1][0] if self.rules else None)

    @property
    def is_rounded(self) -> bool:
        """Whether the sum of the steps is not a whole number of micro-units."""
        return sum(step.sixtieths for step in self.steps) % SECONDS_PER_MINUTE != 0


def derive(
    rating: Rating, context: RatingContext, pool_minutes: int, reserved_minutes: int
) -> Derivation:
    """Return the usage of a call that drew `pool_minutes`, with each step of its computation."""
    call, licensing = rating.call, context.licensing
    is_free = isinstance(rating.cover, Free)
    usage = rating.usage(pool_minutes, reserved_minutes)
    is_charged = usage.outcome is Outcome.CHARGED
    return Derivation(
        usage=usage,
        rate=rating.rate,
        rules=() if is_free else licensing.rules(call, context.credits_set_up_at),
        steps=tuple(_steps(rating, usage.pool_minutes if is_charged else 0)),
    )


def _steps(rating: Rating, pool_minutes: int) -> Iterator[PricedStep]:
    if rating.rate is None:
        return
    start = pool_minutes * SECONDS_PER_MINUTE
    for seconds, step in rating.rate.parts(rating.price.billed_seconds, start):
        end = start + seconds
        yield PricedStep(start, end, step.rate_micros_per_minute, step.increment_seconds)
        start = end
