"""How a price list is written, and what else its reader needs to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.formats.rate_card_csv import SEVERAL_PREFIXES, check_prefix, read_rate

if TYPE_CHECKING:
    from pathlib import Path

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
    """What the command line says of a list.

    `origin` is the number that dial-outs come from, and `service_numbers` a file of the
    organization's own numbers (`acs_inbound`).
    """

    separator: str = ","
    decimal: str = "."
    ranges: bool = False
    origin: str | None = None
    service_numbers: Path | None = None

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
            msg = f"{part} is no range: write both ends with as many digits, the lower one first"
            raise ValueError(msg)
        if int(last) - int(first) >= MAX_RANGE:
            msg = f"{part} stands for more than {MAX_RANGE} prefixes: write the shorter ones"
            raise ValueError(msg)
        return [str(number) for number in range(int(first), int(last) + 1)]
