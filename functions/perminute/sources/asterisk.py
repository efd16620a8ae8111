"""Sources `asterisk-csv` and `asterisk-ami`: the call detail records of Asterisk.

The rows of `Master.csv` (cdr_csv.c of asterisk/asterisk; it has no header) and the events `Cdr` of
the manager interface (cdr_manager.c), both with the server's local time. The records of a channel
are one call: `asterisk_channels`.
"""

from __future__ import annotations

import io
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, cast

from perminute.domain.rating.calls import LegType
from perminute.sources import values
from perminute.sources.asterisk_channels import CallRecord, merged
from perminute.sources.asterisk_times import channel_epoch, is_late, read_times
from perminute.sources.csv_files import CsvRows, write_rows
from perminute.sources.numbers import clean_number
from perminute.sources.outcomes import (
    Problem,
    ProblemReason,
    Rejected,
    Skip,
    SkipReason,
    damaged,
    problem,
    skip,
)
from perminute.sources.own_parameters import IN_QUERY, own_parameters, query_pairs
from perminute.sources.stated_call import Reading, Record, Source, StatedCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute.sources.asterisk_times import LocalTimes
    from perminute.sources.stated_call import InputFile, SourceOptions

_DATA = "LastData"
# Named as in the events of the manager interface.
_COLUMNS = (
    "AccountCode",
    "Source",
    "Destination",
    "DestinationContext",
    "CallerID",
    "Channel",
    "DestinationChannel",
    "LastApplication",
    _DATA,
    "StartTime",
    "AnswerTime",
    "EndTime",
    "Duration",
    "BillableSeconds",
    "Disposition",
    "AMAFlags",
)
UNIQUE_ID, _FIELD = "UniqueID", "UserField"
_NEW = ("PeerAccount", "LinkedID", "Sequence")
# Settings of cdr.conf add columns: loguniqueid, loguserfield, newcdrcolumns.
_MORE_COLUMNS = (
    (),
    (UNIQUE_ID,),
    (UNIQUE_ID, _FIELD),
    _NEW,
    (UNIQUE_ID, *_NEW),
    (UNIQUE_ID, _FIELD, *_NEW),
)
_BY_WIDTH = {len(_COLUMNS + more): _COLUMNS + more for more in _MORE_COLUMNS}

_LEG_TYPE, _REMOTE_NUMBER = "legType", "remoteNumber"
_OURS = frozenset({*IN_QUERY, _LEG_TYPE, _REMOTE_NUMBER})
# The directory says which of the two a dial-in is.
_LEG_TYPES = (LegType.DIAL_OUT, LegType.TOLL_DIAL_IN, LegType.TOLL_FREE_DIAL_IN)
_MAX_LINE_BYTES, _MAX_LINES_OF_EVENT = 64 * 1024, 1000


def names_of_width(cells: int) -> tuple[str, ...]:
    """Return what the cells of a row are called; nothing if no row has so many."""
    return _BY_WIDTH.get(cells, ())


