"""What was built starts alone, and what is deployed may do what its role says and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from perminute_local.deployed.artifact import BUILD
from perminute_local.deployed.deploying import deploy
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
NOT_HERE = ("CallsAreNotCountedAlarm", "FunctionsFailAlarm", "RateCardBucketPolicy")
BATCHES = {"sns:PublishBatch", "sqs:DeleteMessageBatch", "sqs:SendMessageBatch"}


@pytest.fixture(scope="module")
def functions(running: Running) -> dict[str, DeployedFunction]:
    return deployed_functions(running.deployment.stack, running.deployment.names)


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


def test_the_emulator_holds_functions_to_their_roles(
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
    for function in deployed_functions(beside.stack, beside.names).values():
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
    undone = undo(adapted)
    # Paths of the code aside, which the build gives, what was built is what is in the repository.
    assert set(built["Resources"]) == set(template["Resources"])
    for name in NOT_HERE:
        undone["Resources"][name] = built["Resources"][name]
    common = built["Globals"]["Function"]
    undone["Globals"]["Function"] |= {
        name: common[name] for name in ("DeploymentPreference", "Runtime")
    }
    assert undone == built


def undo(adapted: Template) -> Template:
    """Take back what `for_this_machine` says that it does."""
    undone: Template = json.loads(json.dumps(adapted))
    for _, function in resources(undone, "AWS::Serverless::Function"):
        for event in function["Properties"].get("Events", {}).values():
            if event["Type"] == "ScheduleV2":
                assert event["Properties"].pop("State") == "DISABLED"
            else:
                assert event["Properties"].pop("Enabled") is False
    for _, role in resources(undone, "AWS::IAM::Role"):
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
            us = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}
            assert statement["Principal"].pop("AWS", us) == us
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                statement["Action"] = [one for one in statement["Action"] if one not in BATCHES]
    return undone
