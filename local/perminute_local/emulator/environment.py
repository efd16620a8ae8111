"""The environment that ministack runs in: the checkout's, or one made once for this user.

ministack pins another botocore than ours, so it cannot be installed beside us (docs/adr/0003).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from perminute_local.packaged import EMULATOR_LOCK
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAST_LINES = 3
"""Of what a command that failed has said: pip names the cause at the end."""


class EmulatorNotInstalled(WrongCall):
    """There is no environment, and it could not be made; the message says what to do."""

    kind = "emulator"


def interpreter() -> Path | None:
    """Return the Python that has ministack; None if there is none yet."""
    return next(filter(Path.exists, map(_python, (_beside_us(), _in_the_cache()))), None)


def install(announce: Callable[[str], None]) -> None:
    """Make the environment in the user's cache, unless there is one.

    Raises `EmulatorNotInstalled` if that fails.
    """
    if interpreter() is not None:
        return
    place = _in_the_cache()
    announce(f"perminute: installing the AWS emulator ministack into {place}, once")
    try:
        _put(place)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EmulatorNotInstalled(_why(place, error)) from error


def _beside_us() -> Path:
    """Where `make` installs it in a checkout."""
    return Path(sys.prefix) / "ministack"


def _in_the_cache() -> Path:
    """A folder for each lock file and version of Python: after an upgrade another one is made."""
    made_of = f"{sys.version_info[:2]} {EMULATOR_LOCK.read_text(encoding='utf-8')}"
    name = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    # The XDG specification: a relative path is to be ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
    return root / "perminute" / f"ministack-{name}"


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _put(place: Path) -> None:
    """Make it beside its place and move it there when it is complete: nobody finds half of one.

    Only the scripts in its `bin` know where it was made, and they are not used.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    if not _python(place).exists():
        # Its Python links to one that an upgrade has removed since.
        shutil.rmtree(place, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
    try:
        _make(new)
        new.rename(place)
    except OSError:
        # Another replay may have put one there meanwhile.
        if not _python(place).exists():
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _make(environment: Path) -> None:
    _run([sys.executable, "-m", "venv", str(environment)])
    pip = [str(_python(environment)), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", "--require-hashes", "--requirement", str(EMULATOR_LOCK)])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours


def _why(place: Path, error: OSError | subprocess.CalledProcessError) -> str:
    said = str(error)
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or error.stdout or said).strip().splitlines()
        said = "; ".join(lines[-LAST_LINES:])
    return (
        f"the AWS emulator could not be installed into {place}: {said}. A replay needs it once "
        "from the package registry: check the network, and pip's settings, and run it again; "
        "XDG_CACHE_HOME names another folder than ~/.cache"
    )
