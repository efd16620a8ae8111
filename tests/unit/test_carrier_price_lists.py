"""Carriers' price lists as our card; figures are made up, layouts are the carriers' own."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perminute.domain.errors import Fault
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Quote
from perminute.domain.values.money import parse_micros
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.carrier_price_lists import DECKS
from perminute_local.carrier_price_lists.outbound import read_acs, read_telnyx, read_twilio
from perminute_local.carrier_price_lists.price_list import DeckOptions
from perminute_local.cli import main

# Not part of the project: those who have the carrier's file lay it beside their checkout.
REAL_ACS_DECK = Path(__file__).parents[3] / "shared" / "data" / "acs_pstn_rates.csv"
AT = datetime(2026, 11, 2, tzinfo=UTC)

ACS = b"""Destination Name,Destination Type,Country,Prefix,Price / min
Examplia,landline,XE,999,0.32
"Examplia, mobile",mobile,XE,9997,0.401
"""
TWILIO = b"""ISO,Country,Description,Price / min,Origination Prefixes,Destination Prefixes
XE,Examplia,Examplia,0.1550,,"999, 998"
XE,Examplia,Examplia - from NANP,0.0450,"1","999, 998"
XE,Examplia,Examplia - from Carribea,0.0900,"1242, 1246",999
XE,Examplia,Examplia - Mobile,0.2400,ALL,9997
"""
TELNYX_HEADER = (
    "ISO,Country,Origination Prefixes,Destination Prefixes,Description,Interval 1,Interval N,"
    "Rate,Price Per Call,Exact Match"
)
TELNYX = f"""{TELNYX_HEADER}
LU,Luxembourg,,352,Luxembourg - Fixed,60,60,0.2,,
LU,Luxembourg,local,352,Luxembourg - Fixed - Local,60,60,0.022,,
LU,Luxembourg,"30, 31, 49",352,Luxembourg - Fixed - From EEA,60,60,0.03,,
LU,Luxembourg,,"352621, 352628",Luxembourg - Mobile,1,1,0.08,0.01,
"""


def prices(name: str, content: bytes, **options: Any) -> dict[str, int]:
    deck = DECKS[name](content, DeckOptions(**options))
    rates = deck.rates()
    assert deck.faults == []
    return {rate.prefix: rate.rate_micros_per_minute for rate in rates}


def faults(name: str, content: bytes, **options: Any) -> list[tuple[int, str]]:
    deck = DECKS[name](content, DeckOptions(**options))
    deck.rates()
    return [(fault.line, fault.message) for fault in sorted(deck.faults)]


def test_a_row_of_the_acs_list_is_a_prefix() -> None:
    first, second = read_acs(ACS, DeckOptions()).rates()
    assert (first.prefix, first.country, first.rate_micros_per_minute) == ("999", "XE", 320_000)
    assert (second.prefix, second.description) == ("9997", "Examplia, mobile")


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, {"999": 155_000, "998": 155_000, "9997": 240_000}),
        ("+14255550100", {"999": 45_000, "998": 45_000, "9997": 240_000}),
        ("+12425550100", {"999": 90_000, "998": 45_000, "9997": 240_000}),
        ("+493023125042", {"999": 155_000, "998": 155_000, "9997": 240_000}),
    ],
)
def test_of_twilios_rows_the_one_for_the_caller_holds_and_without_a_caller_the_general_one(
    origin: str | None, expected: dict[str, int]
) -> None:
    assert prices("twilio", TWILIO, origin=origin) == expected


def test_rows_for_other_callers_are_listed_with_the_reason() -> None:
    everybody = read_twilio(TWILIO, DeckOptions())
    everybody.rates()
    assert everybody.left_out == [
        Fault(3, "is for calls from 1; not used"),
        Fault(4, "is for calls from 1242, 1246; not used"),
    ]
    bahamas = read_twilio(TWILIO, DeckOptions(origin="+12425550100"))
    bahamas.rates()
    assert bahamas.left_out == [Fault(2, "a more exact row prices calls to its prefixes")]


def test_a_dearer_price_for_some_callers_is_left_out_with_a_warning() -> None:
    dearer = TWILIO + b'XE,Examplia,Examplia - from NANP,0.3,1,"9997, 998"\n'
    everybody = read_twilio(dearer, DeckOptions())
    everybody.rates()
    assert everybody.left_out[-1] == Fault(
        6,
        "is for calls from 1; not used, though dearer than line 2 for prefix 998: name your number "
        "by --origin",
    )
    europe = read_twilio(dearer, DeckOptions(origin="+4930123456"))
    europe.rates()
    assert europe.left_out[-1] == Fault(6, "is for calls from 1; not used")


def test_a_prefix_that_is_priced_for_other_callers_only_is_a_fault() -> None:
    only = TWILIO + b'XE,Examplia,Examplia - Island,0.3,"1242, 1246","9985, 998"\n'
    assert faults("twilio", only) == [
        (
            6,
            "prefix 9985 is priced for calls from 1242, 1246 only: name the number that your calls "
            "come from by --origin, or delete the row",
        )
    ]
    assert prices("twilio", only, origin="+12425550100")["9985"] == 300_000


def test_two_prices_for_one_prefix_are_refused_with_both_lines() -> None:
    twice = TWILIO + b"XE,Examplia,Examplia - again,0.1,,998\n"
    assert faults("twilio", twice) == [
        (
            6,
            "prefix 998 has two prices: 0.1 USD here and 0.155 USD at line 2; delete one of the "
            "rows",
        )
    ]
    assert faults("acs", ACS + b"Examplia,x,XE,999,0.33\n") == [
        (
            4,
            "prefix 999 has two prices: 0.33 USD here and 0.32 USD at line 2; delete one of the "
            "rows",
        )
    ]


def test_a_price_that_cannot_be_read_does_not_contradict_another() -> None:
    assert faults("acs", ACS + b"Examplia,x,XE,999,-1\n") == [
        (4, "Price / min: must not be negative")
    ]


def test_equal_rows_are_taken_once_and_counted_in_every_deck() -> None:
    for deck, row in (
        (read_acs(ACS + b"again,x,XE,999,0.3200000\n", DeckOptions()), 4),
        (read_twilio(TWILIO + b"XE,Examplia,again,0.155,,998\n", DeckOptions()), 6),
        (
            read_telnyx(f"{TELNYX}LU,Luxembourg,,352,again,60,60,0.2,,\n".encode(), DeckOptions()),
            6,
        ),
    ):
        prefixes = [rate.prefix for rate in deck.rates()]
        assert len(prefixes) == len(set(prefixes))
        assert deck.faults == []
        assert [fault.line for fault in deck.repeated] == [row]
        assert "has the same price at line 2" in deck.repeated[0].message


def test_equal_prices_of_two_countries_are_not_equal_rows() -> None:
    assert faults("acs", ACS + b"Samplia,x,SX,999,0.32\n") == [
        (4, "prefix 999 is of SX here and of XE at line 2: delete one of the rows")
    ]


def test_a_row_that_says_it_has_no_prefix_is_left_out_and_an_empty_cell_is_a_fault() -> None:
    deck = read_acs(ACS + b"Monthly fee,fee,XE,n/a,free\n", DeckOptions())
    assert len(deck.rates()) == 2
    assert (deck.faults, deck.left_out) == (
        [],
        [Fault(4, "Prefix: says that it has no prefix")],
    )
    assert faults("acs", ACS + b"Examplia,x,XE,,0.3\n") == [(4, "Prefix: must not be empty")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            ACS.replace(b"Prefix,Price / min", b"Price / min"),
            [
                (
                    1,
                    "column Prefix is missing; there are: Destination Name, Destination Type, "
                    "Country, Price / min",
                )
            ],
        ),
        (
            ACS.replace(b"0.401", b"-1").replace(b"999,0", b"+999,0"),
            [
                (
                    2,
                    "Prefix: must be the digits of an E.164 prefix, without +: write 999",
                ),
                (3, "Price / min: must not be negative"),
            ],
        ),
        (
            ACS.replace(b"0.32", b"0,32").replace(b"XE,9997", b"XEA,9997"),
            [
                (
                    2,
                    "has 6 cells; the header has 5: put a cell that holds , in quotation marks, "
                    "and write decimals with a point",
                ),
                (3, "Country: must be an ISO 3166-1 alpha-2 code such as DE, or empty"),
            ],
        ),
        (
            ACS.replace(b"Examplia,", b"Exampli\xe4,"),
            [
                (2, "Destination Name: is not UTF-8; save the file as UTF-8"),
                (3, "Destination Name: is not UTF-8; save the file as UTF-8"),
            ],
        ),
        (ACS[:61], [(1, "the list has no row that becomes a rate")]),
    ],
)
def test_all_faults_of_a_list_are_named_at_once(
    content: bytes, expected: list[tuple[int, str]]
) -> None:
    assert faults("acs", content) == expected


def test_a_list_may_be_read_with_the_separator_and_decimal_mark_that_it_was_saved_with() -> None:
    saved = b"Destination Name;Country;Prefix;Price / min\nExamplia;XE;999;0,32\n"
    assert prices("acs", saved, separator=";", decimal=",") == {"999": 320_000}
    assert faults("acs", saved.replace(b"0,32", b"1.000,5"), separator=";", decimal=",") == [
        (2, "Price / min: holds a point, but its decimal mark is a comma: what is the point?")
    ]


def test_a_list_in_a_cell_may_have_been_saved_with_another_separator() -> None:
    saved = TWILIO.replace(b'"1242, 1246",999', b'"1242; 1246",999').replace(
        b"999, 998", b"999;998"
    )
    assert prices("twilio", saved) == prices("twilio", TWILIO)
    origin = "+12425550100"
    assert prices("twilio", saved, origin=origin) == prices("twilio", TWILIO, origin=origin)


@pytest.mark.parametrize(
    ("cells", "column"),
    [(b",ALL,;", "Destination Prefixes"), (b',";, ",999', "Origination Prefixes")],
)
def test_a_cell_that_lists_nothing_is_a_fault(cells: bytes, column: str) -> None:
    row = b"XE,Examplia,Examplia,0.1" + cells + b"\n"
    fault = f"{column}: holds separators, and nothing between them"
    assert faults("twilio", TWILIO + row) == [(6, fault)]


def test_a_class_of_callers_in_twilios_list_is_nobody_that_a_number_shows() -> None:
    deck = b"ISO,Description,Price / min,Origination Prefixes,Destination Prefixes\n"
    everywhere = deck + b"XE,x,0.2,Row,999\nXE,x,0.01,EEA,999\n"
    assert prices("twilio", everywhere, origin="+4930234567") == {"999": 200_000}
    ((line, message),) = faults("twilio", deck + b"XE,x,0.01,EEA,999\n")
    assert (line, message.split(":")[0]) == (2, "prefix 999 is priced for calls from EEA only")


def test_telnyx_has_its_own_increments_and_a_price_per_call() -> None:
    fixed, mobile, other = read_telnyx(TELNYX.encode(), DeckOptions()).rates()
    assert (fixed.prefix, fixed.country, fixed.currency) == ("352", "LU", "USD")
    assert (fixed.rate_micros_per_minute, fixed.connection_fee_micros) == (200_000, 0)
    assert (fixed.initial_increment_seconds, fixed.steps[0].increment_seconds) == (60, 60)
    assert [mobile.prefix, other.prefix] == ["352621", "352628"]
    assert (mobile.rate_micros_per_minute, mobile.connection_fee_micros) == (80_000, 10_000)
    assert (mobile.initial_increment_seconds, mobile.steps[0].increment_seconds) == (1, 1)


@pytest.mark.parametrize(
    ("origin", "micros"),
    [(None, 200_000), ("+35220123456", 22_000), ("+4930234567", 30_000), ("+14255550100", 200_000)],
)
def test_of_telnyxs_rows_the_one_for_the_caller_holds(origin: str | None, micros: int) -> None:
    assert prices("telnyx", TELNYX.encode(), origin=origin)["352"] == micros


def test_local_is_no_caller_whose_country_code_several_countries_share() -> None:
    deck = f"{TELNYX_HEADER}\nGB,x,,44,x,60,60,0.2,,\nGB,x,local,44,x,60,60,0.01,,\n".encode()
    assert prices("telnyx", deck, origin="+442079460100") == {"44": 200_000}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("LU,x,,1XXX310,x,60,60,0.75,,", "Destination Prefixes: must be the digits of an E.164"),
        ("LU,x,,3521,x,,60,0.75,,", "Interval 1: must not be empty"),
        ("LU,x,,3521,x,60,0,0.75,,", "Interval N: must be a whole number of seconds from 1"),
        ("LU,x,,3521,x,60,60,0.75,,yes", "Exact Match: the row prices one number"),
        ("LU,x,49/43,3521,x,60,60,0.75,,", "Origination Prefixes: must be the digits"),
        ("LU,x,EEA,3521,x,60,60,0.75,,", "prefix 3521 is priced for calls from EEA only"),
    ],
)
def test_what_of_telnyxs_deck_is_not_known_is_refused(row: str, message: str) -> None:
    ((line, found),) = faults("telnyx", f"{TELNYX}{row}\n".encode())
    assert line == 6
    assert found.startswith(message)


def test_convert_writes_a_card_that_check_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck = tmp_path / "deck.csv"
    deck.write_bytes(ACS)
    assert main(["rates", "convert", "--from", "acs", str(deck)]) == 0
    card = read_rate_card(capsys.readouterr().out.encode())
    assert {rate.prefix: rate.rate_micros_per_minute for rate in card.rates} == {
        "999": 320_000,
        "9997": 401_000,
    }


@pytest.mark.skipif(
    not REAL_ACS_DECK.exists(), reason="the real ACS deck is not part of the project"
)
def test_every_prefix_of_the_real_acs_deck_is_priced_as_the_deck_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rates", "convert", "--from", "acs", str(REAL_ACS_DECK)]) == 0
    card = read_rate_card(capsys.readouterr().out.encode())
    with REAL_ACS_DECK.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == len(card.rates) == 6_592
    for row in rows:
        # Two minutes and a second: three minutes are billed.
        quote = card.quote(LegType.DIAL_OUT, f"+{row['Prefix']}", 121, AT)
        assert isinstance(quote, Quote)
        assert (quote.rate.prefix, quote.rate.country, quote.charge_micros) == (
            row["Prefix"],
            row["Country"],
            3 * parse_micros(row["Price / min"]),
        )
