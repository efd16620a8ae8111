"""How many call records a second are read, and the memory that a long export takes."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from perminute.formats.directory_csv import read_directory
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute_local.bench.report import Row, best_cpu_seconds, forget_peak, peak_kib, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDS = 50_000
ROUNDS = 5
AIM = 50_000
"""Records a second and core."""
MANY = 4
"""How often the long export has as many records."""
_TENANT = "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10"
_DIRECTORY = read_directory(
    f"kind,key,organization_id,leg_type\ntenant,{_TENANT},contoso,\n"
    "number,+12065550100,,tollDialIn\n".encode()
)
_OPTIONS = SourceOptions(tenant=_TENANT)
_COLUMNS = {
    "UsageId": "id",
    "Conference ID": "conferenceId",
    "AAD ObjectId": "userId",
    "UPN": "userPrincipalName",
    "Caller ID": "callerNumber",
    "Call Type": "callType",
    "Destination Number": "calleeNumber",
    "Start Time": "startDateTime",
    "End Time": "endDateTime",
    "Duration Seconds": "duration",
}
"""The columns of the export that are read, and the fields of Graph that they are."""


def main() -> None:
    """Read the same calls as an export of the admin center, and as a page of Graph."""
    content = _export(RECORDS)
    _measure("teams-csv", content, partial(_read_naively, content))
    page = json.dumps({"value": list(_rows(RECORDS))}).encode()
    _measure("graph-pstn", page, partial(json.loads, page))
    _measure_memory()


def _measure(source: str, content: bytes, naive: Callable[[], object]) -> None:
    ours = best_cpu_seconds(partial(_read, source, content), ROUNDS)
    baseline = best_cpu_seconds(naive, ROUNDS)
    figure = f"records of {source} a second"
    row = Row(figure, round(RECORDS / ours), round(RECORDS / baseline), f"≥ {AIM:,}")
    print_result(
        f"call records, {source}",
        f"{AIM} records a second and core; baseline: only parsed, and nothing checked",
        [row],
        records=RECORDS,
        recordsASecond=row.ours,
        parsedASecond=row.baseline,
    )


def _measure_memory() -> None:
    few, many = (_peak_of_reading(_export(number)) for number in (RECORDS, MANY * RECORDS))
    print_result(
        "call records, memory",
        "beside the ids of its calls, an export takes no memory for its length",
        [Row("KiB for 4 times as many records", many, few)],
        kibOfFew=few,
        kibOfMany=many,
    )


def _peak_of_reading(content: bytes) -> int:
    forget_peak()
    before = peak_kib()
    for _ in SOURCES["teams-csv"].read(InputFile("export", io.BytesIO(content)), _OPTIONS):
        pass
    return peak_kib() - before


def _read(source: str, content: bytes) -> None:
    files = [InputFile("export", io.BytesIO(content))]
    legs = [
        outcome.at
        for outcome in convert(SOURCES[source], files, _DIRECTORY, _OPTIONS)
        if isinstance(outcome.result, Leg)
    ]
    assert len(legs) == RECORDS  # noqa: S101 - a figure of something else would mislead


def _read_naively(content: bytes) -> None:
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"))):
        datetime.fromisoformat(row["Start Time"])
        datetime.fromisoformat(row["End Time"])
        int(row["Duration Seconds"])


def _export(number: int) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *(f"Column {n}" for n in range(10))])
    for row in _rows(number):
        writer.writerow([*(row[field] for field in _COLUMNS.values()), *["Some, text"] * 10])
    return text.getvalue().encode()


def _rows(number: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        yield {
            "id": str(UUID(int=n)),
            "conferenceId": str(n // 5),
            "userId": str(UUID(int=n % 1000)),
            "userPrincipalName": f"user-{n % 1000}@contoso.example",
            "callerNumber": f"+4930{n:07d}",
            "callType": "conf_in",
            "calleeNumber": "+12065550100",
            "startDateTime": "2026-11-03T08:00:00.1234567Z",
            "endDateTime": "2026-11-03T08:10:00.1234567Z",
            "duration": 600,
        }


if __name__ == "__main__":
    main()
