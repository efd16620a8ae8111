"""How many call records of each source a second are read, and the memory that a large file takes.

The records are those of examples/call-records that become calls, each with many ids.
"""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from perminute.formats.directory_csv import read_directory
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute.sources.write_record import write_record
from perminute_local.bench.report import Row, best_cpu_seconds, forget_peak, peak_kib, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

RECORDS = 5_000
ROUNDS = 7
AIM = 50_000
"""Records a second and core."""
FEW_MB, MANY_MB = 2, 200
_EXAMPLES = Path(__file__).parents[3] / "examples" / "call-records"
_DIRECTORY = read_directory((_EXAMPLES / "directory.csv").read_bytes())
_OPTIONS = SourceOptions(timezone=ZoneInfo("Europe/Berlin"))
_TENANTS = {
    "graph-pstn": "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10",
    "teams-csv": "0f6f2b0e-5a67-4a3e-9d0c-0c8f5b7f9a10",
    "zoom-telephone": "our-zoom-account",
}
_LISTS = {"graph-pstn": "value", "twilio-call": "calls", "zoom-telephone": "telephony_usage"}
"""What pages call the list of their records."""
_IDS = {"zoom-telephone": "kq3+Zz/8aBcDeFgHiJkLmA=="}
"""Fields that distinguish the records of sources whose calls have no id."""


def main() -> None:
    """Read a large export, and records of each source."""
    # First: what has been given back would be taken again, and seen by nobody.
    _measure_memory()
    for source in SOURCES:
        _measure(source)


def _measure(source: str) -> None:
    header, record, call_id = _example(source)
    content = _content(source, header, record, call_id)
    ours = best_cpu_seconds(partial(_read, source, content), ROUNDS)
    baseline = best_cpu_seconds(_naive(source, content), ROUNDS)
    figure = f"records of {source} a second"
    row = Row(figure, round(RECORDS / ours), round(RECORDS / baseline), f"≥ {AIM:,}")
    print_result(
        f"call records, {source}",
        f"{AIM} records a second and core; baseline: parsed to an object each, nothing checked",
        [row],
        records=RECORDS,
        recordsASecond=row.ours,
        parsedASecond=row.baseline,
    )


# ── Records ──────────────────────────────────────────────────────────────────────────────────


def _example(source: str) -> tuple[str, str, str]:
    """Return a header, a record as its source writes it, and the id of its call in there."""
    for path in sorted((_EXAMPLES / source).iterdir()):
        if path.name == "expected.jsonl" or path.is_dir():
            continue
        for outcome in _outcomes(source, path.read_bytes()):
            if isinstance(outcome, tuple):
                leg, record = outcome
                text = write_record(source, record).decode()
                header, written = text.split("\r\n", 1) if source == "teams-csv" else ("", text)
                return header, written, _IDS.get(source) or _spelled(leg.call_id, text)
    msg = f"{_EXAMPLES / source} has no record of a call"
    raise FileNotFoundError(msg)


def _outcomes(source: str, content: bytes) -> Iterator[object]:
    files, options = [InputFile("example", io.BytesIO(content))], _options(source)
    for _, record, result in convert(SOURCES[source], files, _DIRECTORY, options):
        yield (result, record) if isinstance(result, Leg) else None


def _spelled(call_id: str, text: str) -> str:
    """Return an id as it is written: GUIDs may be in capitals."""
    place = text.casefold().index(call_id.casefold())
    return text[place : place + len(call_id)]


def _content(source: str, header: str, record: str, call_id: str) -> bytes:
    stem = call_id[:-6]
    records = (record.replace(call_id, f"{stem}{n:06d}") for n in range(RECORDS))
    if source.startswith("asterisk"):
        # The digits before the point are the second in which the channel was made.
        records = (record.replace(call_id, f"{call_id}{n}") for n in range(RECORDS))
    if source in _LISTS:
        rows = [json.loads(one)[0] for one in records]
        return json.dumps({_LISTS[source]: rows}).encode()
    if source in {"teams-csv", "twilio-callback"} or source.startswith("asterisk"):
        return f"{header}\r\n".lstrip().encode() + "".join(records).encode()
    # Documents, one on each line.
    return "".join(f"{json.dumps(json.loads(one)[0])}\n" for one in records).encode()


def _options(source: str) -> SourceOptions:
    return SourceOptions(tenant=_TENANTS.get(source), timezone=_OPTIONS.timezone)


def _read(source: str, content: bytes) -> None:
    legs = sum(outcome is not None for outcome in _outcomes(source, content))
    assert legs == RECORDS, (source, legs)  # noqa: S101 - a figure of something else would mislead


def _naive(source: str, content: bytes) -> Callable[[], object]:
    text = content.decode()
    if source in {"teams-csv", "asterisk-csv"}:
        names = None if source == "teams-csv" else [f"column{n}" for n in range(18)]
        return lambda: [SimpleNamespace(**row) for row in csv.DictReader(io.StringIO(text), names)]
    if source == "asterisk-ami":
        events = text.strip().split("\r\n\r\n")
        return lambda: [
            SimpleNamespace(**dict(line.partition(": ")[::2] for line in event.splitlines()))
            for event in events
        ]
    if source in _LISTS:
        return lambda: [SimpleNamespace(**row) for row in json.loads(text)[_LISTS[source]]]
    return lambda: [SimpleNamespace(**json.loads(line)) for line in text.splitlines()]


# ── Memory ───────────────────────────────────────────────────────────────────────────────────


def _measure_memory() -> None:
    few, many = _peak_of_reading(FEW_MB), _peak_of_reading(MANY_MB)
    print_result(
        "call records, memory",
        "beside the ids of its calls, an export takes no memory for its length",
        [Row(f"KiB to read {MANY_MB} MB, and {FEW_MB} MB", many, few)],
        kibOfFew=few,
        kibOfMany=many,
        peakKib=peak_kib(),
    )


def _peak_of_reading(megabytes: int) -> int:
    header, row, _ = _example("teams-csv")
    forget_peak()
    before = peak_kib()
    content = io.BufferedReader(_Repeated(f"{header}\r\n", row, megabytes * 10**6))
    for _ in SOURCES["teams-csv"].read(InputFile("export", content), _options("teams-csv")):
        pass
    return peak_kib() - before


class _Repeated(io.RawIOBase):
    """A file that repeats one row, and is never in memory as a whole."""

    def __init__(self, header: str, row: str, size: int) -> None:
        super().__init__()
        self._header, self._row = header.encode(), row.encode()
        self._rows, self._place = size // len(self._row), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, place: int, _whence: int = 0, /) -> int:
        self._place = place
        return place

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        if self._place < len(self._header):
            piece = self._header[self._place :][: len(view)]
        else:
            place = (self._place - len(self._header)) % len(self._row)
            end = len(self._header) + self._rows * len(self._row)
            many = self._row * (len(view) // len(self._row) + 2)
            piece = many[place : place + min(len(view), end - self._place)]
        view[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


if __name__ == "__main__":
    main()
