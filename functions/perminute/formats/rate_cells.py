"""Readers of single cells of rate cards and price lists.

Each raises `ValueError` with a message that follows the name of the column and says what to write
instead.
"""

from __future__ import annotations

import re
from decimal import Decimal

from perminute.domain.rating.calls import MAX_CALL_SECONDS, PHONE_LEG_TYPES, LegType
from perminute.domain.reference.countries import CURRENCIES, check_currency
from perminute.domain.values.money import DECIMALS, format_micros, parse_micros
from perminute.domain.values.printable import one_line

_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)
_MONEY_MARKS = re.compile(r"[$€£¥]|\b[A-Za-z]{3}\b")
_DECIMAL_COMMA = re.compile(r"-?[0-9]*,[0-9]+", re.ASCII)
_SCIENTIFIC = re.compile(r"-?[0-9]{1,9}([.,][0-9]{1,18})?[Ee][+-]?[0-9]{1,2}", re.ASCII)
_FURTHER_ZEROS = re.compile(r"(\.[0-9]{6})0+\Z", re.ASCII)
_PLAIN = re.compile(r"(-?)(?=\.?[0-9])([0-9]{0,18})(?:\.([0-9]{1,40}))?", re.ASCII)
_RANGE = r"[0-9]+\s*[-\u2013]\s*[0-9]+"

SEVERAL_PREFIXES = re.compile(
    rf"(?P<range>{_RANGE})|({_RANGE}|\+?[0-9]+)(\s*[,;/|]\s*({_RANGE}|\+?[0-9]+))+", re.ASCII
)
"""A range of prefixes, or a list of prefixes and ranges."""


def check_prefix(text: str) -> str:
    """Return a prefix: 1 to 15 digits that begin with a country code."""
    if _PREFIX.fullmatch(text) is None:
        instead = _instead_of_prefix(text)
        msg = f"must be the digits of an E.164 prefix, without +{instead}"
        raise ValueError(msg)
    return text


def _instead_of_prefix(text: str) -> str:
    # A spreadsheet writes a prefix that it took for a number with decimals, or an apostrophe.
    digits = re.sub(r"[\s()/'-]|^\+|\.0+$", "", text).removeprefix("00")
    if _SCIENTIFIC.fullmatch(text):
        return (
            f": a spreadsheet made {text} of it and lost its digits; take it from the carrier's "
            "file once more, with the column as text"
        )
    several = SEVERAL_PREFIXES.fullmatch(text)
    if several:
        what = "range" if several["range"] else "list"
        return f": {one_line(text, at_most=60)} is a {what}; write a row for each prefix"
    if _PREFIX.fullmatch(digits):
        spaced = re.fullmatch(r"[0-9]+(\s+[0-9]+)+", text, re.ASCII)
        return f": write {digits}{', or a row for each prefix' if spaced else ''}"
    return ": 1 to 15 digits that begin with a country code, such as 4930"


def read_rate(text: str) -> int:
    """Return a price in micro-units; it may be zero.

    More decimals than money has are refused unless they are zeros: who pays decides how to round.
    """
    try:
        micros = parse_micros(_FURTHER_ZEROS.sub(r"\1", text))
    except ValueError as error:
        msg = f"{error}{_instead_of_rate(text)}"
        raise ValueError(msg) from error
    if micros < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return micros


def _instead_of_rate(text: str) -> str:
    bare = _MONEY_MARKS.sub("", text).strip()
    alone = ", without the currency" if bare != text else ""
    if _DECIMAL_COMMA.fullmatch(bare):
        return f": decimals need a point, not a comma{alone}"
    if _SCIENTIFIC.fullmatch(bare):
        return f": write {Decimal(bare.replace(',', '.')):f}{alone}"
    plain = _PLAIN.fullmatch(bare)
    if plain is None:
        return ""
    sign, whole, decimals = plain.groups(default="")
    if len(decimals.rstrip("0")) > DECIMALS:
        return f"; {bare} has more: round it yourself, to {sign}{_rounded(whole, decimals)}"
    written = f"{sign}{whole or 0}{decimals and '.'}{decimals}"
    return "" if written == text else f": write {written}{alone}"


def _rounded(whole: str, decimals: str) -> str:
    """Round half up to the decimals that money has; never to 0, which would give calls away."""
    micros = int(whole or 0) * 10**DECIMALS + int(decimals[:DECIMALS])
    return format_micros(max(1, micros + (decimals[DECIMALS] >= "5")))


def read_currency(text: str) -> str:
    """Return the code of a currency."""
    if text.upper() in CURRENCIES and text != text.upper():
        msg = f"must be an ISO 4217 code such as USD: write {text.upper()}"
        raise ValueError(msg)
    return check_currency(text)


def read_leg_type(text: str) -> LegType:
    """Return a leg type that has rates."""
    if text not in PHONE_LEG_TYPES:
        meant = [leg_type for leg_type in PHONE_LEG_TYPES if leg_type.lower() == text.lower()]
        instead = f": write {meant[0]}" if meant else ""
        msg = f"must be one of {', '.join(PHONE_LEG_TYPES)}{instead}"
        raise ValueError(msg)
    return LegType(text)


def read_from_second(text: str) -> int:
    """Return the second of a call from which on a step holds."""
    return _read_seconds(text, at_least=0)


def read_increment(text: str) -> int:
    """Return the seconds that are billed at once."""
    return _read_seconds(text, at_least=1)


def _read_seconds(text: str, *, at_least: int) -> int:
    if _WHOLE.fullmatch(text) is None or not at_least <= int(text) <= MAX_CALL_SECONDS:
        msg = f"must be a whole number of seconds from {at_least} to {MAX_CALL_SECONDS}"
        raise ValueError(msg)
    return int(text)


def read_boolean(text: str) -> bool:
    """Return whether a cell is true; spreadsheets write it in capital letters."""
    value = {"true": True, "false": False}.get(text.lower())
    if value is None:
        msg = "must be true, false or empty"
        raise ValueError(msg)
    return value
