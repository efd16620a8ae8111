"""A carrier's price list: how it is written, and the rates, faults and other rows it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Rate, Step
from perminute.domain.values.money import format_micros
from perminute.formats.csv_tables import read_rows
from perminute.formats.rate_card_csv import (
    SEVERAL_PREFIXES,
    check_prefix,
    combine,
    read_rate,
    read_rate_card,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from perminute.formats.csv_tables import Columns, Row

    Key = tuple[LegType, str, datetime | None, datetime | None]


DECIMALS = (".", ",")

MAX_RANGE = 10_000
"""Prefixes that one range may stand for; one that is longer is rather a mistake."""

_RANGE = re.compile(r"([0-9]+)\s*[-\u2013]\s*([0-9]+)", re.ASCII)
_POINT = re.compile(r"(?<=[0-9])\.(?=[0-9])")
_IN_LISTS = re.compile(r"[,;]")
_IN_RANGES = re.compile(r"[,;/|]")


def parts_of(cell: str, between: re.Pattern[str] = _IN_LISTS) -> list[str]:
    """Return what a cell lists, without spaces; a spreadsheet may have made `;` of each `,`.

    Raises ValueError if that is nothing: the row and its price would vanish.
    """
    parts = [part.strip() for part in between.split(cell) if part.strip()]
    if not parts:
        msg = "holds separators, and nothing between them"
        raise ValueError(msg)
    return parts


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckOptions:
    """How a list is written, and what its reader needs besides."""

    separator: str = ","
    decimal: str = "."
    ranges: bool = False
    origin: str | None = None  # the number that dial-outs come from
    service_numbers: Path | None = None  # a file of the organization's own numbers

    def read_rate(self, text: str) -> int:
        """Return a price in micro-units, written with the decimal mark that was named."""
        if self.decimal == ".":
            return read_rate(text)
        if "." in text:
            msg = "holds a point, but its decimal mark is a comma: what is the point?"
            raise ValueError(msg)
        try:
            return read_rate(text.replace(",", "."))
        except ValueError as error:
            # What it says to write is written with the list's own mark.
            raise ValueError(_POINT.sub(",", str(error))) from error

    def read_prefixes(self, text: str) -> list[str]:
        """Return the prefixes of a cell: one, or those of its ranges and lists if so named."""
        return self.read_prefix_list(text) if self.ranges else [self._read_one(text)]

    def read_prefix_list(self, text: str) -> list[str]:
        """Return the prefixes, at least one, of a cell of a list that has several in a cell."""
        parts = parts_of(text, _IN_RANGES if self.ranges else _IN_LISTS)
        return [prefix for part in parts for prefix in self._expand(part)]

    def _read_one(self, text: str) -> str:
        try:
            return check_prefix(text)
        except ValueError as error:
            if self.ranges or not SEVERAL_PREFIXES.fullmatch(text):
                raise
            msg = f"{error}, or say --ranges"
            raise ValueError(msg) from error

    def _expand(self, part: str) -> list[str]:
        bounds = _RANGE.fullmatch(part) if self.ranges else None
        if bounds is None:
            return [self._read_one(part)]
        first, last = map(check_prefix, bounds.groups())
        if len(first) != len(last) or last < first:
            msg = f"{part} is not a range: write both ends with as many digits, the lower one first"
            raise ValueError(msg)
        if int(last) - int(first) >= MAX_RANGE:
            msg = f"{part} stands for more than {MAX_RANGE} prefixes: write the shorter ones"
            raise ValueError(msg)
        return [str(number) for number in range(int(first), int(last) + 1)]


_SAYS_NONE = frozenset({"-", "\u2013", "\u2014", "n/a", "none"})
"""What stands in the prefix cell of a row that is about no number, such as a monthly fee."""


@dataclass(slots=True)
class PriceList:
    """The rows of a list, as they are read; each is in one of these at the end."""

    faults: list[Fault] = field(default_factory=list)
    # Of other files that the list was read with.
    faults_elsewhere: list[tuple[Path, Fault]] = field(default_factory=list)
    # No faults: lines with the reason why they have no rate of their own.
    left_out: list[Fault] = field(default_factory=list)
    repeated: list[Fault] = field(default_factory=list)
    of_card: list[Rate] = field(default_factory=list)
    """What a rate card brings: its rows have been compared with each other."""
    _rows: dict[Key, Rate] = field(default_factory=dict)

    def rates(self) -> list[Rate]:
        """Compare the rows with each other; return the rates, none if the list is refused."""
        rates = [*self.of_card, *combine(self._rows.values(), self.faults)]
        if not rates and not self.refused:
            self.faults.append(Fault(1, "the list has no row that becomes a rate"))
        return [] if self.refused else rates

    @property
    def refused(self) -> bool:
        """Whether anything is wrong with the list, which is then refused whole."""
        return bool(self.faults or self.faults_elsewhere)

    def take(self, row: Rate) -> None:
        """Add a row, unless another has taken its place."""
        key = (row.leg_type, row.prefix, row.effective_from, row.effective_to)
        if self.differs(row, self._rows.get(key)):
            self._rows[key] = row

    def differs(self, row: Rate, earlier: Rate | None, *, of: str | None = None) -> bool:
        """Return whether no earlier row is for the same; if one is, a row repeats it or is a fault.

        `of` says what both are for, if that is not a prefix.
        """
        if earlier is None:
            return True
        of = of or f"prefix {row.prefix}"
        if row.country != earlier.country:
            what = f"is of {row.country or 'no country'} here and of {earlier.country or 'none'}"
            self.faults.append(
                Fault(row.line, f"{of} {what} at line {earlier.line}: delete one of the rows")
            )
        elif _terms(row) != _terms(earlier):
            here, there = _price(row), _price(earlier)
            what = f"has two prices: {here} here and {there} at line {earlier.line}"
            self.faults.append(Fault(row.line, f"{of} {what}; delete one of the rows"))
        else:
            same = f"{of} has the same price at line {earlier.line}"
            self.repeated.append(Fault(row.line, same))
        return False

    def rows(
        self, content: bytes, columns: Columns, options: DeckOptions, *, prefix: str
    ) -> Iterator[Row]:
        """Yield the rows that have a prefix, by the name of its column."""
        for row in read_rows(content, columns, self.faults, separator=options.separator):
            if row.text(prefix).lower() in _SAYS_NONE:
                self.left_out.append(Fault(row.line, f"{prefix}: says that it has no prefix"))
            else:
                yield row


def rates_of(row: Row, column: str, read: Callable[[str], list[str]], rate: Rate) -> list[Rate]:
    """Return the rate of a row for each of its prefixes; none if a cell is faulty."""
    prefixes = row.read(column, read, default=())
    return [replace(rate, prefix=prefix) for prefix in prefixes] if row.sound else []


def rate_of(  # noqa: PLR0913 - one argument for each column that lists may have
    row: Row,
    rate_micros_per_minute: int,
    *,
    currency: str,
    country: str | None,
    description: str,
    leg_type: LegType = LegType.DIAL_OUT,
    connection_fee_micros: int = 0,
    initial_increment_seconds: int = 60,
    increment_seconds: int = 60,
    effective_from: datetime | None = None,
    effective_to: datetime | None = None,
) -> Rate:
    """Return what a row of a list is as a row of a card, but for the prefix."""
    return Rate(
        leg_type=leg_type,
        prefix="",
        country=country,
        description=description,
        currency=currency,
        connection_fee_micros=connection_fee_micros,
        initial_increment_seconds=initial_increment_seconds,
        steps=(Step(0, rate_micros_per_minute, increment_seconds),),
        effective_from=effective_from,
        effective_to=effective_to,
        blocked=False,
        lines=(row.line,),
    )


def _terms(row: Rate) -> Rate:
    return replace(row, description="")


def _price(row: Rate) -> str:
    parts = [format_micros(row.rate_micros_per_minute), row.currency]
    if row.connection_fee_micros:
        parts.append(f"and {format_micros(row.connection_fee_micros)} a call")
    increments = row.initial_increment_seconds, row.steps[0].increment_seconds
    if increments != (60, 60):
        parts.append(f"in blocks of {increments[0]}/{increments[1]} s")
    return " ".join(parts)


def read_card(content: bytes, options: DeckOptions) -> PriceList:
    """Read a rate card, with all its steps and periods."""
    _ = options  # a rate card is written in one way
    prices = PriceList()
    try:
        prices.of_card += read_rate_card(content).rates
    except FaultyRateCard as error:
        prices.faults += error.faults
    return prices
