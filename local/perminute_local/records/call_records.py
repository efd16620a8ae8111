"""`perminute calls convert` and `perminute directory check` (docs/sources.md)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import NAMESPACE_URL, uuid5

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from perminute.domain.errors import FaultyDirectory
from perminute.domain.values.printable import counted
from perminute.formats.directory_csv import read_directory
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg, Outcome, Problem
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile
from perminute_local.terminal import remark, write_json, write_large_json, write_line, write_lines
from perminute_local.user_input import faults_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from perminute.sources.stated_call import SourceOptions

LARGE_BYTES = 10 * 1024 * 1024
"""Progress is shown if files have more bytes; fewer are read in a second or two."""

_RECORDS_PER_STEP = 1_000


def check_directory(path: Path, *, as_json: bool) -> int:
    """Write the number of rows of a directory, or every fault; exit code 1 if there is one."""
    rows, faults = 0, []
    try:
        rows = len(read_directory(path.read_bytes()).entries)
    except FaultyDirectory as error:
        faults = [fault._asdict() for fault in error.faults]
    if as_json:
        write_json({"valid": not faults, "rows": rows, "faults": faults})
    elif faults:
        write_lines(f"{path}:{fault['line']}: {fault['message']}" for fault in faults)
    else:
        write_line(f"{path}: {counted(rows, 'row')}, no fault")
    return 1 if faults else 0


def convert_records(
    source: str, paths: Sequence[Path], directory: Path, options: SourceOptions, *, as_json: bool
) -> int:
    """Write an event for each leg, and on standard error the rest; exit code 1 for a problem."""
    with faults_of(directory):
        entries = read_directory(directory.read_bytes())
    for path in paths:
        # A file that cannot be read is reported before anything is written.
        path.open("rb").close()
    report, files = _Report(source), _Files(paths)
    with files.progress() as show:
        events = report.events(show(convert(SOURCES[source], files, entries, options)))
        if as_json:
            # The lists are complete when the events are written.
            write_large_json(
                {
                    "events": events,
                    "skipped": iter(report.skipped),
                    "problems": iter(report.problems),
                }
            )
        else:
            for event in events:
                sys.stdout.write(f"{json.dumps(event)}\n")
    report.remark_counts()
    return 1 if report.problems else 0


class _Files:
    """Files of records, one after the other, and how much of them was read."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._before = 0  # bytes of the files that were read to their ends
        self._content: BinaryIO | None = None

    def __iter__(self) -> Iterator[InputFile]:
        for path in self._paths:
            with path.open("rb") as self._content:
                yield InputFile(str(path), self._content)
                self._before += self._content.tell()
        self._content = None

    @contextmanager
    def progress(self) -> Iterator[Callable[[Iterable[Outcome]], Iterable[Outcome]]]:
        """Yield these outcomes, and show on a terminal how much of large files was read."""
        size = sum(path.stat().st_size for path in self._paths)
        screen = Console(stderr=True)
        # Events that are shown there themselves say enough.
        if size < LARGE_BYTES or not screen.is_terminal or sys.stdout.isatty():
            yield lambda outcomes: outcomes
            return
        columns = (TextColumn("read"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        # What is written to standard output is data: none of it may go to the screen of the bar.
        with Progress(*columns, console=screen, transient=True, redirect_stdout=False) as bar:
            yield partial(self._shown, bar, bar.add_task("read", total=size))

    def _shown(self, bar: Progress, task: TaskID, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for number, outcome in enumerate(outcomes):
            if number % _RECORDS_PER_STEP == 0 and self._content is not None:
                bar.update(task, completed=self._before + self._content.tell())
            yield outcome


class _Report:
    """What became of the records so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._legs = 0
        self.skipped = list[dict[str, str]]()
        self.problems = list[dict[str, str]]()

    def events(self, outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
        """Yield the event of each leg; remark on each record that is none."""
        for at, _, result in outcomes:
            if isinstance(result, Leg):
                self._legs += 1
                yield event_of(result, self._source)
                continue
            entry = {"at": at, "reason": result.reason.value}
            if isinstance(result, Problem):
                self.problems.append(entry | {"message": result.message})
            else:
                self.skipped.append(entry)
            if result.message:
                remark(f"{at}: {result.reason}: {result.message}")

    def remark_counts(self) -> None:
        """Write how many records there were, and what became of them."""
        skipped, problems = len(self.skipped), len(self.problems)
        remark(
            f"{counted(self._legs + skipped + problems, 'record')}: "
            f"{counted(self._legs, 'call')}, {skipped} skipped{_by_reason(self.skipped)}, "
            f"{counted(problems, 'problem')}{_by_reason(self.problems)}"
        )


def _by_reason(entries: Iterable[dict[str, str]]) -> str:
    counts = Counter(entry["reason"] for entry in entries)
    listed = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
    return f" ({listed})" if listed else ""


def event_of(leg: Leg, source: str) -> dict[str, Any]:
    """Return the event of a leg; the same leg of the same source always has the same id."""
    detail = leg.detail()
    identity = f"{source}|{leg.call_id}|{json.dumps(detail, sort_keys=True)}"
    return {
        "id": str(uuid5(NAMESPACE_URL, identity)),
        "source": "perminute.telephony",
        "detail-type": "Call Ended",
        "time": detail["endedAt"],
        "detail": detail,
    }
