"""Prices of calls to own numbers: by country code, by toll-free range, or by the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import phonenumbers
import pytest

from perminute.domain.errors import Fault
from perminute_local.carrier_price_lists.acs_inbound import read_acs_inbound
from perminute_local.carrier_price_lists.calling_codes import (
    CALLING_CODES,
    TOLL_FREE_PREFIXES,
    is_shared,
)
from perminute_local.carrier_price_lists.price_list import DeckOptions

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.carrier_price_lists.price_list import PriceList

HEADER = "country,iso,geo_lease_usd_mo,receive_toll_usd_min,receive_tollfree_usd_min"
LIST = f"""{HEADER}
United States,US,1.00,0.0085,0.0220
Germany,DE,0.80,0.0100,0.1750
France,FR,1.00,0.0100,
Canada,CA,1.00,0.0085,0.0220
"""
OTHER_CANADA = LIST.replace("CA,1.00,0.0085", "CA,1.00,0.0090")
NAME = "name the organization's own numbers by --service-numbers"


def read(text: str, numbers: Path | None = None) -> PriceList:
    return read_acs_inbound(text.encode(), DeckOptions(service_numbers=numbers))


def card(prices: PriceList) -> set[tuple[str, str, str | None, int]]:
    rates = prices.rates()
    assert prices.faults == []
    return {(r.leg_type, r.prefix, r.country, r.rate_micros_per_minute) for r in rates}


def test_a_price_is_of_the_country_code_and_of_the_toll_free_ranges() -> None:
    prices = read(LIST)
    assert card(prices) == {
        ("tollDialIn", "1", None, 8_500),
        *(("tollFreeDialIn", prefix, None, 22_000) for prefix in TOLL_FREE_PREFIXES["US"]),
        ("tollDialIn", "49", "DE", 10_000),
        ("tollFreeDialIn", "49800", "DE", 175_000),
        ("tollDialIn", "33", "FR", 10_000),
    }
    assert [(fault.line, fault.message) for fault in prices.repeated] == [
        (
            5,
            f"{column}: CA has the prefixes and price of US at line 2, so the rate is of neither "
            "country",
        )
        for column in ("receive_toll_usd_min", "receive_tollfree_usd_min")
    ]
    assert prices.left_out == [Fault(4, "receive_tollfree_usd_min: France has no such price")]


def test_countries_that_share_a_prefix_at_different_prices_need_the_numbers() -> None:
    prices = read(OTHER_CANADA)
    prices.rates()
    assert prices.faults == [
        Fault(
            5,
            "receive_toll_usd_min: CA shares its prefixes with US at line 2, which has another "
            f"price: {NAME}",
        )
    ]


def test_a_country_whose_toll_free_ranges_are_not_known_needs_the_numbers() -> None:
    prices = read(f"{HEADER}\nExamplia,XE,1,,0.1\n")
    prices.rates()
    assert prices.faults == [
        Fault(2, f"iso: the tollFreeDialIn prefixes of XE are not known: {NAME}")
    ]


def test_a_country_that_stands_twice_is_taken_once_or_refused() -> None:
    again = read(f"{LIST}Germany,DE,0.80,0.0100,0.1760\n")
    again.rates()
    assert Fault(6, "DE tollDialIn has the same price at line 3") in again.repeated
    assert again.faults == [
        Fault(
            6,
            "DE tollFreeDialIn has two prices: 0.176 USD here and 0.175 USD at line 3; delete one "
            "of the rows",
        )
    ]


def test_own_numbers_are_priced_as_their_country(tmp_path: Path) -> None:
    numbers = tmp_path / "own.csv"
    numbers.write_text(
        "number,country,leg_type\n+14255550100,US,tollDialIn\n+16135550100,CA,tollDialIn\n"
        "+49800123456,DE,tollFreeDialIn\n"
    )
    prices = read(OTHER_CANADA, numbers)
    assert card(prices) == {
        ("tollDialIn", "14255550100", "US", 8_500),
        ("tollDialIn", "16135550100", "CA", 9_000),
        ("tollFreeDialIn", "49800123456", "DE", 175_000),
    }
    assert Fault(3, "receive_toll_usd_min: no number of DE is named") in prices.left_out


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("14255550100,US,tollDialIn", ":2: number: must be an E.164 number"),
        ("+1425555****,US,tollDialIn", ":2: number: must have all its digits"),
        ("+14255550100,US,dialOut", ":2: leg_type: must be tollDialIn or tollFreeDialIn"),
        ("+14255550100,,tollDialIn", ":2: country: must not be empty"),
        ("+81312345678,JP,tollDialIn", ":2: the list has no receive_toll_usd_min of JP"),
    ],
)
def test_a_faulty_file_of_own_numbers_is_named_with_its_line(
    tmp_path: Path, row: str, why: str
) -> None:
    numbers = tmp_path / "own.csv"
    numbers.write_text(f"number,country,leg_type\n{row}\n")
    prices = read(LIST, numbers)
    assert prices.rates() == []
    ((file, fault),) = prices.faults_elsewhere
    assert prices.refused
    assert file == numbers
    assert f":{fault.line}: {fault.message}".startswith(why)


@pytest.mark.parametrize("other", ["DE,tollDialIn", "US,tollFreeDialIn"])
def test_a_number_that_is_named_twice_is_taken_once_or_refused_in_its_own_file(
    tmp_path: Path, other: str
) -> None:
    numbers = tmp_path / "own.csv"
    row = "+14255550100,US,tollDialIn\n"
    numbers.write_text(f"number,country,leg_type\n{row}{row}")
    prices = read(LIST, numbers)
    assert card(prices) == {("tollDialIn", "14255550100", "US", 8_500)}
    assert prices.repeated == [Fault(2, f"{numbers}:3 names the number of line 2 once more")]
    numbers.write_text(f"number,country,leg_type\n{row}+14255550100,{other}\n")
    prices = read(LIST, numbers)
    assert (prices.rates(), prices.faults) == ([], [])
    why = "number: stands at line 2 with another country or leg type; delete one of them"
    assert prices.faults_elsewhere == [(numbers, Fault(3, why))]


def test_faulty_own_numbers_are_no_faults_of_the_list(tmp_path: Path) -> None:
    numbers = tmp_path / "own.csv"
    numbers.write_text("number,country,leg_type\n1,US,tollDialIn\n2,DE,tollDialIn\n")
    prices = read(LIST, numbers)
    assert prices.rates() == []
    assert (prices.faults, [fault.line for _, fault in prices.faults_elsewhere]) == ([], [2, 3])


def test_country_codes_are_those_of_the_numbering_plans() -> None:
    assert {
        country: str(phonenumbers.country_code_for_region(country)) for country in CALLING_CODES
    } == CALLING_CODES
    assert {code for code in CALLING_CODES.values() if is_shared(code)} >= {"1", "7", "44", "39"}


@pytest.mark.parametrize("country", TOLL_FREE_PREFIXES)
def test_toll_free_ranges_hold_toll_free_numbers_of_their_country(country: str) -> None:
    for prefix in TOLL_FREE_PREFIXES[country]:
        kinds = {
            phonenumbers.number_type(phonenumbers.parse(f"+{prefix}{'2345678901'[:further]}"))
            for further in range(3, 10)
        }
        assert phonenumbers.PhoneNumberType.TOLL_FREE in kinds
