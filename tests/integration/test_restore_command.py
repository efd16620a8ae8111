"""`perminute restore` on moto: the tables are what they were, and all events may be sent again."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from charging import System, sample

from perminute_local.cli import main
from perminute_local.replay.results import collect
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from perminute_local.stack import Stack

COPIES = {kind: f"copy-of-{kind}" for kind in ("credit", "usage", "licensing", "events")}
COMMAND = ["restore", "--stack", STACK_NAME]
COMMAND += [word for kind, copy in COPIES.items() for word in (f"--{kind}-copy", copy)]


def call(number: int, **changed: Any) -> tuple[str, str]:
    return "CallsQueue", sample("call-ended", callId=f"call-{number}", **changed)


def purchase(number: int) -> tuple[str, str]:
    return "CreditQueue", sample("credit-purchased", purchaseId=f"po-{number}")


def license_of(number: int, name: str) -> tuple[str, str]:
    event = json.loads(sample(name))
    detail = {**event["detail"], "changeId": f"hr-{number}"}
    return "LicensingQueue", json.dumps({**event, "id": f"e-{number}", "detail": detail})


BEFORE = [call(1), purchase(1), call(2)]
AFTER = [call(3), license_of(1, "user-changed"), purchase(2), call(4), call(2), call(5)]


@pytest.fixture
def system(ready_stack: Stack) -> System:
    system = System(ready_stack)
    deliver(system, BEFORE)
    return system


def deliver(system: System, events: list[tuple[str, str]]) -> None:
    """Send each event by itself, as the bus does."""
    for queue, body in events:
        system.send(queue, body)


def copy_tables(system: System) -> None:
    """Do what a restore to this time makes: tables with the same keys and items."""
    client: Any = boto3.client("dynamodb")
    for kind, table in table_names(system.stack)._asdict().items():
        said = client.describe_table(TableName=table)["Table"]
        names = {key["AttributeName"] for key in said["KeySchema"]}
        client.create_table(
            TableName=COPIES[kind],
            KeySchema=said["KeySchema"],
            AttributeDefinitions=[
                one for one in said["AttributeDefinitions"] if one["AttributeName"] in names
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        for item in items(table):
            client.put_item(TableName=COPIES[kind], Item=item)


def items(table: str) -> list[Any]:
    client: Any = boto3.client("dynamodb")
    found: list[Any] = client.scan(TableName=table)["Items"]
    return found


def stored(system: System) -> dict[str, list[str]]:
    return {
        kind: sorted(json.dumps(item, sort_keys=True, default=repr) for item in items(table))
        for kind, table in table_names(system.stack)._asdict().items()
    }


def books(system: System) -> Any:
    """All that a replay shows, without what was refused; there may be no difference."""
    document = collect(table_names(system.stack), system.stack, [], lambda _: {}).document()
    assert document["differences"] == []
    del document["rejected"]
    return document


def test_tables_are_what_their_copies_are_and_only_if_told_to(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_tables(system)
    before = stored(system)
    deliver(system, AFTER)
    usage = table_names(system.stack).usage
    lost = next(item for item in items(usage) if item["callId"]["S"] == "call-1")
    client: Any = boto3.client("dynamodb")
    key = {name: lost[name] for name in ("organizationId", "callId")}
    client.delete_item(TableName=usage, Key=key)
    after = stored(system)
    assert main(COMMAND) == 0
    shown = capsys.readouterr()
    assert "usage              1 to put         3 to delete\n" in shown.out
    assert shown.err == "nothing is written; the same command with --yes writes it\n"
    assert stored(system) == after
    assert main([*COMMAND, "--yes"]) == 0
    capsys.readouterr()
    assert stored(system) == before
    assert main([*COMMAND, "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [(one["put"], one["deleted"]) for one in tables] == [(0, 0)] * 5


def test_how_far_books_were_checked_is_forgotten(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the night would go on in books of another second."""
    copy_tables(system)
    client: Any = boto3.client("dynamodb")
    checks = system.stack.setting("BOOK_CHECKS_TABLE")
    client.put_item(TableName=checks, Item={"organizationId": {"S": "contoso"}})
    assert main(COMMAND) == 0
    assert "checks             0 to put         1 to delete\n" in capsys.readouterr().out
    assert len(items(checks)) == 1
    assert main([*COMMAND, "--yes"]) == 0
    assert items(checks) == []


@pytest.mark.parametrize("seed", [None, 1])
def test_all_events_may_be_sent_again_and_only_what_was_lost_takes_effect(
    system: System, seed: int | None
) -> None:
    copy_tables(system)
    deliver(system, AFTER)
    whole = books(system)
    assert main([*COMMAND, "--yes"]) == 0
    assert books(system) != whole
    again = [*BEFORE, *AFTER]
    if seed is None:
        deliver(system, again)
        assert books(system) == whole
    else:
        # An archive keeps no order: entries may have others, but not what anything costs.
        random.Random(seed).shuffle(again)
        deliver(system, again + again)
        anew = books(system)
        assert anew["organizations"] == whole["organizations"]
        by_id = [sorted(one["calls"], key=lambda call: call["callId"]) for one in (anew, whole)]
        assert by_id[0] == by_id[1]


def test_a_copy_that_is_none_is_refused(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    copy_tables(system)
    own = table_names(system.stack).credit
    assert main([*COMMAND[:4], own, *COMMAND[5:]]) == 2
    assert f"--credit-copy: {own} is a table of the stack itself" in capsys.readouterr().err
    assert main([*COMMAND[:4], COPIES["events"], *COMMAND[5:]]) == 2
    assert "--credit-copy: copy-of-events has other keys than" in capsys.readouterr().err
    # Also the last one is looked at before anything is written.
    assert main([*COMMAND[:-1], "nowhere", "--yes"]) == 2
    assert "--events-copy: nowhere cannot be read: " in capsys.readouterr().err
