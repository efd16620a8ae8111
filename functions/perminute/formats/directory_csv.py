"""Read the directory of call records as CSV (docs/sources.md): whole, or not at all."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from perminute.domain.errors import Fault, FaultyDirectory
from perminute.domain.rating.calls import MAX_ID_LENGTH, LegType, MeetingType
from perminute.domain.reference.directory import (
    SOURCE_FAMILIES,
    Directory,
    DirectoryEntry,
    EntryKind,
)
from perminute.domain.reference.phone_numbers import MASK, check_e164
from perminute.domain.values.identifiers import canonical_id
from perminute.domain.values.times import parse_instant
from perminute.formats.csv_tables import Columns, read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.formats.csv_tables import Row

_COLUMNS = Columns(
    ("kind", "key"),
    (
        "source",
        "organization_id",
        "leg_type",
        "organizer_id",
        "meeting_id",
        "meeting_type",
        "effective_from",
        "effective_to",
    ),
)
# What a row of a kind must say: without it, the row says nothing.
_REQUIRED = {
    EntryKind.TENANT: "organization_id",
    EntryKind.NUMBER: "leg_type",
    EntryKind.USER: "organizer_id",
}
_DIAL_INS = (LegType.TOLL_DIAL_IN, LegType.TOLL_FREE_DIAL_IN)
_SOURCES = (*SOURCE_FAMILIES, *sorted({family for family in SOURCE_FAMILIES.values() if family}))
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def read_directory(content: bytes) -> Directory:
    """Read a directory; raises `FaultyDirectory` with the line of every fault if there is any."""
    faults: list[Fault] = []
    entries = [_read_row(row) for row in read_rows(content, _COLUMNS, faults)]
    sound = [entry for entry in entries if entry is not None]
    faults += _overlaps(sound)
    if not entries and not faults:
        faults.append(Fault(1, "the directory has no rows"))
    if faults:
        raise FaultyDirectory(faults)
    return Directory(sound)


def _read_row(row: Row) -> DirectoryEntry | None:
    kind = row.read("kind", _read_kind, default=None)
    required = _REQUIRED.get(kind) if kind else None

    def read_id(column: str) -> str | None:
        return row.read(column, _check_id, default=None, may_be_empty=column != required)

    entry = DirectoryEntry(
        kind=kind or EntryKind.TENANT,
        key=row.read("key", _check_number if kind is EntryKind.NUMBER else _read_key, default=""),
        source=row.read("source", _check_source, default=None, may_be_empty=True),
        organization_id=read_id("organization_id"),
        # Of other kinds it means nothing, and is ignored.
        leg_type=row.read("leg_type", _read_leg_type, default=None)
        if kind is EntryKind.NUMBER
        else None,
        organizer_id=read_id("organizer_id"),
        meeting_id=read_id("meeting_id"),
        meeting_type=row.read("meeting_type", _read_meeting_type, default=None, may_be_empty=True),
        effective_from=row.read("effective_from", parse_instant, default=None, may_be_empty=True),
        effective_to=row.read("effective_to", parse_instant, default=None, may_be_empty=True),
        line=row.line,
    )
    if entry.effective_from and entry.effective_to and entry.effective_to <= entry.effective_from:
        row.refuse("must lie after effective_from", column="effective_to")
    return entry if row.sound else None


def _overlaps(entries: Iterable[DirectoryEntry]) -> Iterator[Fault]:
    of_keys: defaultdict[tuple[str, str, str | None], list[DirectoryEntry]] = defaultdict(list)
    for entry in entries:
        of_keys[entry.kind, entry.key, entry.source].append(entry)
    for of_key in of_keys.values():
        yield from _overlaps_of_key(of_key)


def _overlaps_of_key(entries: list[DirectoryEntry]) -> Iterator[Fault]:
    """Compare each period with the longest of those that began before it."""
    longest: DirectoryEntry | None = None
    for entry in sorted(entries, key=lambda entry: entry.effective_from or _BEGINNING):
        if longest is not None and (entry.effective_from or _BEGINNING) < _end_of(longest):
            first, second = sorted((longest.line, entry.line))
            yield Fault(
                second,
                f"its effective period overlaps that of line {first}, which has the same kind, "
                "key and source: delete one of them, or end the earlier one where the later begins",
            )
        if longest is None or _end_of(entry) > _end_of(longest):
            longest = entry


def _end_of(entry: DirectoryEntry) -> datetime:
    return entry.effective_to or _END


# Each reader of a cell raises `ValueError` with a message that follows the name of the column.


def _read_kind(text: str) -> EntryKind:
    return EntryKind(_one_of(tuple(EntryKind), text))


def _read_leg_type(text: str) -> LegType:
    return LegType(_one_of(_DIAL_INS, text))


def _read_meeting_type(text: str) -> MeetingType:
    return MeetingType(_one_of(tuple(MeetingType), text))


def _check_source(text: str) -> str:
    return _one_of(_SOURCES, text)


def _one_of(values: Sequence[str], text: str) -> str:
    if text not in values:
        meant = [value for value in values if value.casefold() == text.casefold()]
        instead = f": write {meant[0]}" if meant else ""
        msg = f"must be one of {', '.join(values)}{instead}"
        raise ValueError(msg)
    return text


def _check_number(text: str) -> str:
    check_e164(text)
    if MASK in text:
        msg = "must be a whole number of your own: none of its digits may be *"
        raise ValueError(msg)
    return text


def _read_key(text: str) -> str:
    return canonical_id(_check_id(text))


def _check_id(text: str) -> str:
    if len(text) > MAX_ID_LENGTH:
        msg = f"must have at most {MAX_ID_LENGTH} characters"
        raise ValueError(msg)
    return text
