"""What was built starts alone, and what is deployed may do what its role says and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from perminute_local.conditions import decided, present
from perminute_local.deployed.deploying import BATCHES, BUILD, deploy
from perminute_local.deployed.emulated_links import DeployedFunction, deployed_functions
from perminute_local.stack import (
    ApiTrigger,
    QueueTrigger,
    ScheduleTrigger,
    StreamTrigger,
    Template,
    load_template,
    resources,
    stage_parameters,
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


@pytest.fixture(scope="module")
def functions(running: Running) -> dict[str, DeployedFunction]:
    return deployed_functions(running.deployment.stack, running.deployment.names)


def test_every_function_starts_over_the_built_artifact_alone(
    running: Running, functions: dict[str, DeployedFunction]
) -> None:
    # The runtime client has nothing else to import from: what is in neither of them is missed.
    asked = json.loads((EVENTS / "authorize-call.http.v1.json").read_text())
    for function in running.deployment.stack.functions:
        for kind in map(type, function.triggers):
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


def test_another_stage_lives_beside_it_and_shares_nothing(
    running: Running, artifact: Path, template: Template
) -> None:
    beside = deploy(artifact, "prod", running.asked_for)
    ours = running.deployment
    there = {
        stage: set(present(template, parameters_of(running, template, stage))["Resources"])
        for stage in ("dev", "prod")
    }
    # All alarms, and the heartbeat that two of them wait for.
    assert set(beside.names) - set(ours.names) == there["prod"] - there["dev"] > set()
    assert set(ours.names) - set(beside.names) == set()
    # The stage of an API has a name within it.
    shared = {name for name in ours.names if ours.names[name] == beside.names[name]}
    assert shared == {"ChargingStage", "WebhookStage"}
    for function in deployed_functions(beside.stack, beside.names).values():
        settings = boto3.client("lambda").get_function_configuration(
            FunctionName=function.physical_name
        )
        text = json.dumps(settings["Environment"])
        assert "perminute-prod" in text
        assert "perminute-dev" not in text


def test_what_is_deployed_is_the_template_as_it_is(
    running: Running, artifact: Path, template: Template
) -> None:
    def compared(one: Template) -> Template:
        """What the build and the deployment give: where the code of this machine lies."""
        alike: Template = json.loads(json.dumps(one))
        for resource in alike["Resources"].values():
            resource.pop("Metadata", None)
            for name in ("CodeUri", "ContentUri"):
                resource["Properties"].pop(name, None)
        alike["Globals"]["Function"].pop("CodeUri", None)
        return alike

    assert running.deployment.names
    answer = boto3.client("cloudformation").get_template(
        StackName="perminute-dev", TemplateStage="Original"
    )
    packaged = artifact.with_name("packaged.yaml")
    packaged.write_text(answer["TemplateBody"], encoding="utf-8")
    assert compared(load_template(packaged)) == compared(load_template(artifact))
    assert compared(load_template(artifact)) == compared(template)


def test_roles_are_changed_for_the_emulator_by_no_more_than_it_says(
    running: Running, template: Template
) -> None:
    iam, names = boto3.client("iam"), running.deployment.names
    account = boto3.client("sts").get_caller_identity()["Account"]
    template = decided(template, parameters_of(running, template, "dev"))
    roles = dict(resources(template, "AWS::IAM::Role"))
    for _, function in resources(template, "AWS::Serverless::Function"):
        role = function["Properties"]["Role"]["Fn::GetAtt"][0]
        (policy,) = roles[role]["Properties"]["Policies"]
        live = iam.get_role_policy(RoleName=names[role], PolicyName=policy["PolicyName"])
        granted = {one["Sid"]: set(one["Action"]) for one in statements_of(live["PolicyDocument"])}
        ours = {one["Sid"]: set(one["Action"]) for one in statements_of(policy["PolicyDocument"])}
        assert {sid: actions - set(BATCHES.values()) for sid, actions in granted.items()} == ours
        (trust,) = statements_of(
            iam.get_role(RoleName=names[role])["Role"]["AssumeRolePolicyDocument"]
        )
        assert trust["Principal"] == {
            "Service": "lambda.amazonaws.com",
            "AWS": f"arn:aws:iam::{account}:root",
        }


def parameters_of(running: Running, template: Template, stage: str) -> dict[str, str]:
    return {**stage_parameters(template, stage), **running.asked_for}


def statements_of(document: Any) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = document["Statement"]
    return statements
