"""An AWS on this machine: the emulator ministack as a child process on loopback.

It lives in an environment of its own, since it pins another botocore than ours (docs/adr).
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from perminute_local.child_process import ChildError, free_port, serving
from perminute_local.emulator import quick_queries
from perminute_local.emulator.environment import interpreter
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
    """Run an emulator for as long as the context lasts; gives its endpoint.

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
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for as long as the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
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
