"""`perminute calls convert` and `perminute directory check`: what they write, where, and when."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from perminute_local.cli import main
from perminute_local.records import call_records

if TYPE_CHECKING:
    from pathlib import Path

RECORD = {
    "TransactionId": "t-1",
    "VoiceConnectorId": "connector",
    "Status": "Completed",
    "BillableDurationSeconds": 60,
    "SourcePhoneNumber": "+4930901820",
    "DestinationPhoneNumber": "+12065550100",
    "Direction": "Inbound",
    "StartTimeEpochSeconds": 1793696400,
    "EndTimeEpochSeconds": 1793696460,
}
DIRECTORY = """kind,key,organization_id,leg_type,organizer_id
tenant,connector,contoso,,
number,+12065550100,,tollDialIn,adele
"""


@pytest.fixture
def convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*records: dict[str, Any], options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        (tmp_path / "directory.csv").write_text(DIRECTORY)
        (tmp_path / "file").write_text("\n".join(map(json.dumps, records)))
        source = ["calls", "convert", "--from", "chime-voice-connector", *options]
        code = main(
            [*source, "--directory", str(tmp_path / "directory.csv"), str(tmp_path / "file")]
        )
        shown = capsys.readouterr()
        return code, shown.out, shown.err.replace(f"{tmp_path}/", "")

    return run


def test_each_call_is_an_event_on_a_line_that_is_the_same_each_time(convert: Any) -> None:
    code, out, err = convert(RECORD)
    assert code == 0
    event = json.loads(out)
    assert event["time"] == event["detail"]["endedAt"] == "2026-11-03T09:01:00Z"
    assert (event["source"], event["detail-type"]) == ("perminute.telephony", "Call Ended")
    assert err == "1 record: 1 call, 0 skipped, 0 problems\n"
    assert convert(RECORD)[1] == out
    other = json.loads(convert({**RECORD, "BillableDurationSeconds": 61})[1])
    assert other["id"] != event["id"]


@pytest.mark.parametrize(
    ("large", "is_terminal", "is_shown"),
    [(1, True, True), (1, False, False), (call_records.LARGE_BYTES, True, False)],
)
def test_how_much_of_large_files_is_read_is_shown_on_a_terminal_and_is_no_data(
    convert: Any,
    monkeypatch: pytest.MonkeyPatch,
    large: int,
    is_terminal: bool,  # noqa: FBT001 - a parameter of the test
    is_shown: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    _, alone, _ = convert(RECORD, {**RECORD, "TransactionId": ""})
    monkeypatch.setattr(call_records, "LARGE_BYTES", large)
    monkeypatch.setattr(call_records, "Console", partial(Console, force_terminal=is_terminal))
    _, out, err = convert(RECORD, {**RECORD, "TransactionId": ""})
    assert out == alone
    assert ("\x1b[" in err) is is_shown
    assert "TransactionId: is missing" in err
    assert "2 records: 1 call, 1 skipped (1 notACallRecord), 0 problems" in err


def test_a_record_that_is_read_twice_is_told_apart_from_one_that_was_changed(convert: Any) -> None:
    text = {**RECORD, "BillableDurationSeconds": "60.0"}
    changed = {**RECORD, "BillableDurationSeconds": 61}
    code, out, err = convert(RECORD, text, changed)
    assert (code, len(out.splitlines())) == (1, 1)
    assert err.splitlines()[-1] == (
        "3 records: 1 call, 1 skipped (1 duplicate), 1 problem (1 conflict)"
    )
    assert err.startswith("file:3: conflict: the call was read before, and differs")


def test_as_json_it_is_one_document_even_without_calls(convert: Any) -> None:
    code, out, _ = convert({**RECORD, "IsProxyCall": True}, options=("--json",))
    assert code == 0
    (skipped,) = json.loads(out).pop("skipped")
    assert skipped["reason"] == "proxyCall"
    assert json.loads(out) == {"events": [], "skipped": [skipped], "problems": []}


def test_a_token_that_is_not_set_and_a_zone_that_does_not_exist_are_wrong_calls(
    convert: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    code, _, err = convert(RECORD, options=("--auth-token-env", "TOKEN"))
    assert code == 2
    assert "--auth-token-env: the environment variable TOKEN is not set" in err
    code, _, err = convert(RECORD, options=("--timezone", "Europe/Atlantis"))
    assert code == 2
    assert "'Europe/Atlantis' is not a time zone" in err


def test_a_file_that_is_missing_is_told_before_anything_is_written(
    convert: Any, tmp_path: Path
) -> None:
    code, out, err = convert(RECORD, options=(str(tmp_path / "missing"),))
    assert (code, out) == (2, "")
    assert "missing: No such file or directory" in err


def test_a_faulty_directory_is_refused_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "directory.csv"
    path.write_text("kind,key\nnumber,5\n")
    assert main(["directory", "check", str(path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["valid"], document["rows"]) == (False, 0)
    assert [fault["line"] for fault in document["faults"]] == [2, 2]

    assert main(["directory", "check", str(path)]) == 1
    assert f"{path}:2: leg_type: must not be empty" in capsys.readouterr().out

    code = main(["calls", "convert", "--from", "chime-sma", "--directory", str(path), str(path)])
    assert code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{path}: the directory is refused: 2 faults" in shown.err
    assert f"{path}:2: leg_type: must not be empty" in shown.err


def test_a_directory_without_fault_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "directory.csv"
    path.write_text(DIRECTORY)
    assert main(["directory", "check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: 2 rows, no fault\n"
