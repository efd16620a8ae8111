"""Carriers' price lists as our card; figures are made up, layouts are the carriers' own."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perminute.domain.errors import FaultyRateCard
from perminute.domain.legs import LegType
from perminute.domain.money import parse_micros
from perminute.domain.rate_card import Quote, RateCard
from perminute.domain.rate_card_csv import read_rate_card
from perminute_local.cli import main
from perminute_local.decks import acs, twilio

# Not part of the project: those who have the carrier's file lay it beside their checkout.
REAL_ACS_DECK = Path(__file__).parents[3] / "shared" / "data" / "acs_pstn_rates.csv"
AT = datetime(2026, 11, 2, tzinfo=UTC)

ACS = b"""Destination Name,Destination Type,Country,Prefix,Price / min
Examplia,landline,EX,999,0.32
"Examplia, mobile",mobile,EX,9997,0.401
"""
TWILIO = b"""ISO,Country,Description,Price / min,Origination Prefixes,Destination Prefixes
EX,Examplia,Examplia,0.1550,,"999, 998"
EX,Examplia,Examplia - from NANP,0.0450,"1","999, 998"
EX,Examplia,Examplia - from Carribea,0.0900,"1242, 1246",999
EX,Examplia,Examplia - Mobile,0.2400,ALL,9997
"""


def rates(card: RateCard) -> dict[str, int]:
    return {rate.prefix: rate.rate_micros_per_minute for rate in card.rates}


def test_a_row_of_the_acs_list_is_a_prefix() -> None:
    first, second = acs(ACS, None)
    assert (first.prefix, first.country, first.rate_micros_per_minute) == ("999", "EX", 320_000)
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
    assert rates(RateCard(twilio(TWILIO, origin))) == expected


def test_two_prices_for_one_prefix_are_refused_with_the_line() -> None:
    twice = TWILIO + b"EX,Examplia,Examplia - again,0.1,,998\n"
    with pytest.raises(FaultyRateCard, match=r"^line 6: prefix 998 has two prices$"):
        twilio(twice, None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Country,Prefix\n", "column Destination Name is missing"),
        (b"", "column Country is missing"),
        (ACS.replace(b"0.401", b"free"), "line 3: Price / min: must be a decimal string"),
        (ACS.replace(b"0.401", b"-1"), "line 3: Price / min: must not be negative"),
        (ACS.replace(b",9997", b",+9997"), "line 3: prefix: must be the digits of an E.164 prefix"),
        (ACS.replace(b"EX,9997", b"EXA,9997"), "line 3: country: must be an ISO 3166-1"),
        (ACS + b'x,"' + b"y" * 200_000 + b'"', "is no CSV: field larger than"),
        (ACS.replace(b"Examplia,", b"Exampli\xe4,"), "line 2: is not UTF-8"),
    ],
)
def test_a_list_that_does_not_look_as_it_should_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(FaultyRateCard, match=why):
        acs(content, None)


def test_an_origin_for_prices_that_do_not_depend_on_it_is_a_wrong_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["rates", "convert", "--from", "acs", "--origin", "+14255550100", "x.csv"]) == 2
    assert "--origin has no meaning for acs" in capsys.readouterr().err


def test_convert_writes_a_card_that_check_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck = tmp_path / "deck.csv"
    deck.write_bytes(ACS)
    assert main(["rates", "convert", "--from", "acs", str(deck)]) == 0
    card = read_rate_card(capsys.readouterr().out.encode())
    assert rates(card) == {"999": 320_000, "9997": 401_000}


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
