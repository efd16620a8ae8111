"""Run ministack on the clock of `clock.py`: `python clocked_emulator.py FILE`.

It runs in ministack's own environment and knows nothing of ours. Only the times passed to
functions comes from that clock, and how long messages are hidden and records kept; signatures are
checked by the machine's clock, and so are the functions' time limits. Policies are evaluated as
`emulated_policies.py` says, and what makes functions run is left to us (`event_sources.py`).
"""

from __future__ import annotations

import importlib
import mmap
import runpy
import struct
import sys
import time
from pathlib import Path
from typing import Any

SERVICES = ("apigateway", "dynamodb", "eventbridge", "sns", "sqs")


class Clock:
    """Stands in for the module `time`, of which it has another `time()`."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as content:
            self._page = mmap.mmap(content.fileno(), 0)

    def time(self) -> float:
        """Return seconds since 1970."""
        (microseconds,) = struct.unpack("<q", self._page[:])
        seconds: float = microseconds / 1_000_000
        return seconds

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the module has
        return getattr(time, name)


def main() -> None:
    """Make the services use the clock and all policies, then run the emulator."""
    clock = Clock(Path(sys.argv.pop(1)))
    for service in SERVICES:
        vars(importlib.import_module(f"ministack.services.{service}"))["time"] = clock
    importlib.import_module("emulated_policies").install()
    importlib.import_module("event_sources").leave()
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    main()
