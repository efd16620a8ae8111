"""`perminute graph` against a stack: what it writes, what it sends, and that it comes to rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.results import Accepted
from perminute.application.retry import RetryPolicy
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event
from perminute_local import microsoft_graph
from perminute_local.cli import main
from perminute_local.replay.results import drain
from perminute_local.replay.run import table_names
from perminute_local.sending import EventSender
from perminute_local.stack import STACK_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.stack import Stack

E5, E3 = "06ebc4ee-1bb5-47dd-8120-11324bc54e06", "6fd2c87f-b296-42f0-b197-1e91e994b900"
AT = ["--at", "2026-11-24T06:00:00Z"]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    users = [
        {"id": "adele", "usageLocation": "US", "assignedLicenses": [{"skuId": E5}]},
        {"id": "bob", "usageLocation": None, "assignedLicenses": [{"skuId": E3}]},
    ]
    file = tmp_path / "users.json"
    file.write_text(json.dumps({"value": users}))
    return file


def take_in(stack: Stack, lines: list[str]) -> None:
    store = DynamoDBLicensingStore(Tables.bind(connect(), table_names(stack)))
    events = [licensing_event(read_event(line, LICENSING)) for line in lines]
    results = ApplyLicensing(store, RetryPolicy())(events)
    assert results == [Accepted(None)] * len(lines)


def test_events_are_one_document_with_json(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["graph", str(export), "--organization", "contoso", *AT]
    assert main(command) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "users": 2,
        "sent": False,
        "events": events,
        "problems": [],
        "nextPages": [],
    }


def test_without_a_stack_all_that_graph_says_is_news(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["graph", str(export), "--organization", "contoso", *AT]) == 0
    shown = capsys.readouterr()
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert [(e["detail-type"], e["detail"]["userId"], e["time"]) for e in events] == [
        ("License Assigned", "adele", "2026-11-24T06:00:00Z"),
        ("User Changed", "adele", "2026-11-24T06:00:00Z"),
    ]
    assert shown.err == (
        "2 users compared, 2 events written; 1 other product brings no license that we know of\n"
        "what a product brings is certain only with assignedPlans; ask Graph for "
        "/users?$select=id,assignedLicenses,assignedPlans,usageLocation\n"
    )


def test_what_the_stack_knows_is_left_out(
    ministack_stack: Stack, organization: str, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["graph", str(export), "--organization", organization, "--stack", STACK_NAME, *AT]
    assert main(call) == 0
    take_in(ministack_stack, capsys.readouterr().out.splitlines())
    assert main(call) == 0
    assert capsys.readouterr().out == ""
    gone = [{"id": "adele", "usageLocation": "", "assignedLicenses": []}]
    export.write_text(json.dumps(gone))
    assert main([*call[:-1], "2026-11-25T06:00:00Z"]) == 1
    shown = capsys.readouterr()
    (removed,) = map(json.loads, shown.out.splitlines())
    assert (removed["detail-type"], removed["detail"]["license"]) == ("License Removed", "SPE_E5")
    assert "user adele: usageLocation is empty, and US stays" in shown.err


def test_events_reach_the_queue_over_the_bus_with_their_change_ids(
    ministack_stack: Stack, organization: str, export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["graph", str(export), "--organization", organization, "--stack", STACK_NAME, *AT]
    main(call)
    written = [json.loads(line)["detail"] for line in capsys.readouterr().out.splitlines()]
    assert main([*call, "--send"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err.partition(";")[0]) == ("", "2 users compared, 2 events sent")
    queue = ministack_stack.queues["LicensingQueue"].url
    sent = [json.loads(message["Body"]) for message in drain(queue)]
    assert sorted((event["detail"] for event in sent), key=str) == sorted(written, key=str)


def test_events_that_the_bus_refused_are_problems_and_not_all_is_sent(
    export: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Bus:
        def put_events(self, *, Entries: list[Any]) -> Any:  # noqa: N803 - as boto3 has it
            refused = {"ErrorCode": "MalformedDetail", "ErrorMessage": "no"}
            return {"FailedEntryCount": 1, "Entries": [{"EventId": "e-1"}, refused][: len(Entries)]}

    monkeypatch.setattr(microsoft_graph, "_held", lambda *_: {})
    monkeypatch.setattr(microsoft_graph, "sender_to", lambda name: EventSender(Bus(), name))
    call = ["graph", str(export), "--organization", "contoso", "--stack", "any", *AT]
    assert main([*call, "--send", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["sent"] is False
    assert len(document["problems"]) == 1


def test_an_export_of_powershell_is_read_and_other_bytes_are_refused(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["graph", str(export), "--organization", "contoso", *AT]
    export.write_bytes(b"\xef\xbb\xbf" + export.read_bytes())
    assert main(call) == 0
    capsys.readouterr()
    export.write_text(export.read_text(encoding="utf-8-sig"), encoding="utf-16")
    assert main(call) == 2
    said = f"perminute: {export}: is UTF-16, not UTF-8; save the file as UTF-8\n"
    assert capsys.readouterr().err == said
    export.write_bytes(b'[\n{"id": "Andr\xe9"}]')
    assert main(call) == 2
    said = f"perminute: {export}: line 2 is not UTF-8; save the file as UTF-8\n"
    assert capsys.readouterr().err == said


def test_a_page_that_was_not_fetched_is_named(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = "https://graph.microsoft.com/v1.0/users?$skiptoken=abc"
    export.write_text(json.dumps({**json.loads(export.read_text()), "@odata.nextLink": link}))
    assert main(["graph", str(export), "--organization", "contoso", *AT]) == 0
    assert capsys.readouterr().err.endswith(
        f"{export}: the page has a next one, which was not compared: {link}\n"
    )


def test_what_is_wrong_with_the_call_or_the_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "users.json"
    file.write_text('[{"usageLocation": "DE"}]')
    assert main(["graph", str(file), "--organization", "contoso"]) == 2
    assert capsys.readouterr().err == f"perminute: {file}: item 1 id: field required\n"
    assert main(["graph", str(file), "--organization", "contoso", "--send"]) == 2
    assert capsys.readouterr().err == "perminute: --send needs a --stack to send to\n"


@pytest.mark.usefixtures("ministack_stack")
def test_a_stack_without_the_queue_is_named(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    boto3.client("cloudformation").create_stack(
        StackName="no-queues", TemplateBody=json.dumps(other)
    )
    call = ["graph", str(export), "--organization", "contoso", "--stack", "no-queues"]
    assert main(call) == 2
    assert "no-queues is not a stack of perminute: it has no output" in capsys.readouterr().err
