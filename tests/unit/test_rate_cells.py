"""What a cell of a card or list may say, and what its fault says to write instead."""

from __future__ import annotations

import pytest

from perminute.formats.rate_card_csv import check_prefix, read_currency, read_leg_type, read_rate

NO_PREFIX = "must be the digits of an E.164 prefix, without +"
NO_RATE = "must be a decimal string with at most 6 decimals, such as 0.026"


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("+49", "write 49"),
        ("0049", "write 49"),
        ("49 151", "write 49151, or a row for each prefix"),
        ("(49) 151-2", "write 491512"),
        ("49.0", "write 49"),
        ("'49", "write 49"),
        ("49.1", "1 to 15 digits that begin with a country code, such as 4930"),
        ("43-45", "43-45 is a range; write a row for each prefix"),
        ("4366\u20134369", "4366\u20134369 is a range; write a row for each prefix"),
        ("43, 431", "43, 431 is a list; write a row for each prefix"),
        ("43;431", "43;431 is a list; write a row for each prefix"),
        ("43-45, 47", "43-45, 47 is a list; write a row for each prefix"),
        (
            "4.47E+11",
            "a spreadsheet made 4.47E+11 of it and lost its digits; take it from the carrier's "
            "file once more, with the column as text",
        ),
        ("049", "1 to 15 digits that begin with a country code, such as 4930"),
        ("1XXX310", "1 to 15 digits that begin with a country code, such as 4930"),
        ("\u0664\u0669", "1 to 15 digits that begin with a country code, such as 4930"),
        ("1" * 16, "1 to 15 digits that begin with a country code, such as 4930"),
    ],
)
def test_a_prefix_that_is_none_says_what_to_write(text: str, instead: str) -> None:
    with pytest.raises(ValueError, match=r"^must be") as refusal:
        check_prefix(text)
    assert str(refusal.value) == f"{NO_PREFIX}: {instead}"


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0.026", 26_000),
        ("0.0260000", 26_000),
        ("0.02600000000000000000000000", 26_000),
        ("1.0000000", 1_000_000),
        ("0.0000000", 0),
        ("100", 100_000_000),
        ("10.50", 10_500_000),
    ],
)
def test_zeros_at_the_end_of_a_price_are_harmless(text: str, micros: int) -> None:
    assert read_rate(text) == micros


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("0.0085125", "; 0.0085125 has more: round it yourself, to 0.008513"),
        ("0.0085124990", "; 0.0085124990 has more: round it yourself, to 0.008512"),
        ("0.9999995", "; 0.9999995 has more: round it yourself, to 1"),
        ("0.0000001", "; 0.0000001 has more: round it yourself, to 0.000001"),
        ("$0.026", ": write 0.026, without the currency"),
        ("0.026 USD", ": write 0.026, without the currency"),
        ("\u20ac5", ": write 5, without the currency"),
        ("0,026", ": decimals need a point, not a comma"),
        ("\u20ac 0,026", ": decimals need a point, not a comma, without the currency"),
        ("1.2E-2", ": write 0.012"),
        (".026", ": write 0.026"),
        ("1,234.5", ""),
        ("free", ""),
        ("-", ""),
        ("TBD", ""),
        ("n/a USD", ""),
        ("nan", ""),
    ],
)
def test_a_price_that_is_none_says_what_to_write(text: str, instead: str) -> None:
    with pytest.raises(ValueError, match=r"^must be") as refusal:
        read_rate(text)
    assert str(refusal.value) == NO_RATE + instead


def test_a_price_that_is_too_large_is_not_to_be_written_once_more() -> None:
    with pytest.raises(ValueError, match=r"^must not be larger than 1000000000000000$"):
        read_rate("1000000000000001")


def test_a_price_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"^must not be negative$"):
        read_rate("-0.0260000")


def test_other_letters_are_answered_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r": write USD$"):
        read_currency("usd")
    with pytest.raises(ValueError, match=r"such as USD$"):
        read_currency("dollar")
    with pytest.raises(ValueError, match=r"dialOut: write dialOut$"):
        read_leg_type("DIALOUT")
    with pytest.raises(ValueError, match=r"tollFreeDialIn, dialOut$"):
        read_leg_type("mobile")
