"""Files that Windows programs have saved are read, or refused in plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perminute_local.cli import main
from perminute_local.replay.plan import Events
from perminute_local.user_input import read_text

DAY = Path(__file__).parents[2] / "examples" / "day"
EVENT = json.dumps({"id": "e-1", "source": "perminute.billing", "time": "2026-11-02T09:00:00Z"})


@pytest.mark.parametrize("first", ["# a comment\n", "", "\n"])
def test_events_may_begin_with_a_byte_order_mark(tmp_path: Path, first: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(first + EVENT, encoding="utf-8-sig")
    (event,) = Events(file)
    assert event.event_id == "e-1"


CALL = '{"legType":"dialOut","number":"+493023125042","seconds":61,"at":"2026-11-02T09:00:00Z"}'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_calls_in_utf_16_are_refused_by_the_name_of_the_encoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], encoding: str, as_json: list[str]
) -> None:
    rates, file = DAY / "rates.csv", tmp_path / "calls.jsonl"
    file.write_text(CALL, encoding=encoding)
    assert main(["quote", "--rates", str(rates), "--calls", str(file), *as_json]) == 2
    shown = capsys.readouterr()
    message = f"{file}: is UTF-16, not UTF-8; save the file as UTF-8"
    assert json.loads(shown.out or "null") == (
        {"error": "file", "message": message} if as_json else None
    )
    assert shown.err == f"perminute: {message}\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_events_in_utf_16_are_refused_before_anything_starts(
    tmp_path: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    file = tmp_path / "events.jsonl"
    file.write_text(EVENT, encoding=encoding)
    assert main(["replay", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"perminute: {file}: is UTF-16, not UTF-8; save the file as UTF-8\n"


def test_text_is_read_without_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "users.json"
    file.write_text("[]", encoding="utf-8-sig")
    assert read_text(file) == "[]"
    file.write_bytes(b"")
    assert read_text(file) == ""
