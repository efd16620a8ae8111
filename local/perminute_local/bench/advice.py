"""The time that license advice takes, and what it saves compared with advice user by user."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute.domain.advice import search
from perminute.domain.advice.basis import (
    AdviceBasis,
    AdvisedCall,
    CallKind,
    Holding,
    LicensedUser,
    MonthOfCalls,
)
from perminute.domain.advice.costs import PlanCosts, chosen_of
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE
from perminute_local.bench.report import Row, best_cpu_seconds, print_result
from perminute_local.reports.advice_file import rate_by_the_minute

if TYPE_CHECKING:
    from perminute.domain.advice.costs import Chosen

PRICE_MICROS = 4_000_000
MINUTE_MICROS = (15_000, 20_000, 50_000, 125_000, 320_000)
TOLL_MINUTE_MICROS = 8_500
USERS, CALLS, MONTHS = 300, 12_000, 3
SMALL = 60
"""Organizations of 4 to 10 users, in which all sets can be compared."""
BASELINE = "each user alone: whoever's calls cost more than a subscription gets one"


def main() -> None:
    """Measure one large organization, and many small ones against all sets."""
    large = _organization(Random(1), USERS, CALLS, MONTHS)  # noqa: S311 - a made-up organization
    costs = PlanCosts(large)
    found = search.cheapest(costs)
    seconds = best_cpu_seconds(lambda: search.cheapest(PlanCosts(large)), 1)
    alone = best_cpu_seconds(lambda: _each_alone(PlanCosts(large)), 3)
    ours, greedy = costs.total(found.chosen), costs.total(_each_alone(costs))
    gaps, greedy_gaps = _gaps()
    print_result(
        "license advice",
        f"{USERS} users with {CALLS:,} calls in 3 s; exact with at most 12 users",
        [
            Row(
                f"s of CPU to advise {USERS} users with {CALLS:,} calls",
                round(seconds, 2),
                round(alone, 2),
                "3",
            ),
            Row(
                f"cost of a month with the advice, of {USERS} users",
                round(ours / MONTHS / 10**6),
                round(greedy / MONTHS / 10**6),
            ),
            Row(
                f"% above the best at worst, by a search in {SMALL} small organizations",
                round(100 * max(gaps), 1),
                round(100 * max(greedy_gaps), 1),
            ),
            Row(
                f"of {SMALL} small organizations not found exactly by a search",
                sum(gap > 0 for gap in gaps),
                sum(gap > 0 for gap in greedy_gaps),
            ),
        ],
        baseline=BASELINE,
        compared=costs.compared,
    )


def _gaps() -> tuple[list[float], list[float]]:
    gaps, greedy_gaps = list[float](), list[float]()
    for seed in range(SMALL):
        random = Random(seed)  # noqa: S311 - as above
        basis = _organization(
            random, random.randint(4, 10), random.choice((30, 100, 300)), random.choice((1, 3))
        )
        costs = PlanCosts(basis)
        best = costs.total(search.cheapest(costs).chosen)
        with patch.object(search, "MAX_EXACT", -1):
            searched = costs.total(search.cheapest(PlanCosts(basis)).chosen)
        gaps.append(searched / best - 1)
        greedy_gaps.append(costs.total(_each_alone(costs)) / best - 1)
    return gaps, greedy_gaps


def _each_alone(costs: PlanCosts) -> Chosen:
    price_micros = costs.basis.price_micros * len(costs.basis.months)
    return chosen_of(
        place
        for place, one in enumerate(costs.of_each())
        if one.toll_micros + one.pool_micros > price_micros
    )


def _organization(random: Random, users: int, calls: int, months: int) -> AdviceBasis:
    # A few users make most of the calls, and each has its own share of dial-outs.
    names = [f"user-{number}" for number in range(users)]
    weights = [random.lognormvariate(0, 1) for _ in names]
    shares = dict(zip(names, (random.random() for _ in names), strict=True))
    return AdviceBasis(
        PRICE_MICROS,
        {name: LicensedUser(Holding.PAY_PER_MINUTE) for name in names},
        tuple(
            MonthOfCalls(
                tuple(
                    _call(random, name, shares[name])
                    for name in random.choices(names, weights, k=calls // months)
                )
            )
            for _ in range(months)
        ),
    )


def _call(random: Random, user_id: str, share: float) -> AdvisedCall:
    minutes = 1 + int(random.expovariate(1 / 20))
    if random.random() >= share:
        return AdvisedCall(user_id, CallKind.TOLL, TOLL_MINUTE_MICROS * minutes)
    rate, seconds = _RATES[random.choice(MINUTE_MICROS)], minutes * SECONDS_PER_MINUTE
    micros = rate.charge_micros(seconds)
    return AdvisedCall(user_id, CallKind.POOL, micros, minutes, seconds, rate)


_RATES = {micros: rate_by_the_minute(micros) for micros in MINUTE_MICROS}


if __name__ == "__main__":
    main()
