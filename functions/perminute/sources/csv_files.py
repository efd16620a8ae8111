"""Divide CSV files (RFC 4180) into records, a row at a time: files of any size in little memory.

A record is written as a file that its reader reads to the same.
"""

from __future__ import annotations

import csv
import io
import sys
from typing import TYPE_CHECKING, cast

from perminute.domain.values.printable import one_line
from perminute.sources.outcomes import damaged
from perminute.sources.stated_call import Record

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from perminute.sources.stated_call import InputFile

MAX_LINE_CHARACTERS = 1024 * 1024
# A cell may have line breaks. A quotation mark that is never closed must not take in other rows.
MAX_LINES_OF_ROW = 20


def csv_records(file: InputFile, columns: Sequence[str]) -> Iterator[Record]:
    """Yield the rows below the header by the names of its columns; `columns` must be among them."""
    rows = CsvRows(file)
    records = iter(rows)
    first = next(records, Record(f"{file.name}:1", [""]))
    header = [] if first.fault else [cell.strip() for cell in first.content]
    missing = [column for column in columns if column not in header]
    if missing:
        why = f"has no column {', '.join(missing)}"
        why = first.fault.message if first.fault else why
        yield from _without_columns(first, records, f"the first line of the file {why}")
        return
    rows.widths = (len(header),)
    for at, content, fault in records:
        yield Record(at, content if fault else dict(zip(header, content, strict=True)), fault)


def _without_columns(first: Record, others: Iterator[Record], message: str) -> Iterator[Record]:
    """Yield each row as a fault, so that all are counted; the header if there is nothing else."""
    fault = damaged(message)
    second = next(others, first)
    yield second._replace(fault=fault)
    for record in others:
        yield record._replace(fault=fault)


class CsvRows:
    """The rows of a file that are not empty; set `widths` to how many cells a row may have.

    A row that is not CSV, or has another number of cells, is a fault of its first line only.
    """

    widths: Container[int] = range(1, sys.maxsize)

    def __init__(self, file: InputFile) -> None:
        self._name = file.name
        # Bytes that are not UTF-8 become halves of surrogate pairs, which no id may have.
        text = io.TextIOWrapper(
            file.content, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        self._lines = _Lines(text)

    def __iter__(self) -> Iterator[Record]:
        """Yield each row as a list of cells."""
        lines = self._lines
        reader = csv.reader(lines, strict=True)
        while True:
            lines.begin_row()
            at = f"{self._name}:{lines.number}"
            fault: str | None
            try:
                cells = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                cells, fault = [], f"is not CSV: {error}"
            else:
                fault = self._fault_of(cells)
            if fault:
                line = lines.read_rest_again()
                reader = csv.reader(lines, strict=True)
                yield Record(at, line, damaged(one_line(fault)))
            elif cells:
                yield Record(at, cells)
        lines.text.detach()

    def _fault_of(self, cells: Sequence[str]) -> str | None:
        if not cells:
            return None
        if any("\0" in cell for cell in cells):
            # UTF-16 has this byte in most characters, so no word would be recognized.
            return "contains NUL characters; is it UTF-16? save it as UTF-8"
        if len(cells) not in self.widths:
            return f"has {len(cells)} cells, which is not the number of columns"
        # The last line closes the quotation mark. One before it may be a row that was taken in.
        between = self._lines.rest_of_row()[:-1]
        if between and any(map(self._is_row, between)):
            return "takes in another row; a quotation mark is opened here and not closed"
        return None

    def _is_row(self, line: str) -> bool:
        return len(next(csv.reader([line]), ())) in self.widths


class _Lines:
    """The lines of a text; those of a row can be read again but for the first."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text = text
        self.number = 1  # of the line on which the row begins
        self._of_row: list[str] = []
        self._again: list[str] = []  # the next one last

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self._of_row) == MAX_LINES_OF_ROW:
            raise StopIteration
        line = self._again.pop() if self._again else self.text.readline(MAX_LINE_CHARACTERS)
        if not line:
            raise StopIteration
        self._of_row.append(line)
        return line

    def begin_row(self) -> None:
        self.number += len(self._of_row)
        self._of_row.clear()

    def rest_of_row(self) -> list[str]:
        return self._of_row[1:]

    def read_rest_again(self) -> str:
        """Return the first line of the row; those after it begin rows of their own."""
        self._again += reversed(self.rest_of_row())
        del self._of_row[1:]
        return self._of_row[0]


def write_csv_record(record: object, columns: Sequence[str]) -> bytes:
    """Write a record of `csv_records` as a file."""
    if isinstance(record, dict):
        return write_rows([list(record), list(record.values())])
    if not isinstance(record, str):
        # The cells of a row below a header that lacks columns. The row may be the header itself,
        # below a damaged line: it must not become one, or nothing of it would be read.
        return write_rows([[""], list(cast("Iterable[str]", record))])
    # A line that is no row stays none only if it has another number of cells than the header.
    cells = len(next(csv.reader([record]), ()))
    header = [*columns, *(f"column {number}" for number in range(len(columns), cells + 1))]
    return write_rows([header]) + record.encode("utf-8", "surrogateescape")


def write_rows(rows: Iterable[Sequence[str]], line_end: str = "\r\n") -> bytes:
    """Write the cells of rows, each in quotation marks."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
