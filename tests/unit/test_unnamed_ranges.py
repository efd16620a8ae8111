"""Which ranges a card prices as ordinary numbers; the ranges are libphonenumber's."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import phonenumbers
import pytest
from builders import card
from phonenumbers import PhoneNumberType

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import NoQuote, Quote, Rate, RateCard, Unpriced
from perminute_local.carrier_price_lists.outbound import read_acs
from perminute_local.carrier_price_lists.price_list import DeckOptions
from perminute_local.rates.special_ranges import blocking_rates, unnamed_ranges

# Not part of the project: those who have the carrier's file lay it beside their checkout.
REAL_ACS_DECK = Path(__file__).parents[3] / "shared" / "data" / "acs_pstn_rates.csv"
AT = datetime(2026, 11, 2, tzinfo=UTC)
PERIODS = "leg_type,prefix,country,currency,rate_per_minute,effective_from,effective_to"


def unnamed(rates: tuple[Rate, ...]) -> dict[str, list[str]]:
    """The prefixes of ranges by the prefixes that price them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for special, rate in unnamed_ranges(rates):
        found[rate.prefix].append(special.prefix)
    return dict(found)


def test_a_shorter_prefix_prices_premium_shared_cost_toll_free_and_other_ranges() -> None:
    assert unnamed(card("dialOut,61,AU,USD,0.02,,").rates) == {
        "61": ["6113", "61163", "611800", "611802", "611900", "611901", "611902", "611906"]
    }


def test_rows_of_the_range_and_longer_ones_name_it_at_whatever_price() -> None:
    named = card(
        "dialOut,61,AU,USD,0.02,,",
        "dialOut,6113,AU,USD,0.02,,",
        "dialOut,61163,AU,USD,,,true",
        *(f"dialOut,611900{digit},AU,USD,0.02,," for digit in range(10)),
        *(f"dialOut,611901{digit},AU,USD,0.02,," for digit in range(9)),
    )
    assert unnamed(named.rates) == {"61": ["611800", "611802", "611901", "611902", "611906"]}


def test_a_shorter_row_names_a_range_by_a_price_of_its_own_and_not_by_that_of_phones() -> None:
    rates = card(
        "dialOut,61,AU,USD,0.02,,",
        "dialOut,6119,AU,USD,0.02,,",
        "dialOut,61180,AU,USD,1.50,,",
    ).rates
    assert unnamed(rates) == {
        "61": ["6113", "61163"],
        "6119": ["611900", "611901", "611902", "611906"],
    }


def test_a_blocked_row_prices_nothing() -> None:
    blocked = card("dialOut,61,AU,USD,0.02,,", "dialOut,611,AU,USD,,,true")
    assert unnamed(blocked.rates) == {}


def test_only_dial_outs_are_looked_at() -> None:
    assert unnamed(card("tollDialIn,61,AU,USD,0.02,,", "tollFreeDialIn,61,AU,USD,1,,").rates) == {}


def test_each_rate_that_prices_a_range_at_some_time_is_found() -> None:
    rates = card(
        "dialOut,4,,USD,0.5,,",
        "dialOut,43,AT,USD,0.02,,2026-06-01T00:00:00Z",
        "dialOut,43,AT,USD,0.03,2026-06-01T00:00:00Z,2026-09-01T00:00:00Z",
        "dialOut,43900,AT,USD,1,,2026-06-01T00:00:00Z",
        header=PERIODS,
    ).rates
    prices: defaultdict[str, set[int]] = defaultdict(set)
    for special, rate in unnamed_ranges(rates):
        prices[special.prefix].add(rate.rate_micros_per_minute)
    assert prices["43901"] == {20_000, 30_000, 500_000}
    # It has a row until June, so that none can be added that blocks it for ever.
    assert prices["43900"] == {30_000, 500_000}
    blocked = {rate.prefix for rate in blocking_rates(rates)}
    assert blocked & {"43900", "43901"} == {"43901"}


def test_blocking_rows_are_in_the_currency_of_the_row_that_they_stand_beside() -> None:
    rates = card("dialOut,61,AU,EUR,0.02,,", "dialOut,6113,AU,EUR,0.3,,").rates
    blocking = blocking_rates(rates)
    assert [rate.prefix for rate in blocking] == [
        *("61163", "611800", "611802", "611900", "611901", "611902", "611906")
    ]
    assert {(rate.country, rate.currency, rate.blocked) for rate in blocking} == {
        ("AU", "EUR", True)
    }
    assert unnamed((*rates, *blocking)) == {}


def test_a_range_within_a_blocked_one_has_no_row_of_its_own() -> None:
    rates = card("dialOut,33,FR,USD,0.02,,").rates
    prefixes = [rate.prefix for rate in blocking_rates(rates)]
    assert "3381" in prefixes
    assert not {"33810", "33811"} & set(prefixes)


def test_what_ordinary_numbers_begin_with_as_well_is_found_and_not_blocked() -> None:
    """Premium-rate +353 1520 123456 begins as +353 1520 1234, a phone in Dublin, does."""
    rates = card("dialOut,3531,IE,USD,0.02,,").rates
    assert "3531520" in unnamed(rates)["3531"]
    assert blocking_rates(rates) == []


def test_a_service_of_no_country_is_blocked_without_one() -> None:
    """+800 is toll-free and +979 premium-rate all over the world."""
    blocking = blocking_rates(card("dialOut,8,,USD,1,,").rates)
    assert {rate.country for rate in blocking if rate.prefix.startswith("800")} == {None}


@pytest.fixture(scope="module")
def real_deck() -> list[Rate]:
    if not REAL_ACS_DECK.exists():
        pytest.skip("the real ACS deck is not part of the project")
    return list(read_acs(REAL_ACS_DECK.read_bytes(), DeckOptions()).rates())


def examples(*kinds: int) -> list[str]:
    found = (
        phonenumbers.example_number_for_type(region, kind)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind in kinds
    )
    return [
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        for number in found
        if number is not None
    ]


def test_of_the_real_deck_all_is_blocked_that_can_be_and_nothing_else_changes(
    real_deck: list[Rate],
) -> None:
    blocking = blocking_rates(real_deck)
    assert {u.range.exact for u in unnamed_ranges(real_deck)} == {True, False}
    assert {u.range.exact for u in unnamed_ranges([*real_deck, *blocking])} == {False}
    before, after = RateCard(real_deck), RateCard([*real_deck, *blocking])

    def quotes(number: str) -> tuple[Quote | NoQuote, Quote | NoQuote]:
        before_, after_ = (c.quote(LegType.DIAL_OUT, number, 60, AT) for c in (before, after))
        return before_, after_

    phones = PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.VOIP
    assert [n for n in examples(*phones) if quotes(n)[0] != quotes(n)[1]] == []
    premium = [quotes(number) for number in examples(PhoneNumberType.PREMIUM_RATE)]
    priced = [after_ for before_, after_ in premium if isinstance(before_, Quote)]
    # Of five countries the example begins as an ordinary number does.
    assert [isinstance(quote, NoQuote) for quote in priced].count(False) == 5
    assert len(priced) == 106
    assert {q.reason for q in priced if isinstance(q, NoQuote)} == {Unpriced.BLOCKED_NUMBER}
