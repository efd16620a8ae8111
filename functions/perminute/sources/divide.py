"""Divide large files of records, so that each part is read alone as it would be in the file.

A part begins where a record begins, which is found in a window of the file: nobody has to read what
is before it. Of a CSV file that is after a line which is a whole row by itself, since no such line
is a part of a longer row (`csv_files`), or else after several rows of more lines; of JSON between
two lines that are whole objects.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

from msgspec import DecodeError
from msgspec.json import decode

from perminute.sources.asterisk import ASTERISK_AMI, ASTERISK_CSV, UNIQUE_ID, names_of_width
from perminute.sources.csv_files import MAX_LINES_OF_ROW
from perminute.sources.freeswitch_json import FREESWITCH_JSON
from perminute.sources.json_files import MAX_LINE_BYTES
from perminute.sources.teams_csv import TEAMS_CSV
from perminute.sources.twilio import TWILIO_CALLBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WINDOW_BYTES = MAX_LINE_BYTES + 64 * 1024
"""A window has an end of a line, unless the line is longer than any record may be."""

ZIP = b"PK\x03\x04"
"""How a zip begins, which is not divided."""

# A quotation mark that is missing shows in one of so many rows.
_SOUND_ROWS = 3
# Asterisk writes the records of a channel together: not beyond so many others.
_NEAR = 100
_CHANNEL = re.compile(rb"^UniqueID:[ \t]*(.*?)\r?$", re.IGNORECASE | re.MULTILINE)
_EMPTY_LINE = re.compile(rb"(?<=\n)\r?\n")


class _Piece(NamedTuple):
    """A line, or an event of several."""

    begin: int
    is_record: bool  # a whole one, by itself
    channel: object = None  # of Asterisk: that of the record, which may have others


def header_of(source: str, beginning: bytes) -> bytes:
    """Return the header that each part needs; empty if files of the source have none."""
    return beginning[: beginning.find(b"\n") + 1] if has_header(source) else b""


def has_header(source: str) -> bool:
    """Return whether files of a source have a header."""
    return source == TEAMS_CSV.name


def find_boundary(source: str, header: bytes, window: bytes) -> int | None:
    """Return a place in a window of a file at which a record begins, soon after its beginning.

    None: there is none, since the file has one long document there. In a file of lines there is
    always one, and be it the end of the window, for a line that is longer than a record.
    """
    if source == FREESWITCH_JSON.name:
        # A document that is encoded has no lines.
        return None
    divide = _DIVIDERS.get(source)
    if divide is None:
        return _between_objects(window)
    pieces = list(divide(header, window))
    after_records = [number for number in range(1, len(pieces)) if pieces[number - 1].is_record]
    for number in after_records:
        if number >= min(_NEAR, len(pieces) // 2) and not _divides_channel(pieces, number):
            return pieces[number].begin
    if after_records:
        return pieces[after_records[0]].begin
    return window.find(b"\n") + 1 or len(window)


def _divides_channel(pieces: Sequence[_Piece], number: int) -> bool:
    before = {piece.channel for piece in pieces[max(0, number - _NEAR) : number]}
    after = {piece.channel for piece in pieces[number : number + _NEAR]}
    return not (before - {None}).isdisjoint(after)


def _lines(window: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the whole lines of a window, and where they begin."""
    # The first one may have begun before.
    begin = window.find(b"\n") + 1
    while begin and (end := window.find(b"\n", begin) + 1):
        yield begin, window[begin:end]
        begin = end


def _lines_of_json(_: bytes, window: bytes) -> Iterator[_Piece]:
    return (_Piece(begin, is_record=True) for begin, _ in _lines(window))


def _rows(header: bytes, window: bytes) -> Iterator[_Piece]:
    width = len(_cells(header))
    return _pieces(window, lambda cells: _Piece(0, len(cells) == width))


def _rows_of_channels(_: bytes, window: bytes) -> Iterator[_Piece]:
    def piece(cells: Sequence[str]) -> _Piece:
        names = names_of_width(len(cells))
        channel = dict(zip(names, cells, strict=False)).get(UNIQUE_ID)
        return _Piece(0, bool(names), channel or None)

    return _pieces(window, piece)


def _pieces(window: bytes, piece_of: Callable[[Sequence[str]], _Piece]) -> Iterator[_Piece]:
    """Yield the rows of a window, and each line that is none."""
    lines = list(_lines(window))
    number = sound = 0
    while number < len(lines):
        begin = lines[number][0]
        piece, length = _row_of(lines[number : number + MAX_LINES_OF_ROW], piece_of)
        sound = sound + 1 if piece.is_record else 0
        # A row of several lines might be the rest of one and the beginning of the next: hardly if
        # others came before it without a fault between them.
        is_certain = piece.is_record and (length == 1 or sound >= _SOUND_ROWS)
        yield _Piece(begin, is_certain, piece.channel)
        number += length


def _row_of(
    lines: Sequence[tuple[int, bytes]], piece_of: Callable[[Sequence[str]], _Piece]
) -> tuple[_Piece, int]:
    """Return the row that begins a list of lines, and of how many it is."""
    text = b""
    for length, (_, line) in enumerate(lines, 1):
        text += line
        piece = piece_of(_cells(text))
        if piece.is_record:
            return piece, length
        if length > 1 and piece_of(_cells(line)).is_record:
            # It takes in another row.
            break
    return _Piece(0, is_record=False), 1


def _cells(text: bytes) -> list[str]:
    """Return the cells of a row; none of anything else."""
    try:
        return next(csv.reader([text.decode("utf-8-sig", "surrogateescape")], strict=True), [])
    except csv.Error:
        return []


def _events(_: bytes, window: bytes) -> Iterator[_Piece]:
    ends = [match.end() for match in _EMPTY_LINE.finditer(window)]
    for begin, end in zip(ends, [*ends[1:], len(window)], strict=False):
        match = _CHANNEL.search(window, begin, end)
        yield _Piece(begin, is_record=True, channel=match[1] if match else None)


def _between_objects(window: bytes) -> int | None:
    was_object = False
    for begin, line in _lines(window):
        is_object = _is_object(line)
        if was_object and is_object:
            return begin
        was_object = is_object
    return None


def _is_object(line: bytes) -> bool:
    try:
        return line[:1] == b"{" and isinstance(decode(line), dict)
    except (DecodeError, UnicodeError, RecursionError):
        return False


_DIVIDERS: dict[str, Callable[[bytes, bytes], Iterator[_Piece]]] = {
    TEAMS_CSV.name: _rows,
    ASTERISK_CSV.name: _rows_of_channels,
    ASTERISK_AMI.name: _events,
    TWILIO_CALLBACK.name: _lines_of_json,
}
