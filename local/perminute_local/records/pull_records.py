"""`perminute calls pull graph-pstn`: save the call records of Microsoft Graph as files."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.adapters.graph import GraphClient
from perminute.application.pull_graph_calls import place_of_calls
from perminute.domain.values.printable import counted
from perminute_local.progress import texts_shown
from perminute_local.terminal import remark, write_json, write_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from perminute.adapters.graph_credentials import GraphCredentials
    from perminute.ports.graph import Graph

# What Graph answers at once (learn.microsoft.com/graph/api/callrecords-callrecord-getpstncalls).
_LONGEST_PERIOD = timedelta(days=90)


def pull_graph_calls(
    credentials: GraphCredentials, begin: datetime, end: datetime, into: Path, *, as_json: bool
) -> int:
    """Write each page as a file that `calls convert` reads, and list the files."""
    into.mkdir(parents=True, exist_ok=True)
    saved = _Saved(into)
    client = GraphClient(credentials)
    try:
        with texts_shown("asking Graph") as show:
            for period in _periods(begin, end):
                saved.save(client, *period, show)
    finally:
        client.close()
        # Also those that came before an error: they are whole.
        remark(f"{counted(saved.rows, 'record')} in {counted(len(saved.files), 'file')}")
    if as_json:
        write_json({"files": [str(path) for path in saved.files], "records": saved.rows})
    else:
        for path in saved.files:
            write_line(str(path))
    return 0


def _periods(begin: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    # A call at the instant where two meet is in both, and becomes one call by its id.
    while begin < end:
        until = min(end, begin + _LONGEST_PERIOD)
        yield begin, until
        begin = until


class _Saved:
    # The files of a folder, and how many records they have together.
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: list[Path] = []
        self.rows = 0

    def save(
        self, graph: Graph, begin: datetime, end: datetime, show: Callable[[str], None]
    ) -> None:
        name = f"graph-pstn-{begin:%Y%m%dT%H%M%SZ}-{end:%Y%m%dT%H%M%SZ}"
        before = set(self._folder.glob(f"{name}-*.json"))
        pages = (page for page in graph.pages(place_of_calls(begin, end)) if page.items)
        for number, page in enumerate(pages, 1):
            path = self._folder / f"{name}-{number:04}.json"
            _write_whole(path, page.content)
            before.discard(path)
            self.files.append(path)
            self.rows += len(page.items)
            show(f"{counted(self.rows, 'record')} until {end:%Y-%m-%d}")
        # The period was pulled before, and had more pages then.
        for path in before:
            path.unlink()


def _write_whole(path: Path, content: bytes) -> None:
    # Whoever reads the folder meanwhile finds a whole page, or none.
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
