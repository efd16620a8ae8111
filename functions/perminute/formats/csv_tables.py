"""Read CSV files strictly: each row is read, or is a fault with its line and what to do about it.

Spreadsheets change separator, encoding and column names. None of it is guessed: read with the wrong
separator, a decimal comma makes a price of 0.026 a price of 0. One reading finds all faults.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from perminute.domain.errors import Fault
from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
D = TypeVar("D")

SEPARATORS = {",": ",", ";": ";", "\t": "tab", "|": "|"}
"""The separators of cells, each with its name in messages."""

_NO_TEXT = (
    # With a byte order mark, or ASCII, of which every other byte is zero.
    (
        re.compile(rb"\xff\xfe|\xfe\xff|.?\0", re.DOTALL),
        "is UTF-16, not UTF-8; save the file as UTF-8",
    ),
    (re.compile(rb"PK\x03\x04"), "is a workbook, not CSV; save its sheet as CSV UTF-8"),
    (re.compile(rb"\x1f\x8b"), "is compressed; unpack it first"),
)
"""How files begin that are not text in UTF-8."""

_NOT_UTF_8 = "is not UTF-8; save the file as UTF-8"

# What the error handler `surrogateescape` makes of bytes that are not UTF-8.
_UNDECODED = re.compile("[\udc80-\udcff]")
_LINE_BREAK = re.compile(r"[\r\n]")
# Hardly a row has any of these, so the cells of the others need no look.
_SUSPECT = re.compile("[\udc80-\udcff\0\r\n]")

_SEPARATOR_LINE = re.compile(r"sep=.?", re.IGNORECASE)
_SHOWN_COLUMNS = 20


class Columns(NamedTuple):
    """The columns that a reader uses; others are ignored unless they look like one of these."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    or_else: str = ""  # what can be changed instead of the name of a column

    @property
    def known(self) -> tuple[str, ...]:
        """Required and optional columns."""
        return self.required + self.optional


@dataclass(slots=True)
class Row:
    """The cells of one row, without the spaces around them, by the names of their columns."""

    line: int  # of the file, on which the row begins
    by_column: dict[str, str]
    faults: list[Fault]
    sound: bool = True  # no cell has a fault

    def text(self, column: str) -> str:
        """Return the text of a cell; empty if the file has no such column."""
        return self.by_column.get(column, "")

    def read(
        self, column: str, parse: Callable[[str], T], *, default: D, may_be_empty: bool = False
    ) -> T | D:
        """Return the value of a cell, or the default if it is empty or faulty.

        `parse` raises `ValueError` with a message that follows the name of the column.
        """
        text = self.text(column)
        try:
            if text:
                return parse(text)
            if not may_be_empty:
                self.refuse("must not be empty", column=column)
        except ValueError as error:
            self.refuse(str(error), column=column)
        return default

    def refuse(self, message: str, *, column: str | None = None) -> None:
        """Append a fault of this row, or of one of its cells."""
        self.sound = False
        self.faults.append(Fault(self.line, f"{column}: {message}" if column else message))


def read_rows(
    content: bytes, columns: Columns, faults: list[Fault], *, separator: str = ","
) -> Iterator[Row]:
    """Yield the rows of a CSV file that are not empty; none if its header is not usable."""
    return _Reader(columns, separator, faults).rows(content)