def _read_csv(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return merged(_read_each(_rows(file), options))


def _rows(file: InputFile) -> Iterator[Record]:
    rows = CsvRows(file)
    rows.widths = _BY_WIDTH
    for row, is_last in _and_whether_last(rows):
        if row.fault:
            yield row
        elif is_last and _is_cut(file.content):
            message = "the line has no end; the file is cut"
            yield row._replace(fault=damaged(message))
        else:
            names = _BY_WIDTH[len(row.content)]
            yield row._replace(content=dict(zip(names, row.content, strict=True)))


def _is_cut(content: BinaryIO) -> bool:
    # Asterisk ends each line. Without, a row may lack its last cells and be another call.
    content.seek(-1, io.SEEK_END)
    return content.read(1) != b"\n"


def _and_whether_last(rows: Iterable[Record]) -> Iterator[tuple[Record, bool]]:
    before: Record | None = None
    for row in rows:
        if before is not None:
            yield before, False
        before = row
    if before is not None:
        yield before, True


def _read_ami(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return merged(_read_each(_cdr_events(file), options))


def _cdr_events(file: InputFile) -> Iterator[Record]:
    has_text = bool(file.content.read(_MAX_LINE_BYTES).strip())
    file.content.seek(0)
    number, is_session = 0, False
    for event in _events(file):
        kind = event.get("Event")
        is_session = is_session or kind is not None or "Response" in event
        if (kind or "").casefold() == "cdr":
            number += 1
            yield Record(f"{file.name}#{number}", event, _fault_of(event))
    if has_text and not is_session:
        message = "has no event of the manager interface; is it a file of another source?"
        yield Record(file.name, None, damaged(message))


def _fault_of(event: Mapping[str, str]) -> Skip | None:
    # The last field, and written even if it is empty.
    if _FIELD in event:
        return None
    return damaged(f"{_FIELD}: is missing; the event is cut")


def _events(file: InputFile) -> Iterator[dict[str, str]]:
    """Yield the events of a session: lines of `Key: value`, and an empty one after each."""
    event = dict[str, str]()
    while line := file.content.readline(_MAX_LINE_BYTES):
        key, _, value = line.decode("utf-8", "surrogateescape").strip().partition(":")
        if not key:
            yield event
            event = {}
        # A line without an end is the last one of a file that is cut.
        elif line.endswith(b"\n") and len(event) < _MAX_LINES_OF_EVENT:
            event.setdefault(key.strip(), value.strip())
    yield event


def _read_each(records: Iterable[Record], options: SourceOptions) -> Iterator[CallRecord | Reading]:
    for at, content, fault in records:
        call: CallRecord | Skip | Problem
        try:
            call = fault or _read_record(at, content, options)
        except Rejected as rejected:
            call = rejected.result
        yield call if isinstance(call, CallRecord) else Reading(at, content, call)


def _read_record(at: str, record: dict[str, str], options: SourceOptions) -> CallRecord:
    call_id = _call_id(record)
    own, room = _own(record), _room(record)
    if not own and room is None:
        # A menu, a wrong PIN, a call between extensions.
        raise skip(SkipReason.NOT_CONFERENCE)
    source, destination = _number(record, "Source"), _number(record, "Destination")
    remote_number = _number(own, _REMOTE_NUMBER) if own else None
    is_dial_out = _is_dial_out(own)
    said = own_parameters(own)
    times = read_times(record, options.timezone)
    duration = values.seconds(record, "Duration")
    billable_seconds = _billable_seconds(record, times)
    epoch = channel_epoch(call_id)
    start = times.start_instant(epoch)
    call = StatedCall(
        call_id=call_id,
        is_dial_out=is_dial_out,
        service_number=source if is_dial_out else destination,
        remote_number=remote_number if is_dial_out else source,
        answered_at=times.answer_instant(start),
        ended_at=start + timedelta(seconds=duration),
        billable_seconds=billable_seconds,
        tenant=values.identifier(record, "AccountCode") or options.tenant,
        room=room,
        conference_id=room,
        **said,
    )
    return CallRecord(at, record, is_late(start, epoch), call)


def _call_id(record: Mapping[str, str]) -> str:
    call_id = values.identifier(record, UNIQUE_ID)
    # Of 17 and of 20 columns, UserField may be the one that is there.
    if call_id is None or "=" in call_id:
        message = f"{UNIQUE_ID}: is missing; set loguniqueid=yes in cdr.conf"
        raise Rejected(damaged(message))
    return call_id


def _own(record: Mapping[str, str]) -> dict[str, str]:
    """Return our parameters in the userfield."""
    # After a semicolon is the userfield of the party that the channel was bridged with.
    said = (values.text(record, _FIELD) or "").partition(";")[0]
    if not said:
        return {}
    return {name: value for name, value in query_pairs(said) if name in _OURS and value}


def _room(record: Mapping[str, str]) -> str | None:
    if (values.text(record, "LastApplication") or "").casefold() != "confbridge":
        return None
    data = values.text(record, _DATA) or ""
    return values.identifier({_DATA: data.partition(",")[0]}, _DATA)


def _number(record: Mapping[str, str], name: str) -> str | None:
    return clean_number(values.text(record, name), zeros_are_plus=True)


def _is_dial_out(own: Mapping[str, str]) -> bool:
    leg_type = own.get(_LEG_TYPE)
    if leg_type is not None and leg_type not in _LEG_TYPES:
        message = f"{_LEG_TYPE}: must be {' or '.join(_LEG_TYPES)}"
        raise problem(ProblemReason.UNKNOWN_CALL_TYPE, message)
    return leg_type == LegType.DIAL_OUT


def _billable_seconds(record: Mapping[str, str], times: LocalTimes) -> int:
    seconds = values.seconds(record, "BillableSeconds")
    if seconds and times.answer is None:
        message = "AnswerTime: is missing, and BillableSeconds is not 0"
        raise problem(ProblemReason.INVALID_TIME, message)
    return seconds


def write_csv(record: object) -> bytes:
    """Write the rows of a channel, or one that is damaged, as a file."""
    if isinstance(record, str):
        return record.encode("utf-8", "surrogateescape")
    if isinstance(record, list):
        # The last row of a file that is cut, which has no end.
        return write_rows([record], line_end="")
    return write_rows([list(each.values()) for each in _events_in(record)], line_end="\n")


def write_ami(record: object) -> bytes:
    """Write the events of a channel as a session."""
    events = (
        "".join(f"{key}: {value}\r\n" for key, value in event.items())
        for event in _events_in(record)
    )
    return "".join(f"{event}\r\n" for event in events).encode("utf-8", "surrogateescape")


def _events_in(record: object) -> tuple[dict[str, str], ...]:
    # As `asterisk_channels` has it for a channel of several.
    return record if isinstance(record, tuple) else (cast("dict[str, str]", record),)


ASTERISK_CSV = Source("asterisk-csv", _read_csv)
ASTERISK_AMI = Source("asterisk-ami", _read_ami)
