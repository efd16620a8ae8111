"""The set of subscribers that costs least.

With few candidates all sets are compared. With more there are too many, and what one subscription
is worth depends on who else draws on the pool. So a search begins with sets that are the best at an
assumed price of a pool minute, and with sets by the cost of calls. It improves each by changing one
user, or two at once, until nothing gets cheaper. Sets are always compared by their exact cost.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.advice.costs import NOBODY, Chosen, Rank, chosen_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.domain.advice.costs import PlanCosts

MAX_EXACT = 12
"""With so many candidates there are 4,096 sets."""

PRICES = 33
"""Assumed prices of a pool minute, from 0 to the highest average price of any candidate."""

MAX_RANKED = 500
"""Sets of those whose calls cost most."""

NEAREST = 32
"""Users who are changed in pairs: those whose single change costs least."""

MAX_COMPARED = 15_000
"""A limit on comparisons instead of on time, so that the same input always has the same answer.

After so many, some two seconds, the best set so far is returned.
"""


class Found(NamedTuple):
    """A set of subscribers, and whether all others were compared with it."""

    chosen: Chosen
    is_exact: bool


class _Ranked(NamedTuple):
    rank: Rank
    chosen: Chosen


def cheapest(costs: PlanCosts) -> Found:
    """Return the set that costs least; of several, one that changes fewest users."""
    count = len(costs.candidates)
    if count <= MAX_EXACT:
        every = sorted(range(1 << count), key=int.bit_count)
        return Found(_best(costs, (costs.current, *every)).chosen, is_exact=True)
    everybody = (1 << count) - 1
    found = (_best(costs, _by_price(costs)), _best(costs, _by_cost(costs)))
    others = (_ranked(costs, chosen) for chosen in (costs.current, NOBODY, everybody))
    starts = sorted({*found, *others}, key=_order)
    best = min((_improved(costs, start) for start in starts), key=_order)
    return Found(best.chosen, is_exact=False)


def _ranked(costs: PlanCosts, chosen: Chosen) -> _Ranked:
    return _Ranked(costs.rank(chosen), chosen)


def _order(found: _Ranked) -> Rank:
    return found.rank


def _best(costs: PlanCosts, sets: Iterable[Chosen]) -> _Ranked:
    # The first one of the best.
    return min((_ranked(costs, chosen) for chosen in sets), key=_order)


def _by_price(costs: PlanCosts) -> Iterator[Chosen]:
    of_each, months, basis = costs.of_each(), len(costs.basis.months), costs.basis
    paid = [user.pool_micros // user.pool_minutes for user in of_each if user.pool_minutes]
    for number in range(PRICES):
        minute_micros = max(paid, default=0) * number // (PRICES - 1)
        brought_micros = basis.minutes_per_license * minute_micros * months
        yield chosen_of(
            place
            for place, (toll, pool, minutes) in enumerate(of_each)
            if toll + pool - minute_micros * minutes + brought_micros > basis.price_micros * months
        )


def _by_cost(costs: PlanCosts) -> Iterator[Chosen]:
    micros = [user.toll_micros + user.pool_micros for user in costs.of_each()]
    dearest_first = sorted(range(len(micros)), key=micros.__getitem__, reverse=True)
    chosen, step = NOBODY, 1 + len(dearest_first) // MAX_RANKED
    yield chosen
    for count, place in enumerate(dearest_first, start=1):
        chosen |= 1 << place
        if count % step == 0:
            yield chosen


def _improved(costs: PlanCosts, best: _Ranked) -> _Ranked:
    while True:
        before, changed = best, list[_Ranked]()
        for place in range(len(costs.candidates)):
            if costs.compared >= MAX_COMPARED:
                return best
            changed.append(_ranked(costs, best.chosen ^ 1 << place))
            best = min(best, changed[-1], key=_order)
        if best is before:
            near = sorted(range(len(changed)), key=lambda place: changed[place].rank)[:NEAREST]
            pairs = (best.chosen ^ chosen_of(pair) for pair in combinations(near, 2))
            best = min((best, *(_ranked(costs, chosen) for chosen in pairs)), key=_order)
        if best is before:
            return best
