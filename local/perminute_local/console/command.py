"""`perminute console`: the page of reports, of a folder that is replayed or of a stack."""

from __future__ import annotations

import shlex
import signal
import sys
import webbrowser
from contextlib import contextmanager
from typing import TYPE_CHECKING

from perminute_local.console.charts import chart_library
from perminute_local.console.deployed_page import write_page
from perminute_local.console.page import page_files
from perminute_local.console.server import ConsoleServer, Shown
from perminute_local.reports.folder import replayed_reports
from perminute_local.reports.source import StackReports
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.tool_environments import InstallationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from perminute_local.console.server import Source


def run_console(
    origin: str | Path,
    organizations: Sequence[str],
    *,
    port: int,
    opens_browser: bool,
    as_json: bool,
) -> int:
    """Serve the page until the user interrupts it, or ends it; returns the exit code.

    `origin` is the name of a stack, or a folder of events. Raises `WrongCall` if the folder cannot
    be replayed, or the port is taken. Without the library of charts the page has tables.
    """
    for ending in (signal.SIGTERM, signal.SIGHUP):
        # Like Ctrl-C: otherwise the emulator would keep running.
        signal.signal(ending, signal.default_int_handler)
    files = page_files(_library())
    with (
        _reports_of(origin, organizations) as (source, shown),
        ConsoleServer(source, shown, files, port=port) as server,
    ):
        if as_json:
            write_json({"address": server.address})
        else:
            write_line(server.address)
        sys.stdout.flush()  # who reads it from a pipe waits for it
        remark("perminute: the console is at this address until you press Ctrl-C")
        if opens_browser:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            remark("perminute: the console has ended")
    return 0


def _library() -> Path | None:
    try:
        return chart_library(remark)
    except InstallationError as error:
        remark(f"perminute: the console shows tables in place of charts: {error}")
        return None


def run_write(stack_name: str, folder: Path, *, as_json: bool) -> int:
    """Write the page that a stack serves, and the command to upload it; returns the exit code."""
    bucket = write_page(stack_name, folder)
    if as_json:
        write_json({"folder": str(folder), "bucket": bucket})
    else:
        where = f"{shlex.quote(str(folder))} s3://{bucket}"
        write_line(f"aws s3 sync {where} --delete --cache-control no-cache")
    return 0


@contextmanager
def _reports_of(origin: str | Path, organizations: Sequence[str]) -> Iterator[tuple[Source, Shown]]:
    if isinstance(origin, str):
        yield StackReports(origin), Shown(f"stack {origin}", tuple(organizations))
        return
    remark(f"perminute: replaying {origin}")
    with replayed_reports(origin) as reports:
        shown = tuple(organizations) or reports.organizations
        yield reports, Shown(f"replay of {origin}", shown)
