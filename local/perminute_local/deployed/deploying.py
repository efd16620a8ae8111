"""Deploys what was built, and finds out what has come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.exceptions import ClientError

from perminute_local.deployed.artifact import ROOT, ToolError, run_sam
from perminute_local.deployed.emulator_needs import WITHOUT_CODEDEPLOY, adapt
from perminute_local.deployment import resources_of
from perminute_local.embedded_aws import REGION
from perminute_local.stack import (
    Stack,
    Template,
    environment_of,
    environment_output,
    load_template,
    resources,
    stack_of,
)
from perminute_local.template_parameters import chosen_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Deployment(NamedTuple):
    """A deployed stack, as the template describes it, and its physical names by logical ids."""

    stack: Stack
    names: Mapping[str, str]


def deploy(template_file: Path, stage: str = "dev") -> Deployment:
    """Deploy a stage by `samconfig.toml`, with whatever emulator the environment points at."""
    stack_name = f"perminute-{stage}"
    config = ("--config-file", str(ROOT / "samconfig.toml"), "--config-env", stage)
    chosen = {**chosen_for(stage), **WITHOUT_CODEDEPLOY}
    overrides = " ".join(f"{name}={value}" for name, value in chosen.items())
    try:
        # Nobody is asked whether they agree: this AWS is gone in a minute.
        options = ("--region", REGION, "--no-confirm-changeset", "--parameter-overrides", overrides)
        run_sam("deploy", "--template-file", str(template_file), *config, *options)
    except ToolError as error:
        msg = "\n".join([str(error), *_what_failed(stack_name)])
        raise ToolError(msg) from error
    template = load_template(template_file)
    adapt(template, resources_of(stack_name))
    return deployed(template, stack_name)


def _what_failed(stack_name: str) -> Iterator[str]:
    """Say what the command line does not: which resource could not be made, and why."""
    try:
        events = boto3.client("cloudformation").describe_stack_events(StackName=stack_name)
    except ClientError:
        return
    for event in events["StackEvents"]:
        if event["ResourceStatus"].endswith("FAILED"):
            yield f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"


def deployed(template: Template, stack_name: str) -> Deployment:
    """Describe a stack that has been deployed from this template."""
    names = {one.logical_id: one.name for one in resources_of(stack_name)}
    return Deployment(stack_of(template, dict(_outputs(template, names))), names)


def _outputs(template: Template, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Ask AWS for what the replay's own stack has as outputs (`backing`)."""
    sqs, dynamodb, functions = boto3.client("sqs"), boto3.client("dynamodb"), boto3.client("lambda")
    for queue, _ in resources(template, "AWS::SQS::Queue"):
        url = names[queue]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        yield f"{queue}Url", url
        yield f"{queue}Arn", attributes["Attributes"]["QueueArn"]
    for table, _ in resources(template, "AWS::DynamoDB::Table"):
        found = dynamodb.describe_table(TableName=names[table])["Table"]
        if "LatestStreamArn" in found:
            yield f"{table}StreamArn", found["LatestStreamArn"]
    for bus, _ in resources(template, "AWS::Events::EventBus"):
        yield "BusName", names[bus]
    for function, resource in resources(template, "AWS::Serverless::Function"):
        found_function = functions.get_function_configuration(FunctionName=names[function])
        variables = found_function["Environment"]["Variables"]
        for name in environment_of(resource, template):
            yield environment_output(function, name), variables[name]
