"""An AWS on this machine: the emulator ministack as a child process on loopback.

It lives in an environment of its own, since it pins another botocore than ours (docs/adr).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
START_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 5


class EmbeddedAwsError(Exception):
    """The emulator is not installed or did not start; the message says what to do."""


@contextmanager
def embedded_aws() -> Iterator[str]:
    """Run an emulator for as long as the context lasts; gives its endpoint."""
    python = Path(sys.prefix) / "ministack" / "bin" / "python"
    if not python.exists():
        msg = "the embedded AWS is not installed; run `make .venv/ministack/.ready` once"
        raise EmbeddedAwsError(msg)
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="perminute-") as folder:
        log = Path(folder) / "ministack.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own environment's interpreter
                [python, "-m", "ministack"],
                env=_environment(port, folder),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            _stop(process)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for as long as the context lasts."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def client_environment(endpoint: str) -> dict[str, str]:
    """Tell the AWS clients of this process to talk to the emulator, with keys that open nothing."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _environment(port: int, folder: str) -> dict[str, str]:
    """Give the emulator a small environment: loopback only, its files in its own folder."""
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


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    msg = f"the embedded AWS did not start: {log.read_text(errors='replace')[-2000:]}"
    raise EmbeddedAwsError(msg)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
