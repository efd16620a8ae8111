"""Errors of the command line: a line that says what helps, and a document for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore import exceptions as aws
from botocore.exceptions import ClientError

from perminute.domain.errors import Fault, FaultyRateCard, Unavailable
from perminute_local import doctor
from perminute_local.cli import main
from perminute_local.deployment import reason

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "leg_type,prefix,country,currency,rate_per_minute\n"


@pytest.mark.parametrize(
    ("words", "document"),
    [
        (
            ["quote", "--rates", "gone.csv", "--calls", "calls.jsonl", "--json"],
            {"error": "file", "message": "gone.csv: No such file or directory"},
        ),
        (
            ["quote", "--json", "--rates", "rates.csv"],
            {
                "error": "usage",
                "message": "quote needs --leg-type, --number and --seconds, or --calls",
            },
        ),
        (
            ["quote", "--rates", "rates.csv", "--seconds", "1.5", "--json"],
            {
                "error": "usage",
                "message": "--seconds: must be a whole number from 0 to 86400 (24 h)",
            },
        ),
        (
            ["quote", "--rates", "faulty.csv", "--calls", "calls.jsonl", "--json"],
            {
                "error": "faultyRateCard",
                "message": "faulty.csv: the rate card is refused: 1 fault",
                "faults": [{"line": 2, "message": "prefix: must not be empty"}],
            },
        ),
    ],
)
def test_an_error_is_one_document_with_json_and_the_same_line_for_people(
    words: list[str],
    document: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rates.csv").write_text(f"{HEADER}dialOut,49,DE,USD,1\n")
    (tmp_path / "faulty.csv").write_text(f"{HEADER}dialOut,,DE,USD,1\n")
    assert main(words) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out) == document
    assert shown.err.startswith(f"perminute: {document['message']}\n")
    assert main([word for word in words if word != "--json"]) == 2
    plain = capsys.readouterr()
    assert (plain.out, plain.err) == ("", shown.err)


def test_an_error_in_the_first_word_is_a_document_as_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--json", "quote"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["error"] == "usage"
    assert document["message"].startswith("No such option '--json'")


def test_a_word_after_two_dashes_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rates", "check", "--", "--json"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "perminute: --json: No such file or directory\n")


def refused(code: str, operation: str, message: str = "words of AWS") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (aws.NoCredentialsError(), "locate credentials: set AWS_PROFILE"),
        (aws.NoRegionError(), "You must specify a region: set AWS_REGION"),
        (aws.ProfileNotFound(profile="x"), "config profile (x) could not be found: check AWS_PRO"),
        (
            aws.SSOTokenLoadError(error_msg="gone"),
            "gone: sign in again, such as by `aws sso login`",
        ),
        (aws.EndpointConnectionError(endpoint_url="https://sqs.x"), 'https://sqs.x": check the'),
        (refused("ExpiredToken", "DescribeStacks"), "the credentials have expired: sign in again"),
        (refused("InvalidClientTokenId", "DescribeStacks"), "AWS does not know these credentials"),
        (refused("AccessDenied", "DescribeStacks"), "these credentials may not do that: ask"),
        (
            refused("ValidationError", "DescribeStacks", "Stack with id x does not exist"),
            "Stack with id x does not exist (asked in eu-north-1): check --stack (`local` is",
        ),
        (refused("NoSuchBucket", "PutObject"), "(asked in eu-north-1): check --bucket"),
    ],
)
def test_what_aws_refuses_comes_with_what_helps(
    error: Exception, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    assert advice in reason(error)
    wrapped = Unavailable(f"reading the table: {error}")
    wrapped.__cause__ = error
    assert reason(wrapped) == f"reading the table: {reason(error)}"


def test_the_region_is_that_of_the_variable_that_all_sdks_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    assert main(["--version"]) == 0
    assert boto3.session.Session().region_name == "eu-north-1"


def test_what_aws_refuses_where_nobody_expected_it_is_no_traceback_either(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise aws.NoCredentialsError

    monkeypatch.setattr(doctor, "run_doctor", fail)
    assert main(["doctor", "--stack", "s", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": "aws",
        "message": "Unable to locate credentials: set AWS_PROFILE, or sign in by `aws configure` "
        "or `aws sso login`",
    }


def test_a_faulty_card_of_which_nobody_knows_the_file_has_its_faults_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise FaultyRateCard([Fault(2, "prefix: must not be empty")])

    monkeypatch.setattr(doctor, "run_doctor", fail)
    assert main(["doctor", "--stack", "s", "--json"]) == 2
    shown = capsys.readouterr()
    assert json.loads(shown.out)["faults"] == [{"line": 2, "message": "prefix: must not be empty"}]
    assert shown.err.endswith("the file:2: prefix: must not be empty\n")


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_doctor", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["doctor", "--stack", "s"])
