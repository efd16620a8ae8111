"""The emulator as a child process: what is said if it is not there, and how long it may take."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from perminute.adapters.dynamodb.tables import READ_TIMEOUT_SECONDS, connect
from perminute.settings import read_timeout_seconds
from perminute_local.embedded_aws import ChildError, client_environment, free_port, serving

if TYPE_CHECKING:
    from pathlib import Path

ENDS_AFTER_A_REQUEST = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for _ in range(2):
    listener.accept()[0].close()
sys.exit("out of memory")
"""


def test_an_emulator_may_take_longer_for_an_answer_than_dynamodb() -> None:
    emulated = client_environment("http://127.0.0.1:1")
    for variables, seconds in ({}, READ_TIMEOUT_SECONDS), (emulated, 60):
        connection = connect("us-east-1", read_timeout_seconds=read_timeout_seconds(variables))
        config: Any = connection.client.meta.config
        assert config.read_timeout == seconds


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with (
        pytest.raises(ChildError, match=r"^did not start \(exit code 1\); .*: the port is taken$"),
        serving(command, free_port(), tmp_path, {}),
    ):
        pytest.fail("it serves nobody")


def test_a_server_that_ends_while_it_is_used_is_quoted(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-c", ENDS_AFTER_A_REQUEST, str(port)]
    with (
        pytest.raises(ChildError, match=r"^ended while .* \(exit code 1\); .*: out of memory$"),
        serving(command, port, tmp_path, {}),
    ):
        _ask_until_nobody_answers(port)


def _ask_until_nobody_answers(port: int) -> None:
    while True:
        socket.create_connection(("127.0.0.1", port)).close()
        time.sleep(0.05)


def test_what_fails_while_the_server_is_there_is_raised_as_it_is(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    with pytest.raises(LookupError, match="ours"), serving(command, port, tmp_path, {}):
        raise LookupError("ours")
