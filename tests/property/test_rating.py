"""What holds for every rate card and every call."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType
from perminute.domain.rating.rate_card import NoQuote, Quote, Rate, RateCard, Step
from perminute.domain.values.money import format_micros
from perminute.formats.rate_card_csv import read_rate_card, write_rate_card
from perminute_local.rates.quotes import price_text

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)

seconds = st.integers(0, MAX_CALL_SECONDS)
increments = st.one_of(st.sampled_from([1, 6, 30, 60]), st.integers(1, 3_600))
money = st.integers(0, 5_000_000)
digits = st.text("0123456789", max_size=6)
prefixes = st.builds(str.__add__, st.sampled_from("123456789"), digits)


@st.composite
def steps(draw: st.DrawFn) -> tuple[Step, ...]:
    starts = draw(st.sets(st.integers(1, 5_000), max_size=3))
    return tuple(Step(start, draw(money), draw(increments)) for start in (0, *sorted(starts)))


@st.composite
def rates(draw: st.DrawFn, prefix: str = "49") -> Rate:
    return Rate(
        leg_type=LegType.DIAL_OUT,
        prefix=prefix,
        country=draw(st.sampled_from([None, "DE"])),
        description=draw(st.text("abc ,\"'", max_size=5)).strip(),
        currency="USD",
        connection_fee_micros=draw(money),
        initial_increment_seconds=draw(increments),
        steps=draw(steps()),
        effective_from=None,
        effective_to=draw(st.sampled_from([None, AT + timedelta(days=1)])),
        blocked=False,
    )


@given(rates(), seconds, seconds)
def test_a_longer_call_never_costs_less(rate: Rate, one: int, other: int) -> None:
    shorter, longer = sorted((rate.billed_seconds(one), rate.billed_seconds(other)))
    assert rate.billed_seconds(min(one, other)) == shorter
    assert rate.charge_micros(shorter) <= rate.charge_micros(longer)


@given(rates(), seconds)
def test_billed_time_covers_the_call_and_no_block_is_billed_that_was_not_started(
    rate: Rate, connected: int
) -> None:
    billed = rate.billed_seconds(connected)
    largest = max(rate.initial_increment_seconds, *(s.increment_seconds for s in rate.steps))
    assert connected <= billed < connected + largest or connected == billed == 0


@given(rates(), seconds)
def test_a_charge_is_the_exact_price_of_each_billed_second_rounded_once(
    rate: Rate, connected: int
) -> None:
    """Second by second with fractions: slow, obvious, and another way to the same figure."""
    billed = _billed_block_by_block(rate, connected)
    exact = Fraction(rate.connection_fee_micros if billed else 0)
    for number, step in enumerate(rate.steps):
        end = rate.steps[number + 1].from_second if number + 1 < len(rate.steps) else billed
        held = max(0, min(end, billed) - step.from_second)
        exact += held * Fraction(step.rate_micros_per_minute, 60)
    assert rate.charge_micros(rate.billed_seconds(connected)) == int(exact + Fraction(1, 2))


@given(rates(), seconds)
def test_the_parts_of_a_price_in_words_add_up_to_it(rate: Rate, connected: int) -> None:
    quote = rate.quote(connected)
    text = price_text(quote)
    parts = re.findall(r"([0-9]+) s (?:billed )?at ([0-9.]+)", text)
    fees = [Fraction(fee) for fee in re.findall(r"connection fee ([0-9.]+)", text)]
    prices = [int(part) * Fraction(per_minute) / 60 for part, per_minute in parts]
    micros = sum([*prices, *fees], start=Fraction()) * 1_000_000
    assert int(micros + Fraction(1, 2)) == quote.charge_micros
    assert (micros.denominator != 1) == ("rounded" in text)
    assert text.startswith(f"{format_micros(quote.charge_micros)} USD (")
    assert f"({quote.billed_seconds} s billed" in text
    assert sum(int(part) for part, _ in parts) == quote.billed_seconds


def _billed_block_by_block(rate: Rate, connected: int) -> int:
    billed = 0
    while billed < connected:
        holding = [step for step in rate.steps if step.from_second <= billed][-1]
        billed += holding.increment_seconds if billed else rate.initial_increment_seconds
    return billed


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    chosen = draw(st.sets(prefixes, min_size=1, max_size=12))
    return RateCard([draw(rates(prefix=prefix)) for prefix in sorted(chosen)])


@given(cards(), prefixes, seconds)
def test_a_longer_prefix_never_loses_to_a_shorter(card: RateCard, digits_: str, of: int) -> None:
    matching = [rate.prefix for rate in card.rates if digits_.startswith(rate.prefix)]
    match card.quote(LegType.DIAL_OUT, f"+{digits_}", of, AT):
        case Quote(rate=rate):
            assert rate.prefix == max(matching, key=len)
        case NoQuote():
            assert not matching


@given(cards())
def test_a_card_survives_being_written_and_read(card: RateCard) -> None:
    again = read_rate_card(write_rate_card(card.rates).encode()).rates
    assert sorted(again, key=lambda r: r.prefix) == sorted(card.rates, key=lambda r: r.prefix)
