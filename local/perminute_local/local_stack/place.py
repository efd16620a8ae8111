"""Where the files of the stack of this machine are, and whether it is up.

The process that serves it holds a lock on a file. The operating system releases the lock when that
process ends, however it ends; so a later process with the same id is never taken for it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute_local.embedded_aws import EmbeddedAwsError, client_environment
from perminute_local.local_stack import LOCAL
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK_ATTEMPTS = 10
LOCK_PAUSE_SECONDS = 0.02


class NotUp(EmbeddedAwsError):  # noqa: N818 - it names what is the matter
    """There is no stack on this machine; the message says what to do."""


class Served(NamedTuple):
    """What is up: where its AWS answers, and what it was made of."""

    endpoint: str
    since: str
    rates: str
    directory: str | None
    made: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Write it as JSON."""
        return self._asdict()


class Place:
    """A folder of the user, for one stack."""

    def __init__(self, root: Path) -> None:
        # Never deleted: a process that waits for a lock on a deleted file waits for another one.
        self.lock_file = root / f"{LOCAL}.lock"
        self.folder = root / LOCAL
        self.log = self.folder / "log"
        self._served_file = self.folder / "served.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock. Raises `WrongCall` if another process does."""
        self.lock_file.parent.mkdir(parents=True, exist_ok=True)
        with self.lock_file.open("a+", encoding="utf-8") as file:
            if not _locked(file.fileno()):
                msg = "another `perminute up` is under way"
                raise WrongCall(msg)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def holder(self) -> int | None:
        """Return the process that serves the stack, or is about to; None, there is none."""
        try:
            with self.lock_file.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    # Empty between taking the lock and writing the process id of the holder.
                    return int(file.read() or 0)
        except FileNotFoundError:
            pass
        return None

    def served(self) -> Served | None:
        """Return what is up, or was when its process ended; None if it was never complete."""
        try:
            return Served(**json.loads(self._served_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def serve(self, served: Served) -> None:
        """Record that the stack is up."""
        new = self._served_file.with_suffix(".new")
        new.write_text(json.dumps(served.document()), encoding="utf-8")
        new.replace(self._served_file)

    def make(self) -> None:
        """Make the folder, which only this user may read."""
        self.folder.mkdir(parents=True, mode=0o700)

    def remove(self) -> bool:
        """Remove what a stack has left; return whether anything was left."""
        if not self.folder.exists():
            return False
        shutil.rmtree(self.folder)
        return True


def _locked(file: int) -> bool:
    # A process that only checks whether it is held holds it for a moment.
    for _ in range(LOCK_ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return True
    return False


def place_of_user() -> Place:
    """Return the place of this user's stack, by the XDG specification."""
    state = os.environ.get("XDG_STATE_HOME", "")
    root = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return Place(root / "perminute")


def running(place: Place) -> Served:
    """Return what is up. Raises `NotUp`."""
    served = place.served()
    if place.holder() is None:
        ended = "" if served is None else f" any more: it ended, see {place.log}"
        msg = f"no stack is up on this machine{ended}; start one with `perminute up`"
        raise NotUp(msg)
    if served is None:
        msg = "the stack of this machine is being started; try again in a moment"
        raise NotUp(msg)
    return served


NO_FILE = os.devnull


def only_local(endpoint: str) -> dict[str, str | None]:
    """Return the environment by which this process reaches this AWS, and no other one.

    It contains none of the user's own settings: no profile, key, region, or endpoint of a service.
    """
    others = dict.fromkeys(name for name in os.environ if name.startswith("AWS_"))
    no_files = {"AWS_CONFIG_FILE": NO_FILE, "AWS_SHARED_CREDENTIALS_FILE": NO_FILE}
    return {**others, **no_files, **client_environment(endpoint)}
