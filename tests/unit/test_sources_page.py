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
from perminute.sources.registry import SOURCES
from perminute_local.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
VARIABLES = dict(re.findall(r"^\$ export (\w+)=(.*)$", PAGE, re.MULTILINE))
COMMAND = r"^\$ perminute (calls convert .*)\n"
SHOWN = dict(re.findall(rf"{COMMAND}((?:[^`$].*\n)+)```", PAGE, re.MULTILINE))
COPY = re.compile(rf"```csv\n([^`]*)```\n\n```console\n(?:\$ export .*\n)?{COMMAND}", re.MULTILINE)
COPIED = COPY.findall(PAGE)
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

    written = capsys.readouterr()
    made = json.loads(written.out)
    assert written.err == SHOWN[command]
    assert [event["detail"] for event in made["events"]] == of_kind(expected, "callEnded")
    assert reasons(made["skipped"]) == of_kind(expected, "skipped")
    assert reasons(made["problems"]) == of_kind(expected, "problem")
    assert len(expected) == sum(map(len, made.values())), "no record vanishes"
    assert code == bool(made["problems"])
    for event in made["events"]:
        ended_call(read_event(json.dumps(event), TELEPHONY))


@pytest.mark.parametrize(("rows", "command"), COPIED, ids=lambda text: text.split()[-1])
def test_a_directory_to_copy_is_enough_for_calls_of_its_source(
    rows: str,
    command: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    directory = tmp_path / "directory.csv"
    directory.write_text(rows)
    words = shlex.split(command)
    words[words.index("--directory") + 1] = str(directory)

    main([*words, "--json"])

    details = [event["detail"] for event in json.loads(capsys.readouterr().out)["events"]]
    assert {"tollDialIn", "tollFreeDialIn"} & {detail["legType"] for detail in details}


def test_a_directory_to_copy_is_there_for_each_source_or_another_one_of_its_shape() -> None:
    sources = {command.split()[3] for _, command in COPIED}
    assert set(SOURCES) - sources == {"teams-csv", "twilio-event-stream", "asterisk-ami"}


def test_the_event_that_is_shown_is_made_by_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    main(shlex.split(next(one for one in COMMANDS if "chime-sma" in one)))
    assert capsys.readouterr().out.startswith(shown)


def of_kind(expected: list[dict[str, Any]], kind: str) -> list[Any]:
    return [entry[kind] for entry in expected if kind in entry]


def reasons(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["reason"] for entry in entries]
