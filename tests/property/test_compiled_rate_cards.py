"""The compiled form of a rate card prices every call as the CSV does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from perminute.domain.rating.calls import PHONE_LEG_TYPES, LegType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.formats.compiled_rate_card import compile_rate_card, read_compiled_rate_card
from perminute.formats.rate_card_csv import read_rate_card, write_rate_card

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)

instants = st.integers(-3, 3).map(lambda number: AT + timedelta(days=1, microseconds=1) * number)
money = st.integers(0, 5_000_000)
increments = st.sampled_from([1, 6, 30, 60])
digits = st.text("019", max_size=5)
prefixes = digits.map("4".__add__)
numbers = st.one_of(
    prefixes.map("+{}".format),
    st.tuples(prefixes, st.integers(1, 3)).map(lambda parts: f"+{parts[0]}{'*' * parts[1]}"),
)


@st.composite
def rates(draw: st.DrawFn, leg_type_and_prefix: tuple[LegType, str]) -> list[Rate]:
    """Return the rates of a prefix: of one period after the other, or of all time."""
    leg_type, prefix = leg_type_and_prefix
    bounds = [None, *sorted(draw(st.sets(instants, max_size=3))), None]
    periods = draw(st.lists(st.sampled_from(list(pairwise(bounds))), min_size=1, unique=True))
    currency = draw(st.sampled_from(["USD", "EUR"]))
    starts = st.sets(st.integers(1, 5_000), max_size=2)
    return [
        Rate(
            leg_type=leg_type,
            prefix=prefix,
            country=draw(st.sampled_from([None, "DE", "XA"])),
            description=draw(st.sampled_from(["", "Mobile", "M\u00e9xico\u2028", 'a "b"\tc, 4.7'])),
            currency=currency,
            connection_fee_micros=draw(money),
            initial_increment_seconds=draw(increments),
            steps=tuple(
                Step(start, draw(money), draw(increments)) for start in (0, *sorted(draw(starts)))
            ),
            effective_from=since,
            effective_to=until,
            blocked=draw(st.booleans()),
        )
        for since, until in periods
    ]


@st.composite
def cards(draw: st.DrawFn) -> RateCard:
    keys = draw(st.sets(st.tuples(st.sampled_from(PHONE_LEG_TYPES), prefixes), min_size=1))
    of_all = [rate for key in sorted(keys) for rate in draw(rates(key))]
    return read_rate_card(write_rate_card(draw(st.permutations(of_all))).encode(), version="v1")


def compiled(card: RateCard) -> RateCard:
    return read_compiled_rate_card(compile_rate_card(card.rates), version=card.version)


@given(
    cards(),
    st.lists(st.tuples(st.sampled_from(PHONE_LEG_TYPES), numbers, st.integers(0, 7_200), instants)),
    st.sampled_from([None, "USD", "EUR"]),
)
def test_both_forms_price_every_call_alike(
    card: RateCard, calls: list[tuple[LegType, str, int, datetime]], currency: str | None
) -> None:
    other = compiled(card)
    for leg_type, number, seconds, at in calls:
        call = leg_type, number, seconds, at
        assert other.quote(*call, currency=currency) == card.quote(*call, currency=currency)
        named = leg_type, number, at
        assert other.hidden_rates(*named) == card.hidden_rates(*named)
        assert other.is_uncertain(*named) == card.is_uncertain(*named)
        until = at + timedelta(days=9)
        changes = [sorted(one.changes_between(*named, until)) for one in (other, card)]
        assert changes[0] == changes[1]


@given(cards())
def test_both_forms_have_the_same_rates(card: RateCard) -> None:
    other = compiled(card)
    assert (other.version, other.prefixes) == (card.version, card.prefixes)
    assert len(other.rates) == len(card.rates)
    assert all(rate in card.rates for rate in other.rates)


@given(cards())
def test_equal_rates_have_equal_bytes(card: RateCard) -> None:
    content = compile_rate_card(card.rates)
    assert compile_rate_card(reversed(card.rates)) == content
    assert compile_rate_card(read_compiled_rate_card(content).rates) == content
