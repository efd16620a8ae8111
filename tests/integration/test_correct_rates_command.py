"""`perminute rates correct` against a stack on moto."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from builders import ANSWERED
from stores import stores_on
from wrong_rates import SUBSCRIBER, TO_BRITAIN, WrongRates

from perminute_local.cli import main
from perminute_local.rates.publishing import PreparedCard, publish
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack

HEADER = "leg_type,prefix,country,currency,rate_per_minute\n"
WRONG = f"{HEADER}dialOut,49,DE,USD,0.15\ndialOut,44,GB,USD,0.02\n"
RIGHT = f"{HEADER}dialOut,49,DE,USD,0.015\ndialOut,44,GB,USD,0.02\n"
NOVEMBER = ["--from", "2026-11-01", "--to", "2026-12-01"]
COMMAND = ["rates", "correct", *NOVEMBER, "--version", "right", "--stack", STACK_NAME]
CONTOSO = {
    "organizationId": "contoso",
    "currency": "USD",
    "calls": 3,
    "differing": 2,
    "priced": 0,
    "unpriced": 0,
    "charge": "3.2",
    "corrected": "0.5",
    "difference": "-2.7",
    "pools": [],
}
FABRIKAM = {
    **CONTOSO,
    "organizationId": "fabrikam",
    "calls": 1,
    "differing": 1,
    "charge": "1.5",
    "corrected": "0.15",
    "difference": "-1.35",
}


@pytest.fixture
def worlds(moto_stack: Stack) -> tuple[WrongRates, ...]:
    """Three organizations, one of which made no call; the right card is published by now."""
    bucket, s3 = moto_stack.setting("RATE_CARD_BUCKET"), boto3.client("s3")
    for version, content in (("wrong", WRONG), ("right", RIGHT)):
        publish(s3, bucket, PreparedCard.of(content.encode(), version))
    stores = stores_on(table_names(moto_stack))
    names = ("contoso", "fabrikam", "quiet")
    contoso, fabrikam, quiet = (WrongRates(stores, organization=name) for name in names)
    contoso.charge(
        contoso.call("first", ANSWERED),
        contoso.call("second", ANSWERED + timedelta(hours=1)),
        contoso.call("priced-alike", ANSWERED, **TO_BRITAIN),
        contoso.call("december", ANSWERED + timedelta(days=40)),
    )
    fabrikam.charge(fabrikam.call("first", ANSWERED))
    return contoso, fabrikam, quiet


@pytest.fixture
def contoso(worlds: tuple[WrongRates, ...]) -> WrongRates:
    return worlds[0]


def test_it_shows_what_differs_and_books_it_only_if_told_to(
    contoso: WrongRates, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(COMMAND) == 0
    shown = capsys.readouterr()
    assert shown.out == (
        "organization  calls  differing  charge  right  difference  currency\n"
        "contoso           3          2     3.2    0.5        -2.7  USD\n"
        "fabrikam          1          1     1.5   0.15       -1.35  USD\n"
    )
    assert shown.err == "nothing is booked; the same command with --yes books it\n"
    assert contoso.balance_micros == 95_300_000
    assert main([*COMMAND, "--yes"]) == 0
    booked = capsys.readouterr()
    assert (booked.out, booked.err) == (shown.out, "booked\n")
    assert contoso.balance_micros == 98_000_000
    assert contoso.differences() == ()


def test_the_same_as_json_and_a_second_run_changes_nothing(
    contoso: WrongRates, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {
        "version": "right",
        "from": "2026-11-01T00:00:00Z",
        "to": "2026-12-01T00:00:00Z",
        "booked": True,
        "organizations": [CONTOSO, FABRIKAM],
        "failed": [],
    }
    assert main([*COMMAND, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == document
    version = contoso.stores.credit.account("contoso").version
    assert main([*COMMAND, "--yes", "--json"]) == 0
    none = {"differing": 0, "difference": "0"}
    assert json.loads(capsys.readouterr().out)["organizations"] == [
        {**CONTOSO, **none, "charge": "0.5"},
        {**FABRIKAM, **none, "charge": "0.15"},
    ]
    assert contoso.stores.credit.account("contoso").version == version


def test_only_some_organizations_and_a_part_of_a_day(
    contoso: WrongRates, capsys: pytest.CaptureFixture[str]
) -> None:
    hour = ["--from", "2026-11-02T09:00:00Z", "--to", "2026-11-02T11:00:00+01:00"]
    command = ["rates", "correct", *hour, "--version", "right", "--stack", STACK_NAME, "--json"]
    assert main([*command, "--organization", "contoso", "--organization", "quiet", "--yes"]) == 0
    found = json.loads(capsys.readouterr().out)["organizations"]
    assert [(one["organizationId"], one["calls"]) for one in found] == [
        ("contoso", 2),
        ("quiet", 0),
    ]
    changed = {u.call.call_id for u in contoso.usages().values() if u.adjustments}
    assert changed == {"first"}


def test_pools_that_must_be_settled_and_prices_lost_are_named(
    moto_stack: Stack, contoso: WrongRates, capsys: pytest.CaptureFixture[str]
) -> None:
    contoso.charge(contoso.call("pooled", ANSWERED, organizer_id=SUBSCRIBER))
    content = f"{HEADER}dialOut,44,GB,USD,0.02\n".encode()
    bucket = moto_stack.setting("RATE_CARD_BUCKET")
    publish(boto3.client("s3"), bucket, PreparedCard.of(content, "without-germany"))
    command = [*COMMAND, "--version", "without-germany", "--organization", "contoso"]
    assert main(command) == 0
    assert capsys.readouterr().err.splitlines() == [
        "contoso: calls begin or cease to draw on the minute pool of 2026-11. What they and later "
        "calls get of it is settled within minutes after the booking, and is not in these figures",
        "contoso: 0 calls get a price, 3 lose theirs",
        "nothing is booked; the same command with --yes books it",
    ]


@pytest.mark.usefixtures("worlds")
def test_an_organization_that_cannot_be_read_does_not_stop_the_others(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = {"organizationId": {"S": "contoso"}, "callId": {"S": "first"}}
    table = table_names(moto_stack).usage
    boto3.client("dynamodb").delete_item(TableName=table, Key=usage)
    assert main([*COMMAND, "--yes", "--json"]) == 1
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["organizations"] == [FABRIKAM]
    why = "call first of contoso is listed, but has no usage record"
    assert document["failed"] == [{"organizationId": "contoso", "reason": why}]
    assert f"contoso: stopped: {why}. Run the command again: it goes on from there" in shown.err


@pytest.mark.usefixtures("worlds")
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (["--version", "rihgt"], "--version: the rate card rihgt cannot be used: s3://"),
        (["--version", "rihgt"], "Publish the right card first: perminute rates publish FILE"),
        (["--to", "2026-11-01"], "--to must lie after --from: calls answered at --to are not"),
        (["--organization", "contsoo"], "contsoo has no account: check --organization"),
        (["--stack", "nowhere"], "nowhere cannot be read: "),
    ],
)
def test_a_wrong_call_is_named(
    changed: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--yes", *changed]) == 2
    shown = capsys.readouterr()
    assert why in shown.err
    assert shown.out == ""


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--from", "November"]) == 2
    assert "perminute: --from: must be an RFC 3339 time such as" in capsys.readouterr().err
