"""What every benchmark prints: its figures, and the machine and versions they were taken on."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGES = ("aws-lambda-powertools", "botocore", "msgspec", "pynamodb")


def print_result(name: str, aim: str, **figures: Any) -> None:  # noqa: ANN401 - whatever was measured
    """Print one benchmark as one JSON document."""
    document = {"benchmark": name, "aim": aim, **figures, "machine": _machine()}
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")


def best_cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """CPU time of the fastest round."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


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
