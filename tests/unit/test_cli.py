from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from perminute.adapters.rate_card_bucket import POINTER_KEY
from perminute.formats.compiled_rate_card import compile_rate_card
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.cli import main
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "leg_type,prefix,country,currency,rate_per_minute,connection_fee,blocked"
CARD = f"""{HEADER}
dialOut,49,DE,USD,0.015,0.01,
dialOut,449,GB,USD,,,true
dialOut,33,FR,EUR,0.02,,
"""
AWS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "rates.csv"
    path.write_text(CARD)
    return path


def quote(card: Path, number: str, *options: str) -> list[str]:
    return [
        "quote",
        *("--rates", str(card)),
        *("--leg-type", "dialOut"),
        *("--number", number),
        *("--seconds", "61"),
        *("--at", "2026-11-02T10:00:00+01:00"),
        *options,
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["graph", "users.json", "--organization", "contoso "],
        ["reconcile", "--stack", "perminute", "--organization", " contoso"],
    ],
)
def test_an_organization_with_a_space_around_it_is_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    assert "--organization: must not begin or end with a space" in capsys.readouterr().err


def test_a_quote_says_what_a_call_would_cost_and_why(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quote(card, "+493023125042", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == {
        "legType": "dialOut",
        "number": "+493023125042",
        "seconds": 61,
        "at": "2026-11-02T09:00:00Z",
        "prefix": "49",
        "country": "DE",
        "ratePerMinute": "0.015",
        "connectionFee": "0.01",
        "billedSeconds": 120,
        "charge": "0.04",
        "currency": "USD",
    }
    assert main(quote(card, "+493023125042")) == 0
    assert capsys.readouterr().out == (
        "+493023125042: 0.04 USD (120 s billed at 0.015 a minute, connection fee 0.01, prefix 49)\n"
    )


@pytest.mark.parametrize(
    ("number", "error", "message", "prefix"),
    [
        ("+881612345678", "noRate", "no dialOut prefix of the card matches the number", None),
        ("+449098790100", "blockedNumber", "the card blocks prefix 449", "449"),
    ],
)
def test_a_number_without_a_price_is_a_no(  # noqa: PLR0913, PLR0917 - an example with its fixtures
    number: str,
    error: str,
    message: str,
    prefix: str | None,
    card: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(quote(card, number, "--json")) == 1
    assert json.loads(capsys.readouterr().out) == {
        "error": error,
        "message": message,
        "legType": "dialOut",
        "number": number,
        "seconds": 61,
        "at": "2026-11-02T09:00:00Z",
        "prefix": prefix,
    }


def test_a_price_in_another_currency_than_asked_for_is_a_no(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quote(card, "+33199001234", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["currency"] == "EUR"
    assert main(quote(card, "+33199001234", "--currency", "EUR", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["charge"] == "0.04"
    assert main(quote(card, "+33199001234", "--currency", "USD", "--json")) == 1
    assert json.loads(capsys.readouterr().out) == {
        "error": "currencyMismatch",
        "message": "the card prices prefix 33 in EUR",
        "legType": "dialOut",
        "number": "+33199001234",
        "seconds": 61,
        "at": "2026-11-02T09:00:00Z",
        "prefix": "33",
        "currency": "EUR",
    }
    assert main(quote(card, "+33199001234", "--currency", "USD")) == 1
    assert capsys.readouterr().out == (
        "+33199001234: currencyMismatch: the card prices prefix 33 in EUR\n"
    )
    # What is blocked or has no rate is so in every currency.
    assert main(quote(card, "+449098790100", "--currency", "EUR", "--json")) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "blockedNumber"


def test_a_currency_that_does_not_exist_is_a_wrong_call(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quote(card, "+33199001234", "--currency", "UDS")) == 2
    assert "--currency: must be an ISO 4217 code" in capsys.readouterr().err


def test_a_file_of_calls_is_priced_in_one_currency_if_that_is_asked_for(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calls_file(tmp_path, call("+4930234567"), call("+33199001234"))
    main(["quote", "--rates", str(card), "--calls", path, "--currency", "USD", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert [a.get("error") for a in document["calls"]] == [None, "currencyMismatch"]
    assert (document["totals"], document["currency"]) == ({"USD": "0.04"}, "USD")


def calls_file(folder: Path, *calls: object) -> str:
    path = folder / "calls.jsonl"
    path.write_text("\n".join(c if isinstance(c, str) else json.dumps(c) for c in calls))
    return str(path)


def call(number: str, **changed: Any) -> dict[str, Any]:
    sound = {"legType": "dialOut", "seconds": 61, "at": "2026-11-02T09:00:00Z"}
    return {**sound, "number": number, **changed}


def test_seconds_may_have_a_fraction_of_zero(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quote(card, "+493023125042", "--seconds", "61.0", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["seconds"] == 61
    path = calls_file(tmp_path, call("+493023125042", seconds=61.0))
    assert main(["quote", "--rates", str(card), "--calls", str(path), "--json"]) == 0
    assert [call["seconds"] for call in json.loads(capsys.readouterr().out)["calls"]] == [61]


def test_a_file_of_calls_is_priced_in_order_and_no_call_stops_the_others(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calls_file(
        tmp_path, call("+4930234567"), "# a comment", "", call("+88234567"), call("+4931234567")
    )
    assert main(["quote", "--rates", str(card), "--calls", path, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    answers = [(a["number"], a.get("charge"), a.get("error")) for a in document["calls"]]
    assert answers == [
        ("+4930234567", "0.04", None),
        ("+88234567", None, "noRate"),
        ("+4931234567", "0.04", None),
    ]
    assert (document["total"], document["currency"]) == ("0.08", "USD")
    assert main(["quote", "--rates", str(card), "--calls", path]) == 1
    assert capsys.readouterr().out.endswith("total 0.08 USD\n")


def test_totals_never_mix_currencies(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calls_file(tmp_path, call("+4930234567"), call("+3310234567"))
    assert main(["quote", "--rates", str(card), "--calls", path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["total"], document["currency"]) == (None, None)
    assert document["totals"] == {"EUR": "0.04", "USD": "0.04"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "calls.jsonl:2: invalid: is not JSON"),
        ("[]", "calls.jsonl:2: invalid: must be a JSON object"),
        ("[" * 99_999, "calls.jsonl:2: invalid: is not JSON"),
        (b"\xff".decode("latin-1"), "calls.jsonl:2: invalid: is not JSON"),
        (call("0049"), "calls.jsonl:2: invalid: number: must be an E.164 number"),
        (
            call("+49234567", seconds=-1),
            "calls.jsonl:2: invalid: seconds: must be a whole number from 0",
        ),
        (
            call("+49234567", seconds=61.5),
            "calls.jsonl:2: invalid: seconds: must be a whole number from 0",
        ),
        (
            call("+49234567", seconds=True),
            "calls.jsonl:2: invalid: seconds: must be a whole number from 0",
        ),
        (
            call("+49234567", legType="app"),
            "calls.jsonl:2: invalid: legType: must be one of tollDialIn",
        ),
        (
            call("+49234567", at="2026-11-02"),
            "calls.jsonl:2: invalid: at: must be an RFC 3339 time",
        ),
        ({"number": "+49234567"}, "calls.jsonl:2: invalid: legType is required"),
    ],
)
def test_a_call_that_is_wrong_is_named_by_its_line(
    line: object, why: str, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = calls_file(tmp_path, call("+4930234567"), line)
    assert main(["quote", "--rates", str(card), "--calls", path]) == 1
    _, answer, total = capsys.readouterr().out.splitlines()
    assert why in answer
    assert total == "total 0.04 USD"
    assert main(["quote", "--rates", str(card), "--calls", path, "--json"]) == 1
    _, wrong = json.loads(capsys.readouterr().out)["calls"]
    message = wrong.pop("message")
    assert wrong == {"error": "invalid", "line": 2}
    assert answer == f"{path}:2: invalid: {message}"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--number", "0049"], "perminute: --number: must be an E.164 number"),
        (["--seconds", "-1"], "perminute: --seconds: must be a whole number"),
        (["--seconds", "61.5"], "perminute: --seconds: must be a whole number"),
        (["--seconds", "86401"], "perminute: --seconds: must be a whole number"),
        (["--at", "2026-11-02T09:00:00"], "perminute: --at: has no offset"),
        (
            ["--leg-type", "app"],
            "perminute: --leg-type: 'app' is none of tollDialIn, tollFreeDialIn",
        ),
        (["--rates", "gone.csv"], "perminute: gone.csv: No such file or directory"),
        (["--calls", "c.jsonl"], "--calls takes the place of --leg-type"),
    ],
)
def test_a_wrong_call_says_what_is_wrong_and_exits_with_2(
    options: list[str], why: str, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(quote(card, "+4930234567", *options)) == 2
    assert why in capsys.readouterr().err


def test_a_quote_needs_a_call(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quote", "--rates", str(card), "--number", "+4930234567"]) == 2
    assert "quote needs --leg-type, --number and --seconds, or --calls" in capsys.readouterr().err


def test_a_faulty_card_is_checked_fault_by_fault_and_used_for_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faulty.csv"
    path.write_text(f"{HEADER}\ndialOut,49,DE,USD,x,,\ndialOut,,DE,USD,1,,\n")
    assert main(["rates", "check", str(path), "--json"]) == 1
    faults = [
        {
            "line": 2,
            "message": "rate_per_minute: must be a decimal string with at most 6 decimals, "
            "such as 0.026",
        },
        {"line": 3, "message": "prefix: must not be empty"},
    ]
    assert json.loads(capsys.readouterr().out) == {
        "valid": False,
        "rates": 0,
        "faults": faults,
        "warnings": [],
    }
    assert main(["rates", "check", str(path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:{fault['line']}: {fault['message']}" for fault in faults
    ]
    assert main(quote(path, "+4930234567")) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"perminute: {path}: the rate card is refused: 2 faults",
        *(f"{path}:{fault['line']}: {fault['message']}" for fault in faults),
    ]


def test_a_sound_card_is_counted(card: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card.write_text(f"{HEADER}\ndialOut,999,XA,USD,0.1,,\n")
    assert main(["rates", "check", str(card), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "valid": True,
        "rates": 1,
        "faults": [],
        "warnings": [],
    }
    assert main(["rates", "check", str(card)]) == 0
    assert capsys.readouterr().out == f"{card}: 1 rate, no fault\n"


def test_what_hardly_anybody_means_is_a_warning_and_no_fault(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card.write_text(f"{HEADER}\ndialOut,999,XA,USD,0.1,,\ndialOut,9991,,USD,0.1,,\n")
    assert main(["rates", "check", str(card), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (warning,) = document.pop("warnings")
    assert document == {"valid": True, "rates": 2, "faults": []}
    assert warning.keys() == {"line", "message"}
    assert main(["rates", "check", str(card)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{card}:3: warning: {warning['message']}",
        f"{card}: 2 rates, no fault, 1 warning",
    ]


def test_convert_blocks_what_check_then_does_not_warn_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck, converted = tmp_path / "deck.csv", tmp_path / "rates.csv"
    deck.write_text(
        "Destination Name,Destination Type,Country,Prefix,Price / min\n"
        "Australia,landline,AU,61,0.02\n"
    )
    convert = ["rates", "convert", "--from", "acs", str(deck)]
    for options, kinds in (([], 4), (["--block-premium"], 0)):
        assert main([*convert, *options]) == 0
        converted.write_text(capsys.readouterr().out)
        assert main(["rates", "check", str(converted), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["warnings"]) == kinds
    assert main(quote(converted, "+611900123456", "--json")) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "blockedNumber"


def test_publishing_puts_the_card_under_its_version_and_points_at_it_once(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish = ["rates", "publish", str(card), "--bucket", "the-cards", "--version", "2026-11"]
    with environment(**AWS), mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="the-cards")
        assert main(publish) == 0
        assert s3.get_object(Bucket="the-cards", Key="rate-cards/2026-11.csv")["Body"].read() == (
            CARD.encode()
        )
        pointer = json.loads(s3.get_object(Bucket="the-cards", Key=POINTER_KEY)["Body"].read())
        assert pointer == {
            "version": "2026-11",
            "key": "rate-cards/2026-11.csv",
            "digest": hashlib.sha256(CARD.encode()).hexdigest(),
            "compiled": {
                "key": "rate-cards/2026-11.compiled-1",
                "digest": hashlib.sha256(
                    compile_rate_card(read_rate_card(CARD.encode()).rates)
                ).hexdigest(),
            },
        }
        own = s3.get_object(Bucket="the-cards", Key="rate-cards/pointers/2026-11.json")
        assert json.loads(own["Body"].read()) == pointer
        assert main(publish) == 0
        card.write_text(CARD.replace("0.015", "0.016"))
        assert main(publish) == 2
        assert main([*publish[:4], "nowhere", *publish[5:]]) == 2
        assert main([*publish[:-1], "a/b c"]) == 2
    written = capsys.readouterr()
    assert "version 2026-11 in the-cards is another card" in written.err
    assert "s3://nowhere cannot be written" in written.err
    assert "--version: must be letters, digits, dots and dashes" in written.err


def test_publishing_without_credentials_says_so(
    card: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(card.parent / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(card.parent / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    publish = ["rates", "publish", str(card), "--bucket", "the-cards", "--version", "2026-11"]
    assert main(publish) == 2
    assert capsys.readouterr().err == (
        "perminute: s3://the-cards cannot be written: Unable to locate credentials: "
        "set AWS_PROFILE, or sign in by `aws configure` or `aws sso login`\n"
    )


def test_an_interrupted_command_ends_without_a_traceback(
    card: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("perminute_local.rates.quotes.load_rate_card", interrupt)
    assert main(quote(card, "+4930234567")) == 130
    assert capsys.readouterr().err == "perminute: interrupted\n"


def test_the_package_runs_as_a_module_too(card: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "perminute", "rates", "check", str(card)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].startswith(f"{card}: 3 rates, no fault")


def test_what_is_converted_or_published_is_one_document_with_json(
    card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deck = tmp_path / "deck.csv"
    deck.write_text("Destination Name,Country,Prefix,Price / min\nGermany,DE,49,0.015\n")
    assert main(["rates", "convert", "--from", "acs", str(deck)]) == 0
    converted = capsys.readouterr().out
    assert main(["rates", "convert", "--from", "acs", str(deck), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["rates"], document["card"]) == (1, converted)
    with environment(**AWS), mock_aws():
        boto3.client("s3").create_bucket(Bucket="the-cards")
        publish = ["rates", "publish", str(card), "--bucket", "the-cards", "--version", "2026-11"]
        assert main([*publish, "--json"]) == 0
    published = json.loads(capsys.readouterr().out)
    assert {name: published[name] for name in ("bucket", "key", "version", "rates")} == {
        "bucket": "the-cards",
        "key": "rate-cards/2026-11.csv",
        "version": "2026-11",
        "rates": 3,
    }
