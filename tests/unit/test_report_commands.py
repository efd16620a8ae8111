"""Commands that show reports: what they ask a stack for, and what they say if it fails."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from report_answers import FIGURES, answers, call
from report_stack import AS_OF, refuse, stack_that

from perminute.domain.values.times import format_instant
from perminute_local.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

CONTOSO = ["--stack", "s", "--organization", "contoso"]
NOVEMBER = ["--from", "2026-11-01", "--to", "2026-12-01"]
USAGE = ["usage", *CONTOSO, *NOVEMBER]
NO_USAGE = {
    "asOf": AS_OF,
    "currency": "USD",
    "groupBy": [],
    "rows": [],
    "total": FIGURES,
    "mayChange": [],
    "omits": ["free"],
}


def test_a_report_is_asked_for_by_the_parameters_of_the_api(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = stack_that(monkeypatch, lambda _: NO_USAGE)
    groups = ["--group-by", "day,organizerId", "--group-by", "legType", "--group-by", "day"]
    filters = ["--leg-type", "dialOut", "--organizer-id", "adele", "--outcome", "charged"]
    assert main([*USAGE, *groups, *filters, "--json"]) == 0
    assert stack.asked == [
        {
            "operation": "usage",
            "organizationId": "contoso",
            "from": "2026-11-01",
            "to": "2026-12-01",
            "groupBy": ["day", "organizerId", "legType"],
            "legType": "dialOut",
            "organizerId": "adele",
            "outcome": "charged",
        }
    ]
    assert json.loads(capsys.readouterr().out) == NO_USAGE


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--group-by", "organizerID"], "--group-by: 'organizerID' is none of day, organizerId, "),
        (
            ["--from", "1 November"],
            "--from: '1 November' is not a date or time; write it as 2026-11-",
        ),
        (
            ["--to", "2026-11-31"],
            "--to: '2026-11-31' is not a date or time; write it as 2026-11-02 ",
        ),
        (["--country", "UK"], "--country: "),
        (["--outcome", "free"], "--outcome: 'free' is none of charged, pooled, "),
    ],
)
def test_a_value_that_no_report_has_is_refused_before_the_stack_is_asked(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*USAGE, *words]) == 2
    assert capsys.readouterr().err.startswith(f"perminute: {message}")


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            {"error": "invalid", "message": "groupBy.1: must be another one"},
            "usage",
            "--group-by: must be another one",
        ),
        (
            {"error": "invalid", "message": "answer: would have 6.5 MB; ask for fewer days"},
            "usage",
            "the answer: would have 6.5 MB; ask for fewer days",
        ),
        (
            {"error": "invalid", "message": "organizationId: must not be empty"},
            "usage",
            "--organization: must not be empty",
        ),
        (
            {"error": "notFound", "message": "there is no report usage; there are x, y"},
            "aws",
            "the report usage of contoso was not made: there is no report usage; there are x, y",
        ),
        (
            {"error": "unavailable", "message": "send it again"},
            "aws",
            "the report usage of contoso was not made: send it again",
        ),
        (
            {"errorMessage": "Task timed out after 28.00 seconds"},
            "aws",
            "the report usage of contoso was not made: Task timed out after 28.00 seconds: "
            "ask for a shorter period",
        ),
        (
            {"errorMessage": "'NoneType' object"},
            "aws",
            "the report usage of contoso was not made: 'NoneType' object: "
            "see the log of its function",
        ),
    ],
)
def test_a_report_that_is_refused_or_fails_is_one_message(
    answer: dict[str, Any],
    kind: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stack_that(monkeypatch, lambda _: answer)
    assert main([*USAGE, "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": kind, "message": message}


def test_who_may_not_invoke_the_function_reads_what_to_ask_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "User: x is not authorized to perform: lambda:InvokeFunction on resource: reports"
    stack_that(monkeypatch, lambda _: refuse("AccessDeniedException", words))
    assert main(USAGE) == 2
    message = capsys.readouterr().err
    assert message.startswith("perminute: the report usage of contoso cannot be read from s: ")
    assert "lambda:InvokeFunction on resource: reports (asked in " in message
    assert message.endswith("ask for the permission, or set another AWS_PROFILE\n")


def test_a_stack_without_reports_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_that(monkeypatch, lambda _: NO_USAGE).outputs.clear()
    assert main(USAGE) == 2
    assert "it has no output ReadReportsFunctionArn" in capsys.readouterr().err


def test_what_cannot_be_answered_just_now_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([{"error": "unavailable", "message": "send it again"}, NO_USAGE])
    stack = stack_that(monkeypatch, lambda _: next(answers))
    assert main([*USAGE, "--json"]) == 0
    assert len(stack.asked) == 2
    assert json.loads(capsys.readouterr().out) == NO_USAGE


def call_of(number: int) -> dict[str, Any]:
    return call(f"c-{number}", organizerId="=adele")


def pages_of(count: int) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A listing of so many calls; another one is charged between two pages."""

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        begin = int(asked.get("cursor", 0))
        end = begin + asked["limit"]
        return {
            "asOf": {**AS_OF, "at": f"2026-11-02T18:00:{begin % 60:02d}Z"},
            "calls": [call_of(number) for number in range(begin, min(end, count))],
            "next": str(end) if end < count else None,
            "omits": ["free"],
        }

    return answer


