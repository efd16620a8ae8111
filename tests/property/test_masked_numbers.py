"""What a mask may hide is what pricing every number in its place would find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Quote, Rate, RateCard, Step

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
SHOWN = "+4477009"

few_digits = st.text("019", max_size=4)
whole_prefixes = few_digits.map("4477009".__add__)
prefixes = st.one_of(st.sampled_from(["4", "447"]), whole_prefixes)


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    rates = []
    for prefix in sorted(draw(st.sets(prefixes, max_size=12))):
        micros = draw(st.sampled_from([10_000, 20_000, 30_000]))
        rates.append(
            Rate(
                leg_type=LegType.DIAL_OUT,
                prefix=prefix,
                country="GB",
                description=prefix,
                currency="USD",
                connection_fee_micros=0,
                initial_increment_seconds=60,
                steps=(Step(0, micros, 60),),
                effective_from=draw(st.sampled_from([None, AT, AT + timedelta(days=1)])),
                effective_to=None,
                blocked=False,
            )
        )
    return RateCard(rates)


def price(card: RateCard, number: str) -> int | None:
    quote = card.quote(LegType.DIAL_OUT, number, 60, AT)
    return quote.charge_micros if isinstance(quote, Quote) else None


@given(cards(), st.integers(1, 3))
def test_a_mask_hides_the_prices_of_all_numbers_in_its_place(card: RateCard, masked: int) -> None:
    number = SHOWN + "*" * masked
    numbers = (f"{SHOWN}{digits:0{masked}}" for digits in range(10**masked))
    others = {price(card, one) for one in numbers} - {price(card, number), None}
    hidden = card.hidden_rates(LegType.DIAL_OUT, number, AT)
    assert sorted(one.rate_micros_per_minute for one in hidden) == sorted(filter(None, others))
