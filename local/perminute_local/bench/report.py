"""What every benchmark prints: its figures, and the machine and versions they were taken on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_PACKAGES = ("aws-lambda-powertools", "botocore", "msgspec", "pynamodb")


class Row(NamedTuple):
    """A figure and its baseline, both measured in this run."""

    figure: str
    ours: float
    baseline: float
    aim: str = ""


_ROWS: list[Row] = []


def print_result(name: str, aim: str, rows: Sequence[Row], **figures: Any) -> None:  # noqa: ANN401 - whatever was measured
    """Print one benchmark as one JSON document, and remember its rows for the table."""
    _ROWS.extend(rows)
    document = {"benchmark": name, "aim": aim, **figures, "machine": _machine()}
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def rows_of(benchmark: str) -> list[Row]:
    """Run a benchmark, which prints its figures, and return its rows of the table."""
    import_module(f"perminute_local.bench.{benchmark}").main()
    return _ROWS


def print_table(rows: Iterable[Row]) -> None:
    """Print rows as a table in Markdown."""
    sys.stdout.write("\n| figure | ours | baseline | aim |\n|---|---:|---:|---:|\n")
    for figure, ours, baseline, aim in rows:
        sys.stdout.write(f"| {figure} | {ours:,} | {baseline:,} | {aim} |\n")


def best_cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """CPU time of the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def measured_apart(module: str, *words: object) -> dict[str, Any]:
    """Run a module of ours in a process of its own, and return the figures that it writes."""
    command = [sys.executable, "-m", module, *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def peak_kib() -> int:
    """Return the most memory that this process had since it started, or since `forget_peak`."""
    # Not `ru_maxrss`, which begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def forget_peak() -> None:
    """Have `peak_kib` begin with the memory that this process has now (Linux: proc(5))."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _machine() -> dict[str, Any]:
    return {
        "name": platform.node(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - a kernel file
            models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        models = []
    return models[0] if models else platform.processor() or platform.machine()
