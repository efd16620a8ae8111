"""A call is priced again from its record alone, to the same micro-unit as by its whole card."""

from __future__ import annotations

import json
from datetime import timedelta

from builders import ANSWERED, LONG_AGO, ORGANIZER, holds, phone_call, volume
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.dynamodb.call_items import usage_item, usage_of
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.domain.rating.rating import RatingContext, rate_call

LICENSED = Licensing(volume(), {ORGANIZER: holds("payPerMinute", "communicationsCredits")})
UNLICENSED = Licensing(volume(), {ORGANIZER: holds()})

NUMBERS = ("+493023125042", "+49302312****")
currencies = st.sampled_from([None, "USD", "EUR"])
increments = st.sampled_from([1, 6, 30, 60, 90])
money = st.integers(0, 2_000_000)


@st.composite
def rates(draw: st.DrawFn, prefix: str) -> Rate:
    later = draw(st.sets(st.integers(1, 3_000), max_size=2))
    return Rate(
        leg_type=LegType.DIAL_OUT,
        prefix=prefix,
        country=draw(st.sampled_from([None, "DE"])),
        description="as the card has it",
        currency=draw(st.sampled_from(["USD", "EUR"])),
        connection_fee_micros=draw(money),
        initial_increment_seconds=draw(increments),
        steps=tuple(Step(start, draw(money), draw(increments)) for start in (0, *sorted(later))),
        effective_from=draw(st.sampled_from([None, LONG_AGO, ANSWERED + timedelta(days=1)])),
        effective_to=None,
        blocked=draw(st.integers(0, 4)) == 0,
    )


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    prefixes = sorted(draw(st.sets(st.sampled_from(["4", "49", "4930", "493023125"]))))
    return RateCard([draw(rates(prefix)) for prefix in prefixes], version="a-card")


@given(cards(), st.sampled_from(NUMBERS), st.integers(0, 4_000), currencies, currencies)
def test_a_record_prices_its_call_as_the_card_does(
    card: RateCard, number: str, seconds: int, then: str | None, now: str | None
) -> None:
    one = phone_call(remote_number=number, billable_seconds=seconds)
    charged = rate_call(one, RatingContext(LICENSED, card, then, LONG_AGO)).usage()
    item = json.loads(json.dumps(usage_item(charged)))
    stored = usage_of(item)
    assert stored == charged
    recorded = stored.price.as_card(one.leg_type)
    for licensing in (LICENSED, UNLICENSED):
        context = RatingContext(licensing, card, now, LONG_AGO)
        anew = rate_call(one, context._replace(rate_card=recorded))
        assert anew.usage() == rate_call(one, context).usage()
