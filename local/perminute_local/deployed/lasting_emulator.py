"""Run ministack until the process that started it has ended: `python lasting_emulator.py`.

It runs in ministack's own environment and knows nothing of ours. Its time is that of the machine.
Requests stay quick as tables grow (`quick_queries.py`), policies are evaluated as
`emulated_policies.py` says, what operators do has its effect (`emulated_operations.py`), and what
makes functions run is left to us (`event_sources.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import signal
import threading
import time
from pathlib import Path
from typing import Any

CHECK_SECONDS = 1.0
END_WITHIN_SECONDS = 5.0


def main() -> None:
    """Install all of that, then run the emulator."""
    threading.Thread(target=end_with, args=(os.getppid(),), daemon=True).start()
    importlib.import_module("emulated_policies").install()
    importlib.import_module("emulated_operations").install()
    importlib.import_module("event_sources").leave()
    _quick_queries().install()
    runpy.run_module("ministack", run_name="__main__")


def end_with(parent: int) -> None:
    """End this process once it has another parent: a parent that is killed cannot end it."""
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_WITHIN_SECONDS)
    # Without it the functions' processes end by themselves.
    os._exit(1)


def _quick_queries() -> Any:  # noqa: ANN401 - a module
    # By its file: ministack may have other modules with the names of those beside it.
    file = Path(__file__).parents[1] / "quick_queries.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        msg = f"{file} cannot be loaded"
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
