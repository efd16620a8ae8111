"""Write tables as CSV that spreadsheets open as they are (RFC 4180), and compute nothing of.

Organizers, ids and reasons are texts of others: none of them is a formula, starts a row or turns
the reading direction (`spreadsheet_text`).
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, TextIO

from perminute.domain.values.printable import spreadsheet_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Cell = str | int | None
"""A cell: amounts and instants as text, None is empty."""

BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel reads a CSV file in the code page of its country and not as UTF-8."""


def write_csv(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a table to a stream that writes UTF-8 and leaves line ends as they are (`newline=""`).

    Rows are written one by one, so there may be any number of them.
    """
    stream.write(BYTE_ORDER_MARK)
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_text(cell) for cell in row] for row in rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table as text, which is to be encoded in UTF-8."""
    stream = io.StringIO(newline="")
    write_csv(stream, header, rows)
    return stream.getvalue()


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return spreadsheet_text(cell) if isinstance(cell, str) else str(cell)
