"""Commands that show reports: what they ask a stack for, and what they say if it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from report_stack import AS_OF, refuse, stack_that

from perminute_local.cli import main

CONTOSO = ["--stack", "s", "--organization", "contoso"]
NOVEMBER = ["--from", "2026-11-01", "--to", "2026-12-01"]
USAGE = ["usage", *CONTOSO, *NOVEMBER]
FIGURES = {
    "calls": 2,
    "connectedSeconds": 1_190,
    "billedSeconds": 1_230,
    "poolMinutes": 0,
    "charge": "1234.5",
    "retailCost": "1234.5",
}
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
        (["--from", "1 November"], "--from: must be an RFC 3339 time such as "),
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
            {"error": "tooLarge", "message": "the answer has more than 6 MB: ask for fewer days"},
            "usage",
            "the answer has more than 6 MB: ask for fewer days",
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
    assert "it has no output ReadReportsFunctionName" in capsys.readouterr().err


def test_what_cannot_be_answered_just_now_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([{"error": "unavailable", "message": "send it again"}, NO_USAGE])
    stack = stack_that(monkeypatch, lambda _: next(answers))
    assert main([*USAGE, "--json"]) == 0
    assert len(stack.asked) == 2
    assert json.loads(capsys.readouterr().out) == NO_USAGE
