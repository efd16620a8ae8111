"""The library that draws the page's charts: Vega-Lite, as `vl-convert-python` bundles it.

The bundle is a script of 900 kB. Its name contains a hash of its content, so that browsers cache
it. It is built once, and stored beside the environment that builds it.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from perminute_local.packaged import CHARTS_LOCK
from perminute_local.tool_environments import InstallationError, ToolEnvironment, python_of

if TYPE_CHECKING:
    from collections.abc import Callable

CHARTS = ToolEnvironment("console", "what draws the charts of the console", CHARTS_LOCK)
_PRINT_BUNDLE = "import vl_convert; print(vl_convert.javascript_bundle(), end='')"
_HASH_DIGITS = 16


def chart_library(announce: Callable[[str], None]) -> Path:
    """Return the script; build it if it does not exist.

    Raises `InstallationError` if it is not installed and cannot be, or its script not be made.
    """
    folder = CHARTS.install(announce)
    made = sorted(folder.glob("vega.*.js"))
    if made:
        return made[0]
    try:
        return _make(folder)
    except (OSError, subprocess.CalledProcessError) as error:
        msg = f"the charts' script could not be made by {folder}: {error}; remove that folder"
        raise InstallationError(msg) from error


def _make(folder: Path) -> Path:
    command = [str(python_of(folder)), "-c", _PRINT_BUNDLE]
    script = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603 - ours
    name = hashlib.sha256(script).hexdigest()[:_HASH_DIGITS]
    # Another console may read it meanwhile, so it is renamed into place when it is complete.
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as new:
        new.write(script)
    return Path(new.name).rename(folder / f"vega.{name}.js")
