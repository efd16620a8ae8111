"""What was built starts alone, and what is deployed may do what its role says and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from perminute_local.deployed.artifact import BUILD, RUNTIME, for_this_machine
from perminute_local.deployed.deployment import deploy
from perminute_local.deployed.functions import DeployedFunction, deployed_functions
from perminute_local.stack import (
    ApiTrigger,
    QueueTrigger,
    ScheduleTrigger,
    StreamTrigger,
    Template,
    load_template,
    resources,
)

if TYPE_CHECKING:
    from deployed_stack import Running

EVENTS = Path(__file__).parents[3] / "events"
SAMPLES: dict[type, dict[str, Any]] = {
    QueueTrigger: {"Records": []},
    StreamTrigger: {"Records": []},
    ScheduleTrigger: {"time": "2026-10-01T00:05:00Z"},
}
ANSWERS: dict[type, set[str]] = {
    QueueTrigger: {"batchItemFailures"},
    StreamTrigger: {"batchItemFailures"},
    ApiTrigger: {"statusCode", "headers", "body"},
}
BATCHES = {"sns:PublishBatch", "sqs:DeleteMessageBatch", "sqs:SendMessageBatch"}


@pytest.fixture(scope="module")
def functions(running: Running) -> dict[str, DeployedFunction]:
    return deployed_functions(running.deployment.stack, dict(running.deployment.names))


def test_every_function_starts_over_the_built_artifact_alone(
    running: Running, functions: dict[str, DeployedFunction]
) -> None:
    # The runtime client has nothing else to import from: what is in neither of them is missed.
    asked = json.loads((EVENTS / "authorize-call.http.v1.json").read_text())
    for function in running.deployment.stack.functions:
        kind = type(function.trigger)
        answer = functions[function.name].call(SAMPLES.get(kind, asked))
        assert answer is not None, function.name
        assert ANSWERS.get(kind, set()) <= set(answer), function.name


def test_a_deployed_function_that_lacks_a_requirement_does_not_start(
    functions: dict[str, DeployedFunction],
) -> None:
    # The control of the test before this one.
    package, aside = BUILD / "DependenciesLayer" / "python" / "msgspec", BUILD / "msgspec"
    function = functions["AuthorizeCallsFunction"]
    package.rename(aside)
    try:
        # With another configuration it starts anew.
        boto3.client("lambda").update_function_configuration(
            FunctionName=function.physical_name, Description="without msgspec"
        )
        answer = boto3.client("lambda").invoke(FunctionName=function.physical_name, Payload=b"{}")
    finally:
        aside.rename(package)
    assert "FunctionError" in answer
    assert "No module named 'msgspec'" in answer["Payload"].read().decode()


def test_the_emulator_holds_each_function_to_its_role(
    running: Running, functions: dict[str, DeployedFunction]
) -> None:
    tables = running.deployment.stack.functions[0].environment
    key = {"organizationId": {"S": "contoso"}, "callId": {"S": "c-1"}}
    publishing = functions["PublishNotificationsFunction"].session()
    reconciling = functions["ReconcileBooksFunction"].session().client("dynamodb")
    with pytest.raises(ClientError, match="dynamodb:GetItem"):
        publishing.client("dynamodb").get_item(TableName=tables["USAGE_TABLE"], Key=key)
    with pytest.raises(ClientError, match="dynamodb:PutItem"):
        reconciling.put_item(TableName=tables["USAGE_TABLE"], Item=key)
    assert "Item" not in reconciling.get_item(
        TableName=tables["CREDIT_TABLE"],
        Key={"organizationId": {"S": "contoso"}, "record": {"S": "account"}},
    )
    queue = running.deployment.stack.queues["CallsQueue"].url
    with pytest.raises(ClientError, match="sqs:ReceiveMessage"):
        publishing.client("sqs").receive_message(QueueUrl=queue)


def test_another_stage_lives_beside_it_and_shares_nothing(running: Running, artifact: Path) -> None:
    beside = deploy(artifact, "prod")
    ours = running.deployment
    assert set(beside.names) == set(ours.names)
    # The stage of an API has a name within it.
    shared = {name for name in ours.names if ours.names[name] == beside.names[name]}
    assert shared == {"ChargingStage"}
    for function in deployed_functions(beside.stack, dict(beside.names)).values():
        settings = boto3.client("lambda").get_function_configuration(
            FunctionName=function.physical_name
        )
        text = json.dumps(settings["Environment"])
        assert "perminute-prod" in text
        assert "perminute-dev" not in text


def test_what_is_changed_for_this_machine_is_no_more_than_it_says(
    artifact: Path, template: Template
) -> None:
    built, adapted = load_template(BUILD / "template.yaml"), load_template(artifact)
    assert adapted == for_this_machine(built)
    assert set(built["Resources"]) - set(adapted["Resources"]) == {
        "CallsAreNotCountedAlarm",
        "FunctionsFailAlarm",
        "RateCardBucketPolicy",
    }
    common = built["Globals"]["Function"] | {"Runtime": RUNTIME}
    del common["DeploymentPreference"]
    assert adapted["Globals"]["Function"] == common
    assert adapted["Outputs"] == template["Outputs"]
    for kind in {one["Type"] for one in adapted["Resources"].values()}:
        if kind not in {"AWS::IAM::Role", "AWS::Serverless::Function"}:
            before = dict(resources(built, kind))
            assert all(before[name] == one for name, one in resources(adapted, kind))
    for name, role in resources(adapted, "AWS::IAM::Role"):
        for now, before in zip(statements(role), statements(built["Resources"][name]), strict=True):
            assert now | {"Action": before["Action"]} == before
            assert set(now["Action"]) - set(before["Action"]) <= BATCHES


def statements(role: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        statement
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
