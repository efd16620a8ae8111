"""Wrong command lines: each gets one clear message on standard error, and no traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from perminute_local.cli import main
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = {
    "rates.csv": (EXAMPLES / "day" / "rates.csv").read_bytes(),
    "calls.jsonl": (EXAMPLES / "command-line" / "calls.jsonl").read_bytes(),
    "users.json": (EXAMPLES / "command-line" / "graph-users.json").read_bytes(),
    "prices.csv": (EXAMPLES / "command-line" / "acs-prices.csv").read_bytes(),
    "empty": b"",
    "binary": bytes(range(128, 256)),
    "utf16": "leg_type,prefix\n".encode("utf-16"),
    "array.json": b'[{"legType": "dialOut"}]\n',
    "pstn.json": b'{"value": [{"id": "c-1", "callId": "c", "callType": "conf_in"}]}',
    "unauthorized.json": b'{"error": {"code": "InvalidAuthenticationToken", "message": "expired"}}',
    "deep.json": b"[" * 99_999,
}
CALL = "--leg-type dialOut --number +447700900123 --seconds 61"

IN_A_REGION = {
    "AWS_REGION": "eu-north-1",
    "AWS_DEFAULT_REGION": "eu-north-1",
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
}

WRONG = [
    # Words that are wrong.
    ("frobnicate", "No such command 'frobnicate'."),
    ("qoute", "No such command 'qoute'. Did you mean 'quote'?"),
    ("rates publsh", "No such command 'publsh'. Did you mean 'publish'?"),
    ("dlq lst", "No such command 'lst'. Did you mean 'list'?"),
    ("--verson", "No such option '--verson'. Did you mean '--version'?"),
    ("doctor --stak s", "No such option '--stak'. Did you mean '--stack'?"),
    ("quote --rates --at", "--rates: must name a file, and --at looks like an option"),
    ("rates check rates.csv rates.csv", "Got unexpected extra argument (rates.csv)"),
    ("doctor", "--stack is missing"),
    ("rates check", "FILE is missing"),
    ("rates convert prices.csv", "--from acs|acs-inbound|card|telnyx|twilio, --map"),
    ("dlq discard --stack s --queue CallsDeadLetters", "needs either --message ID for each"),
    ("dlq discard --stack s --queue CallsDeadLetters --all --message m", "needs either --message"),
    ("graph users.json", "--organization is missing"),
    ("completion", "SHELL is missing: one of bash, zsh"),
    # Values that are wrong.
    ("quote --rates rates.csv", "quote needs --leg-type, --number and --seconds, or --calls"),
    (f"quote --rates rates.csv {CALL} --leg-type DialOut", "Did you mean 'dialOut'?"),
    (f"quote --rates rates.csv {CALL} --number 447700900123", "--number: must be an E.164 number"),
    (f"quote --rates rates.csv {CALL} --number ''", "--number: must be an E.164 number"),
    (f"quote --rates rates.csv {CALL} --seconds 1.5", "--seconds: must be a whole number from 0"),
    (f"quote --rates rates.csv {CALL} --seconds 86401", "--seconds: must be a whole number from 0"),
    (f"quote --rates rates.csv {CALL} --at yesterday", "--at: must be an RFC 3339 time such as"),
    (f"quote --rates rates.csv {CALL} --at 2026-11-02T09:00:00", "--at: has no offset"),
    (f"quote --rates rates.csv {CALL} --at 2026-13-01T00:00:00Z", "--at: is not a time of any"),
    (f"quote --rates rates.csv {CALL} --currency usd", "--currency: must be an ISO 4217 code"),
    (f"quote --rates '' {CALL}", "--rates: must name a file, or be - for standard input"),
    ("quote --rates - --calls -", "--calls: standard input can be read only once"),
    (f"quote --rates rates.csv --calls calls.jsonl {CALL}", "--calls takes the place of"),
    ("rates convert --from ACS prices.csv", "--from: 'ACS' is none of acs, "),
    ("rates convert --from acs --origin 123 prices.csv", "--origin: must be an E.164 number"),
    ("rates publish rates.csv --bucket b-1 --version 'a b'", "--version: must be letters, digits"),
    ("rates publish rates.csv --version v", "needs either --stack NAME, or --bucket NAME"),
    ("directory publish d.csv --bucket b-1 --stack s --version v", "needs either --stack NAME"),
    ("rates publish rates.csv --bucket s3://b-1 --version v", "without s3:// before it"),
    (
        "rates correct --from 2026-11-02 --to 2026-11-01 --version v --stack s",
        "--to must lie after",
    ),
    (
        "rates correct --from 2026-11-31 --to 2026-12-01 --version v --stack s",
        "--from: is not a time",
    ),
    ("replay . --batch-size 0", "--batch-size: must be a whole number greater than 0"),
    ("replay . --duplicate 2 --seed 1", "--duplicate: must be a probability from 0 to 1"),
    ("replay . --shuffle", "--duplicate and --shuffle need a --seed"),
    ("simulate --seed 1.5", "--seed: '1.5' is not a valid integer."),
    ("simulate --faults throtle", "--faults must be all, none, or some of clock,"),
    ("simulate --faults throtle", "Did you mean 'throttle'?"),
    ("simulate --items 0-99999999999", "--items must be numbers of items and ranges of them"),
    ("simulate --items 5-3", "--items must be numbers of items"),
    (
        "simulate --over motto",
        "--over: 'motto' is none of twins, moto, adverse. Did you mean 'moto'",
    ),
    ("reconcile --stack s --status --organization o", "leave out --organization"),
    ("reconcile --stack s --organization ' o'", "--organization: must not begin or end with a"),
    ("reconcile --stack 'a b'", "--stack: 'a b' cannot be the name of a stack"),
    ("graph users.json --organization o --send", "--send needs a --stack to send to"),
    ("graph users.json --organization o --at now", "--at: must be an RFC 3339 time such as"),
    ("completion fish", "SHELL: 'fish' is none of bash, zsh."),
    # Names that are checked before AWS is asked, for which there is no region here.
    ("dlq list --stack s --queue Calls", "Did you mean 'CallsDeadLetters'?"),
    (
        "dlq redrive --stack s --queue UnknownEvents",
        "came from no queue; docs/runbook.md says what",
    ),
    # Files that are not there, or not what they should be.
    (f"quote --rates gone.csv {CALL}", "gone.csv: No such file or directory"),
    (f"quote --rates . {CALL}", ".: Is a directory"),
    (f"quote --rates empty {CALL}", "empty: "),
    (f"quote --rates binary {CALL}", "binary: "),
    (f"quote --rates utf16 {CALL}", "utf16: "),
    (f"quote --rates array.json {CALL}", "array.json: "),
    ("quote --rates rates.csv --calls gone.jsonl", "gone.jsonl: No such file or directory"),
    (
        "quote --rates rates.csv --calls utf16",
        "utf16: is UTF-16, not UTF-8; save the file as UTF-8",
    ),
    ("rates check gone.csv", "gone.csv: No such file or directory"),
    ("rates check .", ".: Is a directory"),
    ("rates convert --from acs gone.csv", "gone.csv: No such file or directory"),
    ("rates publish gone.csv --bucket b-1 --version v", "gone.csv: No such file or directory"),
    ("replay gone", "gone"),
    ("graph gone.json --organization o", "gone.json: No such file or directory"),
    ("graph . --organization o", ".: Is a directory"),
    ("graph empty --organization o", "empty: is empty; ask Graph for /users"),
    ("graph binary --organization o", "binary: line 1 is not UTF-8; save the file as UTF-8"),
    ("graph utf16 --organization o", "utf16: is UTF-16, not UTF-8; save the file as UTF-8"),
    ("graph prices.csv --organization o", "prices.csv: line 1: is not JSON: "),
    ("graph pstn.json --organization o", "pstn.json: item 1: these are call records, not users"),
    ("graph unauthorized.json --organization o", "is an error that Graph answered, no users"),
    ("graph deep.json --organization o", "deep.json: is not JSON of users"),
    # No region, and with one no credentials.
    ("doctor --stack s", "You must specify a region: set AWS_REGION to the region of the stack"),
    ("reconcile --stack s", "the books of s cannot be read: You must specify a region"),
    ("dlq list --stack s", "the dead letters of s cannot be reached: You must specify a region"),
    ("graph users.json --organization o --stack s", "s: You must specify a region"),
    (
        "rates publish rates.csv --bucket b-1 --version v",
        "Unable to locate credentials: set AWS_PR",
    ),
]


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of files, and neither credentials nor a region."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "PROFILE", "REGION", "DEFAULT_REGION"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    nothing = {name: str(tmp_path / "none") for name in ("SHARED_CREDENTIALS_FILE", "CONFIG_FILE")}
    with environment(
        AWS_EC2_METADATA_DISABLED="true", **{f"AWS_{name}": at for name, at in nothing.items()}
    ):
        yield
    boto3.DEFAULT_SESSION = None


def check(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said in one line for people and, with --json, in one document for programs."""
    assert main(shlex.split(line)) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    first, *_ = shown.err.splitlines()
    assert first.startswith("perminute: ")
    assert message in first
    assert main([*shlex.split(line), "--json"]) == 2
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert message in document["message"]
    assert shown.err.startswith(f"perminute: {document['message']}\n")


