"""What a replay says before it starts and after it has ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import phone_call

from perminute.application.check_books import BooksReport
from perminute.domain.rating.usage_record import Free, Outcome, Price, Reason, Usage
from perminute.domain.reconciliation.reconciliation import Difference
from perminute_local import embedded_aws
from perminute_local.cli import main
from perminute_local.replay import command
from perminute_local.replay.results import Rejected, Results

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = Path(__file__).parents[2] / "examples" / "day"
CARD = (DAY / "rates.csv").read_bytes()
EVENT = json.dumps({"id": "e-1", "source": "perminute.billing", "time": "2026-11-02T09:00:00Z"})
UNREAD = BooksReport("contoso", unavailable="the reason")
DIFFERENCE = Difference("contoso", "balance 1 is not 2")


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        (
            {},
            [
                "rates.csv: there is no such file; a replay needs the rate card that its calls "
                "cost by",
                "events.jsonl: there is no such file; a replay needs its events there, one a line, "
                "or call records in records/",
            ],
        ),
        (
            {"rates.csv": b"leg_type,prefix\n", "events.jsonl": b"[]"},
            [
                "rates.csv: the rate card is refused: 2 faults",
                "rates.csv:1: column currency is missing; there are: leg_type, prefix",
                "rates.csv:1: column rate_per_minute is missing; there are: leg_type, prefix",
                "events.jsonl:1: is a JSON array; write one event a line: jq -c '.[]'",
            ],
        ),
        (
            {"rates.csv": CARD, "events.jsonl": f"\n # all\n[\n{EVENT},\n{EVENT}\n]".encode()},
            ["events.jsonl:3: is a JSON array; write one event a line: jq -c '.[]'"],
        ),
        (
            {"rates.csv": CARD, "events.jsonl": f"[{EVENT}]".encode()},
            ["events.jsonl:1: is a JSON array; write one event a line: jq -c '.[]'"],
        ),
        (
            {"rates.csv": CARD, "events.jsonl": b'\xef\xbb\xbf{\n  "id": "e-1"\n}\n{\n}\n'},
            [
                "events.jsonl:1: is JSON that goes over several lines; write one event a line: "
                "jq -c ."
            ],
        ),
        (
            {"rates.csv": CARD, "events.jsonl": EVENT.encode("utf-16")},
            ["events.jsonl: is UTF-16, not UTF-8; save the file as UTF-8"],
        ),
    ],
)
def test_every_fault_of_a_folder_is_named_before_anything_starts(
    files: dict[str, bytes], faults: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert main(["replay", str(tmp_path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [f"{tmp_path}/{fault}" for fault in faults]
    if len(lines) > 1:
        lines.insert(0, f"{tmp_path}: cannot be replayed: 2 files are faulty")
    assert shown.err == "perminute: " + "".join(f"{line}\n" for line in lines)


def test_the_faults_of_a_folder_are_one_document_with_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rates.csv").write_bytes(CARD.replace(b",0.015,", b",cheap,", 1))
    assert main(["replay", str(tmp_path), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["error"] == "faultyFolder"
    assert [sorted(fault) for fault in document["faults"]] == [
        ["message"],
        ["line", "message"],
        ["message"],
    ]


@pytest.mark.parametrize(
    ("name", "what"),
    [("rates.csv", "is a file"), ("elsewhere", "does not exist")],
)
def test_what_is_no_folder_is_refused_as_that(
    name: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rates.csv").write_bytes(CARD)
    assert main(["replay", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err == (
        f"perminute: {tmp_path / name}: {what}; name a folder that holds rates.csv and "
        "events.jsonl\n"
    )


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Results], int]:
    """Run the command as if the replay had these results."""

    def run(results: Results) -> int:
        monkeypatch.setattr(embedded_aws, "interpreter", Path)
        monkeypatch.setattr(command, "_results", lambda *_, **__: results)
        return main(["replay", str(DAY), "--json"])

    return run


def results(
    *usages: Usage,
    rejected: list[Rejected] | None = None,
    differences: list[Difference] | None = None,
    unread: list[BooksReport] | None = None,
) -> Results:
    return Results(
        [],
        list(usages),
        [],
        rejected=rejected or [],
        differences=differences or [],
        unread=unread or [],
    )


def usage(outcome: Outcome, reason: Reason | None = None) -> Usage:
    return Usage(
        call=phone_call(),
        outcome=outcome,
        reason=reason,
        price=Price(rate_card_version="1"),
        charge_micros=0,
    )


CHARGED = usage(Outcome.CHARGED)
APP = usage(Outcome.FREE, Free.APP_JOIN)
POOLED = usage(Outcome.POOLED)


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (results(CHARGED, APP), 0, []),
        (results(CHARGED, differences=[DIFFERENCE]), 1, ["the books differ: 1 difference"]),
        (
            results(CHARGED, unread=[UNREAD]),
            1,
            ["the books could not be read: contoso: the reason"],
        ),
        (
            results(APP, APP, POOLED),
            0,
            ["no call was charged: 2 free (appJoin), 1 pooled"],
        ),
        (
            results(rejected=[Rejected("e-1", "why")]),
            0,
            ["no call was charged: none was recorded; 1 event was refused"],
        ),
    ],
)
def test_books_that_are_not_in_order_and_no_charge_at_all_are_said_on_standard_error(
    found: Results,
    code: int,
    said: list[str],
    replayed: Callable[[Results], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert replayed(found) == code
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert len(document["differences"]) == len(found.differences)
    assert document["unread"] == [books.organization_id for books in found.unread]
    assert shown.err.splitlines() == [f"perminute: {line}" for line in said]