@dataclass(frozen=True, slots=True)
class _Reader:
    columns: Columns
    separator: str
    faults: list[Fault]

    def rows(self, content: bytes) -> Iterator[Row]:
        lines = self._lines(content)
        header = self._header(lines)
        for line, cells in lines if header else ():
            if any(cell.strip() for cell in cells):
                wrong = self._wrong_row(cells, header)
                if wrong:
                    self._refuse(line, wrong)
                else:
                    by_column = dict(zip(header, map(str.strip, cells), strict=True))
                    yield Row(line, by_column, self.faults)

    def _refuse(self, line: int, *messages: str) -> None:
        self.faults.extend(Fault(line, message) for message in messages)

    def _lines(self, content: bytes) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each row with the line on which it begins."""
        for begin, message in _NO_TEXT:
            if begin.match(content):
                self._refuse(1, message)
                return
        # Bytes that are not UTF-8 stay recognizable: they are a fault of their row only.
        text = io.StringIO(content.decode("utf-8-sig", "surrogateescape"), newline="")
        reader = csv.reader(text, delimiter=self.separator, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                yield line, next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                self._refuse(line, _no_csv(line, reader.line_num, error))
                if "field limit" in str(error):
                    # The reader has stopped inside a cell: what it would read next is no row.
                    return

    def _header(self, lines: Iterator[tuple[int, list[str]]]) -> list[str]:
        line, cells = next(lines, (1, []))
        if cells and _SEPARATOR_LINE.fullmatch(cells[0].strip()):
            self._refuse(line, "first line is sep=: delete it")
            line, cells = next(lines, (line + 1, []))
        there = [cell.strip() for cell in cells]
        if not any(there) and self.faults and line == 1:
            return []  # what is wrong with the file is a fault already
        unreadable = self._unreadable(there)
        if unreadable:
            self._refuse(line, unreadable)
            return []
        renamed = self._misspelled(there)
        for name, right in renamed.items():
            self._refuse(line, f"column {name}: write it {right}{self.columns.or_else}")
        header = [renamed.get(name, name) for name in there]
        unusable = self._unusable(header, there)
        self._refuse(line, *unusable)
        return [] if unusable else header

    def _unreadable(self, header: Sequence[str]) -> str | None:
        if not any(header):
            return f"is empty; the header must name {', '.join(self.columns.required)}"
        known = {_spelling(name) for name in self.columns.known}

        def found(cells: Sequence[str]) -> int:
            return len(known.intersection(map(_spelling, cells)))

        text = self.separator.join(header)
        if _UNDECODED.search(text):
            return _NOT_UTF_8
        best = max(SEPARATORS, key=lambda mark: found(text.split(mark)))
        if found(text.split(best)) <= max(1, found(header)):
            return None
        if best == self.separator:
            return "stands in quotation marks as a whole; save the file with each cell by itself"
        return f"{self._separated(best)}: save the file with that separator"

    def _separated(self, found: str) -> str:
        return f"is separated by {SEPARATORS[found]}, must be {SEPARATORS[self.separator]}"

    def _misspelled(self, header: Sequence[str]) -> dict[str, str]:
        known = self.columns.known
        absent = [name for name in known if name not in header]
        meant = {name: suggest(name, absent) for name in header if name and name not in known}
        return {name: right for name, right in meant.items() if right}

    def _unusable(self, header: Sequence[str], there: Sequence[str]) -> list[str]:
        known = self.columns.known
        missing = [name for name in self.columns.required if name not in header]
        # Of `rate` and `Rate`, either may be meant.
        meant = {name.casefold(): name for name in known}
        named = [name if name in known else meant.get(name.casefold()) for name in header]
        twice = [name for name in known if named.count(name) > 1]
        listed = one_line(", ".join(there[:_SHOWN_COLUMNS]), at_most=200)
        return [f"column {name} is missing; there are: {listed}" for name in missing] + [
            f"column {name} stands more than once" for name in twice
        ]

    def _wrong_row(self, cells: Sequence[str], header: Sequence[str]) -> str | None:
        if _SUSPECT.search("".join(cells)):
            for number, cell in enumerate(cells):
                wrong = self._wrong_cell(cell, at_most=len(header) - 2)
                if wrong:
                    column = header[number] if number < len(header) else f"cell {number + 1}"
                    return f"{column}: {wrong}"
        if len(cells) == len(header):
            return _without_name(cells, header) if "" in header else None
        count = f"has {len(cells)} cells; the header has {len(header)}"
        if len(cells) < len(header):
            text = self.separator.join(cells)
            others = [mark for mark in SEPARATORS if text.count(mark) >= len(header) - 1]
            if others:
                return self._separated(others[0])
            return f"{count}: write a separator for each cell that is empty"
        quote = f"put a cell that holds {SEPARATORS[self.separator]} in quotation marks"
        return f"{count}: {quote}, and write decimals with a point"

    def _wrong_cell(self, cell: str, *, at_most: int) -> str | None:
        if _UNDECODED.search(cell):
            return _NOT_UTF_8
        if "\0" in cell:
            return "holds a NUL character, so the file is damaged or is not text"
        if _LINE_BREAK.search(cell) and cell.count(self.separator) > at_most:
            # Quotation marks left open in two rows make one row of them and of all between.
            return "holds another row; close the quotation mark that is opened here"
        return None


def _no_csv(first: int, last: int, error: csv.Error) -> str:
    if first == last:
        return f"is not CSV: {error}"
    return (
        f"is not CSV: {error}; lines {first} to {last} are one row, since a quotation mark is "
        "opened there and not closed"
    )


def _without_name(cells: Sequence[str], header: Sequence[str]) -> str | None:
    # A spreadsheet saves empty columns as well: then a decimal comma does not make a row too long.
    for number, (name, cell) in enumerate(zip(header, cells, strict=True), 1):
        if not name and cell.strip():
            return (
                f"cell {number} stands in a column without a name: name it in the header; if the "
                "cell is a part of the one before it, such as decimals, put both in quotation marks"
            )
    return None


def suggest(name: str, known: Sequence[str], *, cutoff: float = 0.85) -> str | None:
    """Return the known name that is spelled nearly alike, whatever its case."""
    # Imported only after a name was misspelled.
    from difflib import get_close_matches  # noqa: PLC0415

    by_spelling = {_spelling(known_name): known_name for known_name in known}
    close = get_close_matches(_spelling(name), by_spelling, n=1, cutoff=cutoff)
    return by_spelling[close[0]] if close else None


def _spelling(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
