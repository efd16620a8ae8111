"""Environments of tools that pin other versions than ours, or are too large for all who use us.

Such a tool has an environment of its own: the checkout's, which `make` installs beside ours, or one
that is made once in the user's cache, from the lock file that is packaged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LAST_LINES = 3
"""Of what a command that failed has said: pip names the cause at the end."""


class InstallationError(Exception):
    """There is no environment, and it could not be made; the message says what to do."""


@dataclass(frozen=True)
class ToolEnvironment:
    """The environment of a tool."""

    name: str
    title: str  # what it is to the user, with its article
    lock: Path

    @property
    def folder(self) -> Path | None:
        """Where it is; None if there is none yet."""
        places = (self._beside_us(), self._in_the_cache())
        return next((place for place in places if python_of(place).exists()), None)

    def install(self, announce: Callable[[str], None]) -> Path:
        """Make it in the user's cache, unless there is one; return where it is.

        Raises `InstallationError` if that fails.
        """
        if (found := self.folder) is not None:
            return found
        place = self._in_the_cache()
        announce(f"perminute: installing {self.title} into {place}, once")
        try:
            self._put(place)
        except (OSError, subprocess.CalledProcessError) as error:
            raise InstallationError(self._why(place, error)) from error
        return place

    def _beside_us(self) -> Path:
        return Path(sys.prefix) / self.name

    def _in_the_cache(self) -> Path:
        # A folder for each lock file and version of Python: after an upgrade another one is made.
        made_of = f"{sys.version_info[:2]} {self.lock.read_text(encoding='utf-8')}"
        name = hashlib.sha256(made_of.encode()).hexdigest()[:12]
        # The XDG specification: a relative path is to be ignored.
        cache = os.environ.get("XDG_CACHE_HOME", "")
        root = Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache"
        return root / "perminute" / f"{self.name}-{name}"

    def _put(self, place: Path) -> None:
        # It is made beside its place and moved there when it is complete: nobody finds half of one.
        # Only the scripts in its `bin` know where it was made, and they are not used.
        place.parent.mkdir(parents=True, exist_ok=True)
        if not python_of(place).exists():
            # Its Python links to one that an upgrade has removed since.
            shutil.rmtree(place, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=place.parent))
        try:
            self._make(new)
            new.rename(place)
        except OSError:
            # Another process may have put one there meanwhile.
            if not python_of(place).exists():
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _make(self, environment: Path) -> None:
        _run([sys.executable, "-m", "venv", str(environment)])
        pip = [str(python_of(environment)), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "install", "--require-hashes", "--requirement", str(self.lock)])

    def _why(self, place: Path, error: OSError | subprocess.CalledProcessError) -> str:
        said = str(error)
        if isinstance(error, subprocess.CalledProcessError):
            lines = (error.stderr or error.stdout or said).strip().splitlines()
            said = "; ".join(lines[-LAST_LINES:])
        return (
            f"{self.title} could not be installed into {place}: {said}. It is needed once from the "
            "package registry: check the network, and pip's settings, and run it again; "
            "XDG_CACHE_HOME names another folder than ~/.cache"
        )


def python_of(environment: Path) -> Path:
    """Return the interpreter of an environment."""
    return environment / "bin" / "python"


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
