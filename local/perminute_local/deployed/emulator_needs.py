"""What the emulator needs otherwise of a stack that has been deployed, each changed by a request.

The template that is deployed is the one that was built, as it is. What stands here is what an
operator could do to a running stack; the tests in tests/deployed hold that it is no more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from perminute_local.deployed.functions import ALIAS
from perminute_local.stack import resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute_local.deployment import Resource
    from perminute_local.stack import Template

RUNTIME = "provided.al2023"
"""The one that runs whatever `bootstrap` says: Amazon's runtime client (artifact.py)."""

WITHOUT_CODEDEPLOY = {"GradualDeployment": "false"}
"""Parameters: a version takes the place of the one before at once, for there is no CodeDeploy."""

BATCHES = {
    "sns:Publish": "sns:PublishBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:SendMessage": "sqs:SendMessageBatch",
}
"""For requests that are batches the emulator asks for rights that do not exist; AWS asks for that
of a single request."""


def adapt(template: Template, deployed: list[Resource]) -> None:
    """Change a deployed stack for this machine, and leave all else as it is.

    - Functions run by the bootstrap of this machine.
    - Queues, the stream and schedules are read by our drivers (`emulated_links.py`), not by the
      emulator; they act as each function's role, so its trust has us added to it.
    - Roles get the rights that only the emulator asks for.
    - Loopback has no TLS, which the bucket's policy asks for.
    """
    names = {one.logical_id: one.name for one in deployed}
    for name, function in resources(template, "AWS::Serverless::Function"):
        _run_by_bootstrap(names[name])
        _adapt_role(names[function["Properties"]["Role"]["Fn::GetAtt"][0]])
    for one in deployed:
        match one.kind:
            case "AWS::Lambda::EventSourceMapping":
                boto3.client("lambda").update_event_source_mapping(UUID=one.name, Enabled=False)
            case "AWS::Scheduler::Schedule":
                _disable_schedule(one.name)
    for _, policy in resources(template, "AWS::S3::BucketPolicy"):
        boto3.client("s3").delete_bucket_policy(Bucket=names[policy["Properties"]["Bucket"]["Ref"]])


def _run_by_bootstrap(function: str) -> None:
    client = boto3.client("lambda")
    client.update_function_configuration(FunctionName=function, Runtime=RUNTIME)
    version = client.publish_version(FunctionName=function)["Version"]
    client.update_alias(FunctionName=function, Name=ALIAS, FunctionVersion=version)


def _disable_schedule(name: str) -> None:
    client = boto3.client("scheduler")
    found = client.get_schedule(Name=name)
    client.update_schedule(
        Name=name,
        ScheduleExpression=found["ScheduleExpression"],
        FlexibleTimeWindow=found["FlexibleTimeWindow"],
        Target=found["Target"],
        State="DISABLED",
    )


def _adapt_role(role: str) -> None:
    client = boto3.client("iam")
    account = boto3.client("sts").get_caller_identity()["Account"]
    trust: Any = client.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = trust["Statement"]
    statement["Principal"]["AWS"] = f"arn:aws:iam::{account}:root"
    client.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust))
    for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
        policy: Any = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for granting in policy["Statement"]:
            granting["Action"] += _batches(granting)
        client.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(policy))


def _batches(statement: Mapping[str, Any]) -> list[str]:
    return [BATCHES[action] for action in statement["Action"] if action in BATCHES]
