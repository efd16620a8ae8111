"""docs/sources.md: its commands make of the examples what is written beside these."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute_local.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
VARIABLES = dict(re.findall(r"^\$ export (\w+)=(.*)$", PAGE, re.MULTILINE))
COMMANDS = sorted(set(re.findall(r"^\$ perminute (calls convert .*)$", PAGE, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[3])
def test_each_record_becomes_what_is_expected(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    words = shlex.split(command)
    folder = next(path for path in Path(words[-1]).parents if (path / "expected.jsonl").exists())
    lines = (folder / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    expected = [json.loads(line) for line in lines]

    code = main([*words, "--json"])

    made = json.loads(capsys.readouterr().out)
    assert [event["detail"] for event in made["events"]] == of_kind(expected, "callEnded")
    assert reasons(made["skipped"]) == of_kind(expected, "skipped")
    assert reasons(made["problems"]) == of_kind(expected, "problem")
    assert len(expected) == sum(map(len, made.values())), "no record vanishes"
    assert code == bool(made["problems"])
    for event in made["events"]:
        ended_call(read_event(json.dumps(event), TELEPHONY))


def of_kind(expected: list[dict[str, Any]], kind: str) -> list[Any]:
    return [entry[kind] for entry in expected if kind in entry]


def reasons(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["reason"] for entry in entries]
