"""The adviser against all sets of subscribers, each charged by the code that charges calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

import pytest
from advising import PRICE_MICROS
from builders import LONG_AGO, card, fact, holds, phone_call, volume
from hypothesis import given, settings
from hypothesis import strategies as st

from perminute.domain.advice import search
from perminute.domain.advice.advice import Advice, advise
from perminute.domain.advice.basis import (
    AdviceBasis,
    AdvisedCall,
    CallKind,
    Holding,
    LicensedUser,
    MonthOfCalls,
)
from perminute.domain.advice.costs import PlanCosts, places_of
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import MinutePool, Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rating import RatingContext, rate_call

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.rating.calls import Call

NOVEMBER = Month(2026, 11)
START = datetime(2026, 11, 2, tzinfo=UTC)
CARD = card(
    "dialOut,49,DE,USD,0.015,,",
    "dialOut,33,FR,USD,0.32,0.5,",
    "dialOut,92,PK,USD,0.1,,",
    "tollDialIn,1,US,USD,0.0085,,",
)
NUMBERS = ("+493023125042", "+33123456789", "+922112345678")


class Made(NamedTuple):
    """A call: who made it, to which number, for how many seconds; None, a toll dial-in."""

    user: int
    number: str | None
    seconds: int


MADE = st.builds(
    Made,
    user=st.integers(0, 7),
    number=st.none() | st.sampled_from(NUMBERS),
    seconds=st.integers(1, 6_000),
)
HOLDINGS = st.lists(
    st.sampled_from(["payPerMinute", "subscription", "bundle"]), min_size=8, max_size=8
)
MONTHS = st.lists(st.lists(MADE, max_size=14), min_size=1, max_size=3)


def call_of(number: int, made: Made) -> AdvisedCall:
    """The call as the adviser sees it: priced by the card, and of a kind by its number."""
    rated = rate_call(real_call(number, made), context((), 0))
    assert rated.rate is not None
    assert rated.price.retail_micros is not None
    user_id, retail_micros = f"user-{made.user}", rated.price.retail_micros
    if made.number is None:
        return AdvisedCall(user_id, CallKind.TOLL, retail_micros)
    if made.number == "+922112345678":
        return AdvisedCall(user_id, CallKind.OTHER, retail_micros)
    minutes = -(-made.seconds // 60)
    seconds = rated.price.billed_seconds
    return AdvisedCall(user_id, CallKind.POOL, retail_micros, minutes, seconds, rated.rate)


def real_call(number: int, made: Made) -> Call:
    end = START + timedelta(hours=number)
    return phone_call(
        call_id=f"call-{number:03}",
        organizer_id=f"user-{made.user}",
        leg_type=LegType.TOLL_DIAL_IN if made.number is None else LegType.DIAL_OUT,
        service_number="+12065550100" if made.number is None else None,
        remote_number=made.number,
        answered_at=end - timedelta(seconds=made.seconds),
        ended_at=end,
    )


def context(subscribers: Collection[str], licenses: int) -> RatingContext:
    organization = Timeline([*volume().facts, fact("purchased:MCOMEETADV", licenses, LONG_AGO)])
    users = {
        f"user-{user}": holds(
            "subscription" if f"user-{user}" in subscribers else "payPerMinute",
            "communicationsCredits",
        )
        for user in range(8)
    }
    return RatingContext(Licensing(organization, users), CARD, "USD", LONG_AGO)


def charged(months: list[list[Made]], subscribers: Collection[str], licenses: int) -> int:
    """What credit pays for all calls if they are charged in the order in which they ended."""
    rated_by, total = context(subscribers, licenses), 0
    for month in months:
        pool = MinutePool("contoso", NOVEMBER)
        for number, made in enumerate(month):
            call = real_call(number, made)
            rating = rate_call(call, rated_by)
            taken = 0
            if rating.draws_on_pool:
                pool, taken = pool.draw(
                    call,
                    rating.pool_minutes_wanted,
                    rated_by.licensing,
                    reserved=None,
                    now=call.ended_at,
                )
            total += rating.usage(taken).charge_micros
    return total


def basis_of(holdings: list[str], months: list[list[Made]]) -> AdviceBasis:
    users = {f"user-{n}": LicensedUser(Holding(held)) for n, held in enumerate(holdings)}
    calls = (tuple(call_of(*numbered) for numbered in enumerate(month)) for month in months)
    return AdviceBasis(PRICE_MICROS, users, tuple(map(MonthOfCalls, calls)))


@settings(max_examples=30)
@given(holdings=HOLDINGS, months=MONTHS, chosen=st.sets(st.integers(0, 7)))
def test_a_set_costs_what_its_calls_are_charged(
    holdings: list[str], months: list[list[Made]], chosen: set[int]
) -> None:
    costs = PlanCosts(basis_of(holdings, months))
    bits = sum(1 << place for place in chosen if place < len(costs.candidates))
    subscribers = {*costs.fixed, *(costs.candidates[place] for place in places_of(bits))}
    licenses_micros = costs.bought(bits) * len(months) * PRICE_MICROS
    expected = charged(months, subscribers, len(subscribers)) + licenses_micros
    assert costs.total(bits) == expected
    # Whichever set the sums are of.
    for seen_from in (0, (1 << len(costs.candidates)) - 1):
        costs.look_from(seen_from)
        assert costs.total(bits) == expected


@settings(max_examples=30)
@given(holdings=HOLDINGS, months=MONTHS)
def test_no_set_is_cheaper(holdings: list[str], months: list[list[Made]]) -> None:
    basis = basis_of(holdings, months)
    costs, advice = PlanCosts(basis), advise(basis)
    places = range(len(costs.candidates))
    every = [
        sum(1 << place for place in some)
        for size in range(len(places) + 1)
        for some in combinations(places, size)
    ]
    ranks = [(costs.total(chosen), (chosen ^ costs.current).bit_count()) for chosen in every]
    assert (advice.best_micros, len(advice.recommendations)) == min(ranks)
    check_consistent(costs, advice)


def check_consistent(costs: PlanCosts, advice: Advice) -> None:
    """Each change is worth it beside the others, and leads from what is held to what is best."""
    best = sum(1 << costs.candidates.index(u) for u in set(advice.subscribers) - costs.fixed)
    assert advice.best_micros == costs.total(best)
    assert advice.current_micros == costs.total(costs.current)
    for one in advice.recommendations:
        otherwise = costs.total(best ^ 1 << costs.candidates.index(one.user_id))
        assert one.saves_micros == otherwise - advice.best_micros > 0
        assert one.months_agreeing >= 1


@settings(max_examples=30)
@given(holdings=HOLDINGS, months=MONTHS)
def test_a_search_finds_what_no_change_of_one_or_two_makes_cheaper(
    holdings: list[str], months: list[list[Made]]
) -> None:
    basis = basis_of(holdings, months)
    costs = PlanCosts(basis)
    with pytest.MonkeyPatch.context() as patched:
        exact = costs.rank(search.cheapest(costs).chosen)
        patched.setattr(search, "MAX_EXACT", -1)
        found = search.cheapest(costs)
    rank = costs.rank(found.chosen)
    assert not found.is_exact
    # Of 300 random organizations of 4 to 10 users with up to 600 calls, 4 were not found exactly:
    # the worst cost 1.4 % more (`make bench`). Those of this test are smaller.
    assert exact.micros <= rank.micros <= exact.micros * 1.1
    count = len(costs.candidates)
    for one, other in combinations_with_replacement(range(count), 2):
        assert costs.rank(found.chosen ^ (1 << one | 1 << other)) >= rank
