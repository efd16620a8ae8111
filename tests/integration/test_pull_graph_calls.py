"""Graph's calls by their own function, and charged by that of calls, on moto."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import pytest
from botocore.client import BaseClient
from graph_stub import CLIENT_ID, CLIENT_SECRET, Answer, GraphStub, Question
from graph_stub import graph_stub as serve
from log_lines import logged
from pulled_calls import NUMBER_ROW, TENANT, TENANT_ROW, Published, directory, row

from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.aws import AwsResources
from perminute.domain.errors import Refused, Unavailable
from perminute.sources.convert import convert
from perminute.sources.outcomes import Leg
from perminute.sources.registry import SOURCES
from perminute.sources.stated_call import InputFile, SourceOptions
from perminute_local.embedded_aws import environment
from perminute_local.records.call_records import event_of
from perminute_local.replay.lambda_runtime import Context, LoadedFunction, SQSMessage, load_module
from perminute_local.replay.run import publish_rate_card
from perminute_local.stack import QueueTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack, Template

ROOT = Path(__file__).parents[2]
BUCKET = "records-of-a-test"
RUN = {"time": "2026-11-05T03:10:00Z"}
OTHER = "9b1d3e6a-0c44-4f7c-8f1e-2a5d7c9e1b20"


class Deployed:
    """The function that pulls, and the one that charges."""

    def __init__(self, stack: Stack) -> None:
        (charging,) = (
            function
            for function in stack.functions
            if any(
                isinstance(trigger, QueueTrigger) and trigger.queue == "CallsQueue"
                for trigger in function.triggers
            )
        )
        self._charging = LoadedFunction(charging)
        self._environment = {
            **charging.environment,
            "RECORDS_BUCKET": BUCKET,
            "GRAPH_SECRET": "graph",
            "GRAPH_COSTS": "compared",
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        self._handler = load_module("pull_graph_calls.handler", self._environment).handler
        self.counts: dict[str, int] = {}
        self.s3 = boto3.client("s3")

    def name_of(self, table: str) -> str:
        return self._environment[table]

    def pull(self, event: Any = RUN) -> dict[str, int]:
        """Run the function, and return what it counted, also in `counts` if it fails."""
        context = Context(function_name="pull", invoked_function_arn="arn:aws:lambda:r:1:f:pull")
        out = StringIO()
        try:
            with environment(**self._environment), redirect_stdout(out):
                self._handler(event, context)
        finally:
            lines = [json.loads(line) for line in out.getvalue().splitlines()]
            self.counts = {
                name: value[0]
                for line in lines
                for name, value in line.items()
                if name.startswith(("Graph", "Records", "Secrets"))
            }
        return self.counts

    def files(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            stored["Key"]: self.s3.get_object(Bucket=BUCKET, Key=stored["Key"])["Body"].read()
            for stored in listed
            if not stored["Key"].startswith("state/")
        }

    def charge(self, source: str, content: bytes) -> int:
        """Have the calls of a file charged, and return how many these are."""
        file = InputFile("file", BytesIO(content))
        options = SourceOptions(tenant=TENANT)
        outcomes = convert(SOURCES[source], [file], directory(TENANT_ROW, NUMBER_ROW), options)
        legs = [outcome.result for outcome in outcomes if isinstance(outcome.result, Leg)]
        messages = [SQSMessage(json.dumps(event_of(leg, source))) for leg in legs]
        queue = "arn:aws:sqs:us-east-1:123456789012:calls"
        assert self._charging.invoke(messages, queue) == []
        return len(legs)

    def usages(self) -> list[dict[str, Any]]:
        table = self._environment["USAGE_TABLE"]
        items: list[dict[str, Any]] = boto3.client("dynamodb").scan(TableName=table)["Items"]
        return sorted(items, key=lambda item: item["callId"]["S"])

    def notified(self, kind: str) -> list[dict[str, Any]]:
        """Return the notifications of a kind that wait in the outbox."""
        table = self._environment["CREDIT_TABLE"]
        items = boto3.client("dynamodb").scan(TableName=table)["Items"]
        outbox = [item for item in items if item["record"]["S"].startswith("outbox#")]
        documents = [one for item in outbox for one in documents_in(item)]
        return [one for one in documents if one["type"] == kind]


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    published = Published(directory(TENANT_ROW, NUMBER_ROW))
    monkeypatch.setattr(AwsResources, "directories", lambda _: published, raising=False)
    return published


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[GraphStub]:
    with serve(monkeypatch) as stub:
        stub.routes["/v1.0/communications/callRecords/getPstnCalls"] = lambda _: stub.page([])
        yield stub


def store_secret(*tenants: str) -> None:
    entries = [
        {"tenant": tenant, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
        for tenant in tenants
    ]
    client = boto3.client("secretsmanager")
    client.create_secret(Name="graph", SecretString=json.dumps(entries))


@pytest.fixture
def deployed(moto_stack: Stack, published: Published, stub: GraphStub) -> Deployed:
    del published, stub
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    publish_rate_card((ROOT / "examples" / "day" / "rates.csv").read_bytes(), moto_stack)
    store_secret(TENANT)
    return Deployed(moto_stack)


def serve_rows(stub: GraphStub, *rows: dict[str, Any]) -> None:
    """Have Graph answer with rows on the day on which they began."""

    def page(question: Question) -> Answer:
        day = question.target.partition("fromDateTime=")[2][:10]
        return stub.page([one for one in rows if str(one["startDateTime"]).startswith(day)])

    stub.routes["/v1.0/communications/callRecords/getPstnCalls"] = page


def test_new_calls_are_kept_charged_and_left_alone_then(
    deployed: Deployed, stub: GraphStub
) -> None:
    serve_rows(stub, row("call-1"), row("call-2", calleeNumber="+12065550199"))
    assert deployed.pull() == {"GraphRecordsRead": 2, "GraphRecordsKept": 2}
    ((key, content),) = deployed.files().items()
    assert key.startswith(f"graph-pstn/tenant={TENANT}/20261105T031000Z-")
    assert deployed.charge("graph-pstn", content) == 1
    before = deployed.usages()
    assert deployed.pull() == {"GraphRecordsRead": 2}
    assert deployed.files().keys() == {key}
    assert deployed.usages() == before


def test_graph_and_the_export_charge_a_call_once(deployed: Deployed, stub: GraphStub) -> None:
    in_export, in_both = "a3f0c9d2-6b1e-4c55-9f20-7e8d1c2b3a01", row("in-both")
    times = "2026-11-03T08:00:00.1234567Z,2026-11-03T08:05:00.1234567Z"
    user = "5e0b7a34-93c1-4e6c-8b11-4d0b8a6e2f01"
    line = f"{{id}},conf_in,{user},+12065550100,+49309018****,{times},300"
    header = "UsageId,Call Type,AAD ObjectId,Destination Number,Caller ID,Start Time,End Time"
    lines = [f"{header},Duration Seconds", line.format(id=in_export), line.format(id="in-both")]
    assert deployed.charge("teams-csv", "\n".join(lines).encode()) == 2
    before = deployed.usages()
    assert len(before) == 2
    serve_rows(stub, row(in_export.upper()), in_both, row("in-graph"))
    assert deployed.pull() == {"GraphRecordsRead": 3, "GraphRecordsKept": 1}
    (content,) = deployed.files().values()
    assert deployed.charge("graph-pstn", content) == 1
    # All of Graph's, as if the run had known nothing of the export.
    assert deployed.charge("graph-pstn", json.dumps({"value": [in_both]}).encode()) == 1
    after = deployed.usages()
    assert [item["callId"]["S"] for item in after] == [in_export, "in-both", "in-graph"]
    assert [item for item in after if item in before] == before


def test_the_failure_of_a_tenant_fails_the_run_after_the_others(
    deployed: Deployed, stub: GraphStub, published: Published
) -> None:
    boto3.client("secretsmanager").delete_secret(SecretId="graph", ForceDeleteWithoutRecovery=True)
    store_secret(OTHER, TENANT)
    published.directory = directory(TENANT_ROW, NUMBER_ROW, f"tenant,{OTHER},fabrikam,,")
    serve_rows(stub, row("call-1"))
    stub.login_answers += [Answer({"error": "invalid_client", "error_codes": [7000222]}, 401)]
    with logged() as lines, pytest.raises(Unavailable, match=f"^1 of 2 tenants: {OTHER}: Micr"):
        deployed.pull()
    assert deployed.counts == {
        "GraphRecordsRead": 1,
        "GraphRecordsKept": 1,
        "GraphPullsFailed": 1,
    }
    (failure,) = (line for line in lines if line["level"] == "ERROR" and "reason" in line)
    assert (failure["tenant"], failure["message"]) == (OTHER, "calls not pulled")
    assert "the client secret has expired" in failure["reason"]
    assert CLIENT_SECRET not in json.dumps(lines)
    assert "+4930" not in json.dumps(lines)
    (done,) = (line for line in lines if line.get("tenant") == TENANT)
    assert done["new"] == 1


def test_a_run_without_its_secret_or_its_time_fails_instead_of_guessing(
    deployed: Deployed, stub: GraphStub
) -> None:
    with pytest.raises(Refused, match="time"):
        deployed.pull({})
    boto3.client("secretsmanager").delete_secret(SecretId="graph", ForceDeleteWithoutRecovery=True)
    with pytest.raises(Unavailable, match=r"^graph: .*ResourceNotFound"):
        deployed.pull()
    assert deployed.counts == {"GraphPullsFailed": 1, "SecretsUnreadable": 1}
    assert stub.logins == []


def test_what_differs_is_notified_of_once_when_no_record_is_awaited_any_more(
    deployed: Deployed, stub: GraphStub
) -> None:
    free: Any = {"charge": 0}
    calls = [row("call-1"), row("call-2"), row("call-3")]
    content = json.dumps({"value": calls}).encode()
    assert deployed.charge("graph-pstn", content) == 3
    serve_rows(stub, row("call-1", duration=299, **free), row("call-2", **free), row("call-4"))
    assert "RecordsDiffering" not in deployed.pull(), "two days later rows may still come"
    later = {**RUN, "time": "2026-11-07T03:10:00Z"}
    assert deployed.pull(later)["RecordsDiffering"] == 3
    assert "RecordsDiffering" not in deployed.pull(later)
    (sent,) = deployed.notified("RecordsDiffer")
    assert (sent["source"], sent["day"]) == ("graph-pstn", "2026-11-03")
    assert {kind: figures["calls"] for kind, figures in sent["kinds"].items()} == {
        "onlyThere": 1,
        "onlyHere": 1,
        "seconds": 1,
    }


def test_the_role_is_granted_what_a_run_asks_of_the_tables(
    deployed: Deployed, stub: GraphStub, template: Template
) -> None:
    serve_rows(stub, row("call-4"))
    make, asked = vars(BaseClient)["_make_api_call"], set[tuple[str, str]]()

    def seen(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            asked.update(_needed(operation, request))
        return make(client, operation, request)

    with patch.object(BaseClient, "_make_api_call", seen):
        assert deployed.pull({**RUN, "time": "2026-11-07T03:10:00Z"})["RecordsDiffering"] == 1
    role = template["Resources"]["PullGraphCallsRole"]["Properties"]
    granted = {
        (action.removeprefix("dynamodb:"), statement["Resource"]["Fn::GetAtt"][0])
        for statement in role["Policies"][0]["PolicyDocument"]["Statement"]
        for action in statement["Action"]
        if action.startswith("dynamodb:")
    }
    tables = {"CreditTable": "CREDIT_TABLE", "UsageTable": "USAGE_TABLE"}
    assert asked == {(action, deployed.name_of(tables[table])) for action, table in granted}


def _needed(operation: str, request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Say which actions on which tables a request needs (AWS: "IAM with DynamoDB transactions")."""
    match operation:
        case "TransactWriteItems":
            for item in request["TransactItems"]:
                ((kind, part),) = item.items()
                yield f"{kind}Item", part["TableName"]
        case "BatchGetItem":
            yield from ((operation, table) for table in request["RequestItems"])
        case _:
            yield operation, request["TableName"]
