"""A server on loopback as a child process, stopped with the context that it serves."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.05


class ChildError(Exception):
    """The server did not start, or ended early; the message ends with what it said last."""


@contextmanager
def serving(
    command: Sequence[str | Path], port: int, folder: Path, environment: Mapping[str, str]
) -> Iterator[None]:
    """Run it in this folder until the context ends; it is there when its port answers."""
    with tempfile.TemporaryFile(dir=folder) as output:
        process = subprocess.Popen(  # noqa: S603 - the command is one of ours
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            if not _answers(port, process):
                raise _error(process, output, was_there=False)
            try:
                yield
            except Exception as error:
                # That error says only that there was no answer, and not why.
                if process.poll() is None:
                    raise
                raise _error(process, output, was_there=True) from error
        finally:
            _stop(process)


def free_port() -> int:
    """Find a port of loopback that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            # It may be somebody else who answers, to whom the port went first: then ours has ended.
            return process.poll() is None
    return False


def _error(process: subprocess.Popen[bytes], output: IO[bytes], *, was_there: bool) -> ChildError:
    what = "ended while it was used" if was_there else "did not start"
    code = process.poll()
    how = "no answer in time" if code is None else f"exit code {code}"
    output.seek(0)
    said = " ".join(output.read().decode(errors="replace")[-2000:].split())
    return ChildError(f"{what} ({how}); run the command again. It said: {said or 'nothing'}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
