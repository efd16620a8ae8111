"""Read and write the rate card as CSV (docs/rate-cards.md): whole, or not at all."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.rating.calls import MAX_CALL_SECONDS, PHONE_LEG_TYPES, LegType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.domain.reference.countries import CURRENCIES, check_card_country, check_currency
from perminute.domain.values.money import DECIMALS, format_micros, parse_micros
from perminute.domain.values.printable import one_line, spreadsheet_text
from perminute.domain.values.times import format_instant, parse_instant
from perminute.formats.csv_tables import Columns, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute.formats.csv_tables import Row

REQUIRED_COLUMNS = ("leg_type", "prefix", "currency", "rate_per_minute")
COLUMNS = (
    "leg_type",
    "prefix",
    "country",
    "description",
    "currency",
    "rate_per_minute",
    "connection_fee",
    "initial_increment_seconds",
    "increment_seconds",
    "from_second",
    "effective_from",
    "effective_to",
    "blocked",
)

_COLUMNS = Columns(
    REQUIRED_COLUMNS, tuple(name for name in COLUMNS if name not in REQUIRED_COLUMNS)
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)

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


def read_rate_card(content: bytes, *, version: str = "") -> RateCard:
    """Read a card; raises `FaultyRateCard` with the line of every fault if there is any."""
    faults: list[Fault] = []
    rows = [_read_row(row) for row in read_rows(content, _COLUMNS, faults)]
    rates = combine((row for row in rows if row is not None), faults)
    if not rates and not faults:
        faults.append(Fault(1, "the card has no rates"))
    if faults:
        raise FaultyRateCard(faults)
    return RateCard(rates, version=version)


def write_rate_card(rates: Iterable[Rate]) -> str:
    """Write rates as a card that `read_rate_card` reads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rate in rates:
        writer.writerows(_cells(rate, step) for step in rate.steps)
    return text.getvalue()


def _cells(rate: Rate, step: Step) -> dict[str, str]:
    return {
        "leg_type": rate.leg_type,
        "prefix": rate.prefix,
        "country": rate.country or "",
        # It is a carrier's text, and people open a card in a spreadsheet before they publish it.
        "description": spreadsheet_text(rate.description),
        "currency": rate.currency,
        "rate_per_minute": format_micros(step.rate_micros_per_minute),
        "connection_fee": format_micros(rate.connection_fee_micros),
        "initial_increment_seconds": str(rate.initial_increment_seconds),
        "increment_seconds": str(step.increment_seconds),
        "from_second": str(step.from_second),
        "effective_from": format_instant(rate.effective_from) if rate.effective_from else "",
        "effective_to": format_instant(rate.effective_to) if rate.effective_to else "",
        "blocked": "true" if rate.blocked else "",
    }


def _read_row(row: Row) -> Rate | None:
    blocked = row.read("blocked", read_boolean, default=False, may_be_empty=True)
    step = Step(
        row.read("from_second", read_from_second, default=0, may_be_empty=True),
        # A blocked prefix is never priced, so its rate may stay empty.
        row.read("rate_per_minute", read_rate, default=0, may_be_empty=blocked),
        row.read("increment_seconds", read_increment, default=60, may_be_empty=True),
    )
    rate = Rate(
        leg_type=row.read("leg_type", read_leg_type, default=LegType.DIAL_OUT),
        prefix=row.read("prefix", check_prefix, default="1"),
        country=row.read("country", check_card_country, default=None, may_be_empty=True),
        description=row.text("description"),
        currency=row.read("currency", read_currency, default="XXX"),
        connection_fee_micros=row.read("connection_fee", read_rate, default=0, may_be_empty=True),
        initial_increment_seconds=row.read(
            "initial_increment_seconds", read_increment, default=60, may_be_empty=True
        ),
        steps=(step,),
        effective_from=row.read("effective_from", parse_instant, default=None, may_be_empty=True),
        effective_to=row.read("effective_to", parse_instant, default=None, may_be_empty=True),
        blocked=blocked,
        lines=(row.line,),
    )
    if rate.effective_from and rate.effective_to and rate.effective_to <= rate.effective_from:
        row.refuse("must lie after effective_from", column="effective_to")
    return rate if row.sound else None


def combine(rows: Iterable[Rate], faults: list[Fault]) -> list[Rate]:
    """Return the rates of a card from its rows, each with one step; contradictions are faults."""
    by_prefix: defaultdict[tuple[LegType, str], list[Rate]] = defaultdict(list)
    for row in rows:
        by_prefix[row.leg_type, row.prefix].append(row)
    rates: list[Rate] = []
    for of_prefix in by_prefix.values():
        periods: defaultdict[tuple[datetime, datetime], list[Rate]] = defaultdict(list)
        for row in of_prefix:
            periods[row.effective_from or _BEGINNING, row.effective_to or _END].append(row)
        if len(of_prefix) > 1:
            faults += _two_currencies(of_prefix)
            faults += _overlaps(periods)
        for steps in periods.values():
            steps.sort(key=lambda row: row.steps[0].from_second)
            faults += _wrong_steps(steps)
            rates.append(_with_steps(steps))
    return rates


def _two_currencies(rows: Sequence[Rate]) -> Iterator[Fault]:
    currency, line = rows[0].currency, rows[0].line
    for row in rows:
        if row.currency != currency:
            yield Fault(row.line, f"currency: is {row.currency}, but {currency} at line {line}")


def _overlaps(periods: Mapping[tuple[datetime, datetime], Sequence[Rate]]) -> Iterator[Fault]:
    """Compare each period with the longest of those that began before it."""
    longest: tuple[datetime, Rate] | None = None
    for (start, end), rows in sorted(periods.items(), key=lambda period: period[0]):
        if longest is not None and start < longest[0]:
            first, second = sorted((longest[1].line, rows[0].line))
            yield Fault(second, f"its effective period overlaps that of line {first}")
        if longest is None or end > longest[0]:
            longest = end, rows[0]


def _wrong_steps(rows: Sequence[Rate]) -> Iterator[Fault]:
    first = rows[0]
    if first.steps[0].from_second:
        yield Fault(first.line, "from_second: there is no step 0 with the same effective period")
    for row, following in pairwise(rows):
        if row.steps[0].from_second == following.steps[0].from_second:
            yield Fault(following.line, f"is a duplicate of line {row.line}")
    for row in rows[1:]:
        if row.connection_fee_micros not in {0, first.connection_fee_micros}:
            message = f"connection_fee: is charged once; it belongs to line {first.line}"
            yield Fault(row.line, message)
        if row.blocked is not first.blocked:
            yield Fault(row.line, f"blocked: must be as at line {first.line}")


def _with_steps(rows: Sequence[Rate]) -> Rate:
    if len(rows) == 1:
        return rows[0]
    steps = tuple(step for row in rows for step in row.steps)
    return replace(rows[0], steps=steps, lines=tuple(row.line for row in rows))


# Each reader of a cell raises `ValueError` with a message that follows the name of the column and
# says what to write instead.


def check_prefix(text: str) -> str:
    """Return a prefix: 1 to 15 digits that begin with a country code."""
    if _PREFIX.fullmatch(text) is None:
        msg = f"must be the digits of an E.164 prefix, without +{_instead_of_prefix(text)}"
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
    """Return a price in micro-units; it may be zero."""
    try:
        # More decimals than money has are refused unless they are zeros: the publisher must round.
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
    # Half up to the decimals that money has; never to 0, which would make calls free.
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