@pytest.mark.parametrize(("line", "message"), WRONG, ids=[line for line, _ in WRONG])
def test_a_wrong_command_line_gets_one_clear_message(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(line, message, capsys)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("doctor --stack nobodys", "Stack with id nobodys does not exist (asked in eu-north-1): "),
        (
            "dlq list --stack nobodys",
            "(asked in eu-north-1): check --stack (`local` is that of",
        ),
        (
            "reconcile --stack nobodys",
            "(asked in eu-north-1): check --stack (`local` is that of",
        ),
        ("doctor --stack lcoal", "check --stack (`local` is that of this machine), and AWS_REGION"),
        ("doctor --stack others", "others is not a stack of perminute"),
        ("dlq list --stack others", "others is not a stack of perminute: it has no dead letters"),
        ("reconcile --stack others", "others is not a stack of perminute: it has no output"),
        (
            "rates publish rates.csv --bucket nobodys --version v",
            "(asked in eu-north-1): check --bucket: it is the output RateCardBucketName",
        ),
    ],
)
def test_what_does_not_exist_is_named_with_the_region_that_was_asked(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    with environment(**IN_A_REGION), mock_aws():
        boto3.client("cloudformation").create_stack(
            StackName="others", TemplateBody=json.dumps(template)
        )
        check(line, message, capsys)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ExpiredToken", "the credentials have expired: sign in again"),
        ("InvalidClientTokenId", "AWS does not know these credentials: check AWS_PROFILE"),
        ("AccessDenied", "these credentials may not do that: ask for the permission"),
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "doctor --stack s",
        "reconcile --stack s",
        "dlq list --stack s",
        "graph users.json --organization o --stack s",
        "rates correct --from 2026-11-01 --to 2026-11-02 --version v --stack s",
    ],
)
def test_credentials_that_do_not_do_are_told_from_a_stack_that_does_not_exist(
    line: str,
    code: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Refusing:
        def describe_stacks(self, **_: str) -> None:
            error = {"Error": {"Code": code, "Message": "words of AWS"}}
            raise ClientError(error, "DescribeStacks")  # type: ignore[arg-type] # what AWS answers

    monkeypatch.setattr(boto3, "client", lambda _: Refusing())
    with environment(**IN_A_REGION):
        check(line, advice, capsys)


def test_an_option_without_its_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quote", "--json", "--rates"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "error": "usage",
        "message": "Option '--rates' requires an argument.",
    }


def test_a_profile_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with environment(AWS_PROFILE="nobodys"):
        check("doctor --stack s", "profile (nobodys) could not be found: check AWS_PROFILE", capsys)


def test_a_file_without_calls_is_said_to_have_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quote", "--rates", "rates.csv", "--calls", "empty", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["calls"] == []
    assert shown.err == "perminute: empty: there is no call in it\n"


def test_what_the_output_cannot_show_is_an_error(tmp_path: Path) -> None:
    deck = "Destination Name,Country,Prefix,Price / min\nRéunion,RE,262,0.015\n"
    (tmp_path / "deck.csv").write_text(deck, encoding="utf-8")
    command = ["-m", "perminute", "rates", "convert", "--from", "acs", str(tmp_path / "deck.csv")]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "perminute: ascii cannot write what is to be shown: set PYTHONUTF8=1\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "perminute", "rates", "check", str(tmp_path / "rates.csv")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, "perminute: No space left on device\n")
