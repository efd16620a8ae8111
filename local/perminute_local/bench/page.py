"""The console's page in Chromium: until its first figures are there, until all are, and its size.

The time of the first figures is compared with that of all, which is when a page that waits for
everything would show its first. Needs what `make browser` installs, and Chromium; without them it
says so and measures only the size.
"""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perminute_local.bench.builders import CONTEXT, ORGANIZATION
from perminute_local.bench.report import Row, print_result
from perminute_local.bench.reports import CALLS, MonthOfCalls
from perminute_local.bench.transport import loaded
from perminute_local.console.charts import chart_library
from perminute_local.console.page import page_files
from perminute_local.console.server import ConsoleServer, Shown
from perminute_local.terminal import remark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute_local.console.page import PageFile
    from perminute_local.reports.source import Question

DRIVER = Path(sys.prefix) / "browser" / "bin" / "python"
ROUNDS = 3
AIM_MILLISECONDS = dict(zip(CALLS, (1_000, 2_000), strict=True))
AIM_KILOBYTES = 350
_MONTH = "2026-11"


class _Reports:
    """The function `read_reports` over a month of calls."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - a module
        self._module = module

    def answer(self, question: Question) -> dict[str, Any]:
        event = {**question.parameters, "operation": question.report}
        event["organizationId"] = question.organization_id
        answer: dict[str, Any] = self._module.handler(event, replace(CONTEXT, timeout_seconds=600))
        return answer


def main() -> None:
    """Measure the size of the page, and how soon it shows the figures of a month."""
    files = page_files(chart_library(remark))
    kilobytes = sum(len(gzip.compress(file.body)) for file in files.values()) / 1_000
    ours = sum(len(gzip.compress(file.body)) for file in files.values() if not file.is_immutable)
    rows = [Row("page, kB gzip", round(kilobytes, 1), round(ours / 1_000, 1), f"{AIM_KILOBYTES}")]
    chromium = shutil.which("chromium")
    if chromium is None or not DRIVER.exists():
        remark("perminute: the page is not timed: `make browser` and Chromium are needed")
    else:
        for calls in CALLS:
            with _console(calls, files) as address:
                first, everything = _timed(chromium, address)
            what = f"page, first figures of {calls:,} calls, ms"
            rows.append(Row(what, first, everything, f"{AIM_MILLISECONDS[calls]:,}"))
    print_result(
        "page",
        "first figures in 1 s of 1,000 calls, in 2 s of 100,000; 350 kB",
        rows,
        figures=rows,
        beside="size: without the library of charts; times: until all figures are there",
    )


@contextmanager
def _console(calls: int, files: Mapping[str, PageFile]) -> Iterator[str]:
    month = MonthOfCalls(calls)
    with loaded("read_reports") as module:
        month.answer_for(module.aws.tables.connection)
        module.reader.postings._pace.units_per_second = 10**9  # noqa: SLF001 - takes no CPU
        shown = Shown("bench", (ORGANIZATION,))
        with ConsoleServer(_Reports(module), shown, files) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield f"{server.address}&month={_MONTH}"
            finally:
                server.shutdown()
                thread.join()


def _timed(chromium: str, address: str) -> tuple[int, int]:
    script = Path(__file__).with_name("page_driver.py")
    command = [str(DRIVER), str(script), chromium, address, f"{ROUNDS}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    first, everything = json.loads(done.stdout)
    return round(first), round(everything)


if __name__ == "__main__":
    main()
