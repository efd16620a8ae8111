"""Source `teams-csv`: the PSTN usage report as the Teams admin center exports it.

The same records as those of `graph_pstn`, which become the same legs: `UsageId` is Graph's `id`.
Source: learn.microsoft.com/microsoftteams/teams-analytics-and-reports/pstn-usage-report.
"""

from __future__ import annotations

import zipfile
import zlib
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from perminute.sources import values
from perminute.sources.csv_files import csv_records, write_csv_record
from perminute.sources.graph_pstn import Columns, read_row
from perminute.sources.outcomes import damaged
from perminute.sources.stated_call import InputFile, Record, Source, read_each

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.sources.stated_call import Reading, SourceOptions

_COLUMNS = Columns(
    call_id="UsageId",
    call_type="Call Type",
    user_id="AAD ObjectId",
    user_name="UPN",
    caller="Caller ID",
    called="Destination Number",
    start="Start Time",
    end="End Time",
    duration="Duration Seconds",
    conference_id="Conference ID",
)
_REQUIRED = (
    _COLUMNS.call_id,
    _COLUMNS.call_type,
    _COLUMNS.called,
    _COLUMNS.start,
    _COLUMNS.end,
    _COLUMNS.duration,
)
# Beside it there are calls of Direct Routing, and what the export was asked for.
_REPORT = "PSTN.calls.*.csv"
_ZIP = b"PK\x03\x04"


def _read(file: InputFile, options: SourceOptions) -> Iterator[Reading]:
    return read_each(_records(file), partial(read_row, _COLUMNS, options))


def _records(file: InputFile) -> Iterator[Record]:
    start = file.content.read(len(_ZIP))
    file.content.seek(0)
    if start == _ZIP:
        yield from _records_in_zip(file)
    else:
        yield from csv_records(file, _REQUIRED)


def _records_in_zip(file: InputFile) -> Iterator[Record]:
    place = file.name
    try:
        with zipfile.ZipFile(file.content) as archive:
            names = [name for name in archive.namelist() if fnmatch(_last_part(name), _REPORT)]
            if not names:
                yield _no_report(place, f"contains no {_REPORT}")
            for name in names:
                place = f"{file.name}/{name}"
                with archive.open(name) as content:
                    yield from csv_records(InputFile(place, cast("BinaryIO", content)), _REQUIRED)
    # As `zipfile` has it for a file that is encrypted (RuntimeError), or packed in another way.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError, ValueError) as error:
        yield _no_report(place, f"cannot be unpacked: {error}")


def _no_report(at: str, message: str) -> Record:
    return Record(at, None, damaged(message))


def _last_part(name: str) -> str:
    return name.rpartition("/")[2]


def write_row(record: object) -> bytes:
    """Write a record as a file."""
    return write_csv_record(record, _REQUIRED)


TEAMS_CSV = Source(
    "teams-csv",
    _read,
    partial(values.charge, name="Charge", currency_name="Currency"),
    charges_by_rate_card=False,
)
