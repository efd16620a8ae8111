"""An AWS on this machine: the emulator ministack as a child process on loopback.

ministack pins another botocore than ours, so it has an environment of its own (docs/adr/0003).
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from perminute_local import quick_queries
from perminute_local.packaged import EMULATOR_LOCK
from perminute_local.tool_environments import InstallationError, ToolEnvironment, python_of
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 5
ENDS_WITHIN_SECONDS = 0.5
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
                # That error says only that there was no answer, and not why. A process that does
                # not answer any more may not have ended yet.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(ENDS_WITHIN_SECONDS)
                if process.poll() is None:
                    raise
                raise _error(process, output, was_there=True) from error
        finally:
            _stop(process)


def free_port() -> int:
    """Find a port of loopback that no process listens on."""
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
            # Another process may have taken the port first, and answers: then ours has ended.
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


EMULATOR = ToolEnvironment("ministack", "the AWS emulator ministack", EMULATOR_LOCK)


class EmulatorNotInstalled(WrongCall):
    """There is no environment, and it could not be made; the message says what to do."""

    kind = "emulator"


def interpreter() -> Path | None:
    """Return the Python that has ministack; None if there is none yet."""
    return (folder := EMULATOR.folder) and python_of(folder)


def install(announce: Callable[[str], None]) -> None:
    """Make the environment in the user's cache, unless there is one.

    Raises `EmulatorNotInstalled` if that fails.
    """
    try:
        EMULATOR.install(announce)
    except InstallationError as error:
        raise EmulatorNotInstalled(str(error)) from error


REGION = "us-east-1"
LAUNCHER = ("-P", quick_queries.__file__)
"""`-P`: what lies beside the script is not imported in place of what ministack means."""

ROLES_ENFORCED = {"AUTH": "true"}
"""A setting: a function may do what its role says, and nothing else."""


class EmbeddedAwsError(WrongCall):
    """The emulator did not start, or does not answer; the message says what to do."""

    kind = "emulator"


@contextmanager
def embedded_aws(
    launcher: Sequence[str] = LAUNCHER,
    settings: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[str]:
    """Run an emulator while the context lasts; yield its endpoint.

    `launcher` says what its interpreter runs, `settings` are further variables of its environment;
    without a port it gets a free one.
    """
    python = interpreter()
    if python is None:
        msg = (
            "the embedded AWS is not installed: in a checkout run `make .venv/ministack/.ready` "
            "once, elsewhere `perminute replay` installs it"
        )
        raise EmbeddedAwsError(msg)
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="perminute-") as folder:
        variables = {**_environment(port, folder), **(settings or {})}
        try:
            with serving([python, *launcher], port, Path(folder), variables):
                yield f"http://127.0.0.1:{port}"
        except ChildError as error:
            msg = f"the embedded AWS {error}"
            raise EmbeddedAwsError(msg) from error


@contextmanager
def environment(**variables: str | None) -> Iterator[None]:
    """Set environment variables within the context; None removes one."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def client_environment(endpoint: str) -> dict[str, str]:
    """Return what has the AWS clients of this process talk to the emulator, however long it takes.

    Its keys open nothing.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_EC2_METADATA_DISABLED": "true",
        "READ_TIMEOUT_SECONDS": "60",
    }


def _environment(port: int, folder: str) -> dict[str, str]:
    # A small environment: loopback only, its files in its own folder.
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "TMPDIR": folder,
        "HOME": folder,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_REGION": REGION,
    }
