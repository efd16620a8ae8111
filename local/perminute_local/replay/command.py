"""`perminute replay`: a progress bar while it runs, then the results as tables or as JSON."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from perminute.domain.rating.usage_record import Outcome
from perminute.domain.values.printable import counted
from perminute_local.conditions import StackError
from perminute_local.embedded_aws import EmbeddedAwsError, install
from perminute_local.replay.links import InProcess
from perminute_local.replay.report import report
from perminute_local.replay.run import BooksNotRead, System, embedded_stack, read_plan
from perminute_local.tables import write_tables
from perminute_local.terminal import remark, write_json, write_large_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from perminute_local.replay.plan import Disturbance
    from perminute_local.replay.results import Results
    from perminute_local.replay.run import Plan


def run_replay(
    folder: Path, *, batch_size: int | None, disturbance: Disturbance, as_json: bool
) -> int:
    """Replay a folder and show what came of it; exit code 1 unless the books were read and agree.

    Raises `WrongFile` if the folder is faulty, `EmulatorNotInstalled` and `EmbeddedAwsError` if the
    emulator cannot be installed, or does not answer.
    """
    plan = read_plan(folder, batch_size=batch_size, disturbance=disturbance)
    try:
        results = _results(plan, as_json=as_json)
    except BooksNotRead as error:
        remark(f"perminute: {error}")
        if as_json:
            write_json({"error": "booksNotRead", "message": str(error)})
        return 1
    if as_json:
        write_large_json(results.parts())
    else:
        write_tables(report(results))
    skips = () if plan.records is None else plan.records.skips.remarks()
    for line in (*skips, *remarks(results)):
        remark(f"perminute: {line}")
    return 1 if results.differences or results.unread else 0


def remarks(results: Results) -> Iterator[str]:
    """Yield what nobody should overlook: books that are not in order, no call that was charged."""
    if results.differences:
        yield f"the books differ: {counted(len(results.differences), 'difference')}"
    for books in results.unread:
        yield f"the books could not be read: {books.organization_id}: {books.unavailable}"
    if any(usage.outcome is Outcome.CHARGED for usage in results.usages):
        return
    kinds = Counter(
        f"{usage.outcome} ({usage.reason})" if usage.reason else usage.outcome
        for usage in results.usages
    )
    recorded = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "none was recorded"
    events = counted(len(results.rejected), "event was", "events were")
    refused = f"; {events} refused" if results.rejected else ""
    yield f"no call was charged: {recorded}{refused}"


def _results(plan: Plan, *, as_json: bool) -> Results:
    with replayed(plan, hide_progress=as_json) as (results, _):
        return results


@contextmanager
def replayed(plan: Plan, *, hide_progress: bool) -> Iterator[tuple[Results, InProcess]]:
    """Replay on an embedded AWS, which runs for as long as the context lasts.

    On a terminal a progress bar is shown, which may disappear at the end. Raises `BooksNotRead`,
    `EmulatorNotInstalled` and `EmbeddedAwsError`.
    """
    install(remark)
    try:
        with embedded_stack(receives_records=plan.records is not None) as stack:
            links = InProcess(stack)
            yield _replay(plan, links, hide_progress=hide_progress), links
    except (BotoCoreError, ClientError, StackError) as error:
        msg = f"the embedded AWS does not answer as it should; run the command again: {error}"
        raise EmbeddedAwsError(msg) from error


def _replay(plan: Plan, links: InProcess, *, hide_progress: bool) -> Results:
    screen = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=hide_progress,
        disable=not screen.is_terminal,
    )
    with bar:
        task = bar.add_task(
            "events" if plan.records is None else "events and records", total=len(plan.deliveries)
        )
        system = System(links, plan.rate_card)
        return system.replay(plan, advance=lambda count: bar.advance(task, count))
