"""Users of Graph by their own function, over the bus, and applied by that of licensing, on moto."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from graph_delta import TENANT, DeltaGraph, graph_user, tenant_row
from graph_stub import CLIENT_ID, CLIENT_SECRET, Answer, GraphStub, Question
from graph_stub import graph_stub as serve
from log_lines import logged

from perminute.adapters import records_bucket
from perminute.adapters.dynamodb.licensing_store import DynamoDBLicensingStore
from perminute.adapters.dynamodb.tables import Tables, connect
from perminute.aws import AwsResources
from perminute.domain.errors import Refused, Unavailable
from perminute.ports.graph import GraphRefused
from perminute_local.admin.foresee import read_licensing
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import Context, LoadedFunction, SQSMessage, load_module
from perminute_local.replay.results import drain
from perminute_local.replay.run import table_names
from perminute_local.stack import QueueTrigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.domain.reference.directory import Directory
    from perminute_local.stack import Stack

BUCKET, BUS = "records-of-a-test", "bus-of-a-test"
KEY = f"state/graph-licenses/{TENANT}.json"


class Published:
    """`Directories` with the one in force."""

    def current(self) -> Directory:
        return tenant_row()


class Deployed:
    """The function that pulls, the bus with its rule, and the function that applies."""

    def __init__(self, stack: Stack) -> None:
        (applying,) = (
            function
            for function in stack.functions
            if any(
                isinstance(trigger, QueueTrigger) and trigger.queue == "LicensingQueue"
                for trigger in function.triggers
            )
        )
        self._applying = LoadedFunction(applying)
        self._queue = stack.queues["LicensingQueue"]
        self._dead_letters = self._queue.dead_letter_url
        self._store = DynamoDBLicensingStore(Tables.bind(connect(), table_names(stack)))
        events = boto3.client("events")
        events.create_event_bus(Name=BUS)
        pattern = json.dumps({"source": ["perminute.licensing"]})
        events.put_rule(Name="licensing", EventBusName=BUS, EventPattern=pattern)
        target = {"Id": "queue", "Arn": self._queue.arn}
        events.put_targets(Rule="licensing", EventBusName=BUS, Targets=[target])
        self._environment = {
            **applying.environment,
            "RECORDS_BUCKET": BUCKET,
            "GRAPH_SECRET": "graph",
            "EVENT_BUS": BUS,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        self._handler = load_module("pull_graph_licenses.handler", self._environment).handler
        self.counts: dict[str, int] = {}

    def pull(self, event: Any = None) -> dict[str, int]:
        """Run the function, and return what it counted, also in `counts` if it fails."""
        context = Context(function_name="pull", invoked_function_arn="arn:aws:lambda:r:1:f:pull")
        out = StringIO()
        try:
            with environment(**self._environment), redirect_stdout(out):
                self._handler(event or {"time": "2026-11-05T03:10:00Z"}, context)
        finally:
            lines = [json.loads(line) for line in out.getvalue().splitlines()]
            self.counts = {
                name: value[0]
                for line in lines
                for name, value in line.items()
                if name.startswith(("Graph", "Secrets"))
            }
        return self.counts

    def apply(self) -> int:
        """Have applied what has come to the queue, and return how many events these were."""
        bodies = [message["Body"] for message in drain(self._queue.url)]
        for start in range(0, len(bodies), 10):
            messages = [SQSMessage(body) for body in bodies[start : start + 10]]
            assert self._applying.invoke(messages, self._queue.arn) == []
        assert self._dead_letters is not None
        assert list(drain(self._dead_letters)) == []
        return len(bodies)

    def facts(self, *user_ids: str) -> list[tuple[str, str, object]]:
        """What is recorded of users: whose, which attribute, and which value."""
        held = read_licensing(self._store, "contoso", user_ids).users
        return sorted(
            (user_id, fact.attribute, fact.value)
            for user_id, timeline in held.items()
            for fact in timeline.facts
        )


@pytest.fixture
def graph() -> DeltaGraph:
    return DeltaGraph()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, graph: DeltaGraph) -> Iterator[GraphStub]:
    """A delta query over HTTP, whose links are those of the stub."""

    def answer(question: Question) -> Answer:
        try:
            page = graph.page(question.target.replace("%24", "$"))
        except GraphRefused as error:
            return Answer({"error": {"code": error.code, "message": "…"}}, error.status)
        links = {"delta_link": page.delta_link, "next_link": page.next_link}
        stated = {name: link.partition(".com")[2] for name, link in links.items() if link}
        graph.asked.append(question.target)
        return served.page([json.loads(item) for item in page.items], **stated)

    with serve(monkeypatch) as served:
        served.routes["/v1.0/users/delta"] = answer
        yield served


@pytest.fixture
def deployed(moto_stack: Stack, stub: GraphStub, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    monkeypatch.setattr(AwsResources, "directories", lambda _: Published(), raising=False)
    del stub
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    entry = {"tenant": TENANT, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    boto3.client("secretsmanager").create_secret(Name="graph", SecretString=json.dumps([entry]))
    return Deployed(moto_stack)


def test_changes_come_over_the_bus_to_the_timelines(deployed: Deployed, graph: DeltaGraph) -> None:
    graph.put(graph_user("adele", "SPE_E5"), graph_user("bob", country="US"), graph_user("carla"))
    assert deployed.pull() == {"GraphUsersRead": 3, "GraphLicensingEventsSent": 4}
    assert deployed.apply() == 4
    graph.put(graph_user("adele", country="Germany"))
    with logged() as lines:
        counted = deployed.pull()
    assert counted == {"GraphUsersRead": 1, "GraphLicensingEventsSent": 1, "GraphUserProblems": 1}
    (told,) = (line for line in lines if line["message"] == "users with problems")
    assert told["problems"][0].startswith("user adele: usageLocation 'Germany' must be")
    assert deployed.apply() == 1
    assert deployed.facts("adele", "bob") == [
        ("adele", "country", "DE"),
        ("adele", "license:SPE_E5", False),
        ("adele", "license:SPE_E5", True),
        ("bob", "country", "US"),
    ]
    assert deployed.pull() == {"GraphUsersRead": 0}
    assert deployed.apply() == 0
    # The second run read what the first one's link reports, of the host that it names.
    assert [target.partition("=")[0] for target in graph.asked[-2:]] == [
        "/v1.0/users/delta?$deltatoken"
    ] * 2


class Crash(BaseException):
    """The function ends at once."""


def test_a_crash_between_sending_and_the_state_changes_nothing(
    deployed: Deployed, graph: DeltaGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.put(graph_user("adele", "SPE_E5", "MCOPSTNC"))
    store, stored = records_bucket.S3RecordsBucket.store_state, []

    def crash_the_second_time(*arguments: Any, **options: Any) -> Any:
        stored.append(1)
        if len(stored) == 2:
            raise Crash
        return store(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(records_bucket.S3RecordsBucket, "store_state", crash_the_second_time)
        with pytest.raises(Crash):
            deployed.pull()
    assert deployed.apply() == 3
    before = deployed.facts("adele")
    assert len(before) == 3
    graph.put(graph_user("bob", "SPE_E5", country=None))
    assert deployed.pull() == {"GraphUsersRead": 1, "GraphLicensingEventsSent": 4}
    # Three of them are those that were applied before.
    assert deployed.apply() == 4
    assert deployed.facts("adele") == before
    assert len(deployed.facts("bob")) == 1


def test_a_refused_removal_is_counted_and_passes_if_an_operator_says_so(
    deployed: Deployed, graph: DeltaGraph
) -> None:
    graph.page_size = 20
    names = [f"u-{number}" for number in range(12)]
    graph.put(*(graph_user(name, "SPE_E5", country=None) for name in names))
    deployed.pull()
    graph.put(*(graph_user(name, country=None) for name in names))
    with logged() as lines, pytest.raises(Unavailable, match=r"of 12 of 12 users is refused$"):
        deployed.pull()
    assert deployed.counts == {"GraphUsersRead": 12, "GraphRemovalsRefused": 1}
    (refused,) = (line for line in lines if line["message"] == "removal of licenses refused")
    assert (refused["tenant"], refused["users"], refused["of"]) == (TENANT, 12, 12)
    accepted = {"acceptRemovals": [TENANT]}
    assert deployed.pull(accepted) == {"GraphUsersRead": 12, "GraphLicensingEventsSent": 12}
    assert deployed.apply() == 24
    with pytest.raises(Refused, match=r"^acceptRemovals: names a tenant that the secret does not"):
        deployed.pull({"acceptRemovals": ["another"]})


def test_what_fails_is_named_and_counted(
    deployed: Deployed, graph: DeltaGraph, stub: GraphStub
) -> None:
    graph.put(graph_user("adele", "SPE_E5"))
    stub.login_answers += [Answer({"error": "invalid_client", "error_codes": [7000222]}, 401)]
    with logged() as lines, pytest.raises(Unavailable, match=f"^1 of 1 tenants: {TENANT}: Micros"):
        deployed.pull()
    assert deployed.counts == {"GraphUsersRead": 0, "GraphPullsFailed": 1}
    (failure,) = (line for line in lines if line["message"] == "licenses not pulled")
    assert "the client secret has expired" in failure["reason"]
    assert CLIENT_SECRET not in json.dumps(lines)
    boto3.client("events").delete_event_bus(Name=BUS)
    with pytest.raises(Unavailable, match=f"{BUS}: "):
        deployed.pull()
    assert json.loads(boto3.client("s3").get_object(Bucket=BUCKET, Key=KEY)["Body"].read())[
        "isRead"
    ]
    boto3.client("secretsmanager").delete_secret(SecretId="graph", ForceDeleteWithoutRecovery=True)