CALLS = ["calls", *CONTOSO, *NOVEMBER]


def test_json_contains_the_calls_of_all_pages_as_of_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = stack_that(monkeypatch, pages_of(450))
    assert main([*CALLS, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "asOf": {**AS_OF, "at": "2026-11-02T18:00:00Z"},
        "calls": [call_of(number) for number in range(450)],
        "next": None,
        "omits": ["free"],
    }
    assert [(asked.get("cursor"), asked["limit"]) for asked in stack.asked] == [
        (None, 200),
        ("200", 200),
        ("400", 200),
    ]


def test_a_listing_can_be_continued_after_so_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = stack_that(monkeypatch, pages_of(450))
    assert main([*CALLS, "--json", "--limit", "203", "--cursor", "7"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["callId"] for one in document["calls"]] == [f"c-{n}" for n in range(7, 210)]
    assert document["next"] == "210"
    assert [asked["limit"] for asked in stack.asked] == [200, 3]


def test_pages_that_are_short_or_empty_are_not_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {None: [], "a": [call_of(1)], "b": []}
    following = {None: "a", "a": "b", "b": None}

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        cursor = asked.get("cursor")
        return {"asOf": AS_OF, "calls": found[cursor], "next": following[cursor], "omits": []}

    stack_that(monkeypatch, answer)
    assert main([*CALLS, "--json"]) == 0
    assert [one["callId"] for one in json.loads(capsys.readouterr().out)["calls"]] == ["c-1"]


def test_a_table_has_the_last_fifty_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_that(monkeypatch, pages_of(51))
    assert main(CALLS) == 0
    shown = capsys.readouterr().out
    assert "c-49" in shown
    assert "c-50" not in shown
    assert "These are the last 50: --limit N shows more, --csv writes all.\n" in shown


def test_half_a_listing_is_not_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        if "cursor" in asked:
            return {"errorMessage": "Task timed out after 28.00 seconds"}
        return pages_of(450)(asked)

    stack_that(monkeypatch, answer)
    assert main([*CALLS, "--csv"]) == 2
    assert capsys.readouterr().out == ""


def test_csv_opens_in_spreadsheets_which_compute_nothing(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stack_that(monkeypatch, pages_of(1))
    assert main([*CALLS, "--csv"]) == 0
    shown = capfdbinary.readouterr()
    assert shown.out.decode("utf-8").split("\r\n") == [
        "\ufeffendedAt,answeredAt,callId,meetingId,organizerId,legType,number,country,prefix,"
        "connectedSeconds,billedSeconds,poolMinutes,ratePerMinute,connectionFee,retailCost,charge,"
        "currency,outcome,reason,flags,entries,revision",
        "2026-11-02T15:10:00Z,2026-11-02T15:00:00Z,c-0,c-0,'=adele,dialOut,+447700900123,GB,44,"
        "581,600,0,0.32,0,3.2,3.2,USD,charged,,rerated; overdrawn,000000000002; 000000000007,1",
        "",
    ]
    assert shown.err.decode() == "As of 2026-11-02 18:00:00 UTC (version 412).\n"


def test_a_call_that_is_not_known_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {"error": "notFound", "message": "callId: there is no such call"}
    stack = stack_that(monkeypatch, lambda _: document)
    assert main(["explain", "c-1", *CONTOSO, "--json"]) == 1
    shown = capsys.readouterr()
    assert json.loads(shown.out) == document
    assert shown.err == "perminute: CALL: there is no such call\n"
    assert stack.asked == [
        {"operation": "explanation", "organizationId": "contoso", "callId": "c-1"}
    ]


@pytest.mark.parametrize("sources", [[], ["--stack", "s", "--replay", "examples/day"]])
def test_a_report_is_of_a_stack_or_of_a_folder(
    sources: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["balance", "--organization", "contoso", *sources]) == 2
    message = "needs either --stack NAME, or --replay DIR for a folder of events, and not both"
    assert capsys.readouterr().err == f"perminute: {message}\n"


STATEMENT = ["statement", *CONTOSO, "--month", "2026-11"]


def test_a_report_has_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*STATEMENT, "--format", "html", "--csv"]) == 2
    message = "--format html and --csv name two forms; leave out one"
    assert capsys.readouterr().err == f"perminute: {message}\n"


def test_a_line_of_the_ledger_names_its_currency(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stack_that(monkeypatch, lambda _: answers("po-1")["ledger"])
    assert main(["ledger", *CONTOSO, "--month", "2026-11", "--csv"]) == 0
    assert capfdbinary.readouterr().out.decode("utf-8-sig").splitlines() == [
        "entryId,at,type,amount,balanceAfter,currency,cause,description,lots,calls",
        "000000000001,2026-11-01T08:00:00.5Z,purchase,1000,1000,USD,po-1,Purchase po-1,"
        "po-1 1000,po-1",
    ]


@pytest.mark.parametrize(
    ("words", "report", "lines"),
    [
        (
            ["balance"],
            "overview",
            ["purchaseId,expiresAt,remaining,currency", "'=1,2027-10-30T09:01:00Z,1,USD"],
        ),
        (
            ["explain", "c-1"],
            "explanation",
            [
                "entryId,at,type,amount,currency,cause,before",
                "000000000066,2026-11-02T15:30:00Z,adjustment,-9.625,USD,'=1,"
                "outcome notEntitled; reason noCreditsLicense",
            ],
        ),
        (
            ["license-advice", "--price", "4"],
            "license-advice",
            [
                "user,from,to,saves,currency,monthsAgreeing",
                "'=1,subscription,payPerMinute,1.5,USD,2",
            ],
        ),
        (
            ["what-if", "--month", "2026-11", "--pool", "60"],
            "what-if",
            [
                "organizerId,calls,recorded,whatIf,difference,currency",
                "'=1,2,3.5,2,-1.5,USD",
            ],
        ),
    ],
)
def test_of_each_report_without_a_listing_one_list_is_rows(
    words: list[str],
    report: str,
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    stack_that(monkeypatch, lambda _: answers("=1")[report])
    assert main([*words, *CONTOSO, "--csv"]) == 0
    assert capfdbinary.readouterr().out.decode("utf-8-sig").splitlines() == lines


@pytest.mark.parametrize("words", [["--csv"], ["--format", "csv"]])
def test_the_function_itself_writes_a_statement_as_csv(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    written = "\ufeffentry,at\r\n000000000001,2026-11-01T08:00:00Z\r\n"
    stack = stack_that(monkeypatch, lambda _: {"asOf": AS_OF, "csv": written})
    assert main([*STATEMENT, "--basis", "stated", *words]) == 0
    assert capfdbinary.readouterr().out.decode("utf-8") == written
    assert stack.asked == [
        {
            "operation": "statement",
            "organizationId": "contoso",
            "month": "2026-11",
            "basis": "stated",
            "format": "csv",
        }
    ]


def test_the_export_of_a_month_is_csv_without_being_asked_for(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stack_that(monkeypatch, lambda _: {"asOf": AS_OF, "csv": "\ufeffUsageId\r\n"})
    assert main(["pstn-usage", *CONTOSO, "--month", "2026-11"]) == 0
    assert capfdbinary.readouterr().out.decode("utf-8") == "\ufeffUsageId\r\n"


def test_what_does_not_agree_with_what_is_recorded_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = {"asOf": AS_OF, "callId": "c-1", "sentences": [], "agrees": True}
    stack_that(monkeypatch, lambda _: document)
    assert main(["explain", "c-1", *CONTOSO]) == 0
    document["agrees"] = False
    assert main(["explain", "c-1", *CONTOSO]) == 1


def test_an_export_that_is_too_large_is_read_in_parts_of_one_state(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    ends = [datetime(2026, 11, 2, 15, second, tzinfo=UTC) for second in range(5)]

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        since, until = asked.get("from", "2026-11-01"), asked.get("to", "2026-12-01")
        found = [n for n, at in enumerate(ends) if since <= format_instant(at) < until]
        if len(found) > 2:
            return {"error": "tooLarge", "message": "ask for parts"}
        # Each part is answered later, when more was charged.
        as_of = {**AS_OF, "version": asked.get("version", 400 + len(stack.asked))}
        rows = "".join(f"{number},{as_of['version']}\r\n" for number in found)
        return {"asOf": as_of, "csv": f"\ufeffUsageId,version\r\n{rows}"}

    stack = stack_that(monkeypatch, answer)
    assert main(["pstn-usage", *CONTOSO, "--month", "2026-11"]) == 0
    first, *rows = capfdbinary.readouterr().out.decode().splitlines()
    assert first == "\ufeffUsageId,version"
    (version,) = {row.partition(",")[2] for row in rows}
    assert rows == [f"{number},{version}" for number in range(5)]


def test_an_instant_with_more_calls_than_an_answer_may_have_ends_the_search(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stack_that(monkeypatch, lambda _: {"error": "tooLarge", "message": "ask for parts"})
    assert main(["pstn-usage", *CONTOSO, "--month", "2026-11"]) == 2
    assert capsys.readouterr().err == (
        "perminute: the report pstn-usage of contoso was not made: ask for parts\n"
    )


def test_retail_costs_in_other_currencies_have_a_column_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    others = {"otherRetailCosts": {"EUR": "2.5", "GBP": "1"}}
    total: dict[str, Any] = {**FIGURES, **others}
    rows = [{"country": "IT", **total}, {"country": None, **FIGURES}]
    answer = {**NO_USAGE, "groupBy": ["country"], "rows": rows, "total": total}
    stack_that(monkeypatch, lambda _: answer)
    assert main([*USAGE, "--group-by", "country", "--csv"]) == 0
    assert capfdbinary.readouterr().out.decode("utf-8-sig").splitlines() == [
        "country,calls,connectedSeconds,billedSeconds,poolMinutes,charge,retailCost,"
        "currency,otherRetailCosts",
        "IT,2,1190,1230,0,1234.5,1234.5,USD,EUR 2.5; GBP 1",
        ",2,1190,1230,0,1234.5,1234.5,USD,",
    ]
