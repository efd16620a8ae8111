"""`-` in place of a file is standard input."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from perminute_local.cli import main
from perminute_local.user_input import StandardInput

if TYPE_CHECKING:
    from pathlib import Path

CARD = b"leg_type,prefix,country,currency,rate_per_minute\ndialOut,49,DE,USD,0.015\n"
DECK = b"Destination Name,Country,Prefix,Price / min\nGermany,DE,49,0.015\n"
CALL = b'{"legType":"dialOut","number":"+4930234567","seconds":61,"at":"2026-11-02T09:00:00Z"}\n'
USERS = b'{"id":"adele","usageLocation":"US","assignedLicenses":[]}'


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rates.csv").write_bytes(CARD)
    (tmp_path / "calls.jsonl").write_bytes(CALL)


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("words", "content", "shown"),
    [
        (["rates", "check", "-"], CARD, "standard input: 1 rate, no fault"),
        (["rates", "convert", "--from", "acs", "-"], DECK, "dialOut,49,DE,Germany,USD,0.015"),
        (["quote", "--rates", "rates.csv", "--calls", "-"], CALL, "total 0.03 USD\n"),
        (["quote", "--rates", "-", "--calls", "calls.jsonl"], CARD, "total 0.03 USD\n"),
        (["graph", "-", "--organization", "contoso"], USERS, '"userId": "adele"'),
    ],
)
def test_a_dash_is_standard_input(
    words: list[str],
    content: bytes,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given(monkeypatch, content)
    assert main(words) == 0
    assert shown in capsys.readouterr().out


def test_it_is_read_by_one_parameter_of_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, CARD)
    assert main(["quote", "--rates", "-", "--calls", "-", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": "usage",
        "message": "--calls: standard input can be read only once; name a file instead of -",
    }


def test_messages_name_it_and_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, CARD + b"dialOut,,DE,USD,1\n")
    assert main(["rates", "check", "-"]) == 1
    assert capsys.readouterr().out == "standard input:3: prefix: must not be empty\n"
    given(monkeypatch, CALL.decode().encode("utf-16"))
    assert main(["quote", "--rates", "rates.csv", "--calls", "-"]) == 2
    assert capsys.readouterr().err == (
        "perminute: standard input: is UTF-16, not UTF-8; save the file as UTF-8\n"
    )


def test_a_file_of_that_name_is_read_by_its_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "-").write_bytes(CARD)
    assert main(["rates", "check", "./-"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("-: 1 rate, no fault")


def test_it_is_read_as_bytes_only() -> None:
    with pytest.raises(ValueError, match="as bytes"):
        StandardInput("standard input").open("r")
