"""The system's resources, made from `template.yaml` itself on an embedded AWS or on moto.

Functions, roles and alarms are left out: the functions run in this process. The other resources are
created by the emulator's CloudFormation, which also resolves the functions' environment for us.
"""

from __future__ import annotations

import json
import re
import time
import tomllib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from cfnlint.decode import decode  # type: ignore[import-untyped] # it ships no annotations

from perminute_local.conditions import StackError, decided, parameters_of
from perminute_local.packaged import TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_cloudformation import CloudFormationClient

    from perminute_local.conditions import Parameters


STACK_NAME = "perminute"
CREATE_TIMEOUT_SECONDS = 60
LAMBDA_RETRIES = 2
"""AWS: how often an asynchronous invocation that failed is repeated, by default."""

BACKING_TYPES = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::Events::EventBus",
        "AWS::Events::Rule",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
    }
)
RECORDS_BUCKET = "RecordsBucketName"
"""The output of the template that names the bucket."""
_KEPT_PARTS = ("Parameters", "Conditions", "Mappings")
_FUNCTION = "AWS::Serverless::Function"
_DEFAULTS: Parameters = MappingProxyType({})

Template = dict[str, Any]
Pattern = dict[str, Any]


class Queue(NamedTuple):
    """A queue of the template, and what happens to messages that keep failing."""

    url: str
    arn: str
    dead_letter_url: str | None
    max_receive_count: int | None


class QueueTrigger(NamedTuple):
    """A function reads a queue, by its logical id."""

    queue: str
    batch_size: int


class StreamTrigger(NamedTuple):
    """A function reads a table's stream: what one of the patterns matches."""

    stream_arn: str
    batch_size: int
    attempts: int
    patterns: tuple[Pattern, ...]


class ScheduleTrigger(NamedTuple):
    """A function runs at this time, UTC, every day or on these days of each month."""

    hour: int
    minute: int
    input: str
    attempts: int
    days: frozenset[int] = frozenset()  # none: every day


class ApiTrigger(NamedTuple):
    """A function answers requests on these routes."""

    routes: tuple[str, ...]


Trigger = QueueTrigger | StreamTrigger | ScheduleTrigger | ApiTrigger


class Function(NamedTuple):
    """A function of the template and what makes it run: one thing, or a schedule and another."""

    name: str
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: int
    triggers: tuple[Trigger, ...]


class Stack(NamedTuple):
    """What was made: physical names by logical ids."""

    functions: tuple[Function, ...]
    queues: Mapping[str, Queue]
    bus_name: str
    records_bucket: str = ""
    """Into which files of call records are dropped; empty if there is none."""

    def serving(self, route: str) -> Function:
        """Return the function that answers requests on a route."""
        return next(
            function
            for function in self.functions
            for trigger in function.triggers
            if isinstance(trigger, ApiTrigger) and route in trigger.routes
        )

    def schedules(self) -> dict[str, ScheduleTrigger]:
        """Return what runs functions at certain times, by their logical ids."""
        return {
            function.name: trigger
            for function in self.functions
            for trigger in function.triggers
            if isinstance(trigger, ScheduleTrigger)
        }

    def setting(self, name: str) -> str:
        """Return a variable of this name from the environment of a function that has it."""
        return next(f.environment[name] for f in self.functions if name in f.environment)


def load_template(path: Path = TEMPLATE) -> Template:
    """Read the template with the intrinsic functions in their long form."""
    template, problems = decode(str(path))
    if template is None or problems:
        msg = f"{path} cannot be read: {'; '.join(problem.message for problem in problems)}"
        raise StackError(msg)
    loaded: Template = json.loads(json.dumps(template))
    return loaded


def create_stack(
    template: Template, types: Collection[str] = BACKING_TYPES, chosen: Parameters = _DEFAULTS
) -> Stack:
    """Make the resources with whatever AWS the environment points at.

    `chosen` are parameters that differ from their defaults.
    """
    template = decided(template, parameters_of(template, chosen))
    client = boto3.client("cloudformation")
    client.create_stack(
        StackName=STACK_NAME,
        TemplateBody=json.dumps(backing(template, types)),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in chosen.items()
        ],
    )
    return stack_of(template, _wait(client))


def stack_of(template: Template, outputs: Mapping[str, str]) -> Stack:
    """Return the stack, by the outputs of `backing`."""
    queues = {
        logical_id: _queue(logical_id, resource, outputs)
        for logical_id, resource in resources(template, "AWS::SQS::Queue")
    }
    functions = tuple(
        _function(logical_id, resource, template, outputs)
        for logical_id, resource in resources(template, _FUNCTION)
    )
    return Stack(functions, queues, outputs["BusName"], outputs.get(RECORDS_BUCKET, ""))


def resources(template: Template, resource_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the resources of one type by logical id."""
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] == resource_type:
            yield logical_id, resource


def backing(template: Template, types: Collection[str]) -> Template:
    """Return the template of what the functions work with; its outputs have their environment."""
    kept = {
        logical_id: resource
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] in types
    }
    outputs: dict[str, Any] = {
        name: output["Value"]
        for name, output in template["Outputs"].items()
        if output["Value"].get("Ref") in kept
    }
    for logical_id, _ in resources(template, "AWS::SQS::Queue"):
        outputs[f"{logical_id}Url"] = {"Ref": logical_id}
        outputs[f"{logical_id}Arn"] = {"Fn::GetAtt": [logical_id, "Arn"]}
    for logical_id, table in resources(template, "AWS::DynamoDB::Table"):
        if "StreamSpecification" in table["Properties"]:
            outputs[f"{logical_id}StreamArn"] = {"Fn::GetAtt": [logical_id, "StreamArn"]}
    for logical_id, _ in resources(template, "AWS::Events::EventBus"):
        outputs["BusName"] = {"Ref": logical_id}
    for logical_id, function in resources(template, _FUNCTION):
        for name, value in environment_of(function, template).items():
            outputs[environment_output(logical_id, name)] = value
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        **{part: template[part] for part in _KEPT_PARTS if part in template},
        "Resources": kept,
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }


def environment_of(function: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """Merge the environment of all functions with that of one, as SAM does."""
    merged: dict[str, Any] = {}
    for part in (template.get("Globals", {}).get("Function", {}), function["Properties"]):
        merged |= part.get("Environment", {}).get("Variables", {})
    return merged


def environment_output(logical_id: str, variable: str) -> str:
    """Return the name of the output that has a variable of a function."""
    return logical_id + "Env" + re.sub(r"[^A-Za-z0-9]", "", variable.title())


def _wait(client: CloudFormationClient) -> dict[str, str]:
    deadline = time.monotonic() + CREATE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        stack = client.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.05)
    msg = f"the resources were not made: {stack.get('StackStatusReason', stack['StackStatus'])}"
    raise StackError(msg)


def _queue(logical_id: str, resource: Mapping[str, Any], outputs: Mapping[str, str]) -> Queue:
    redrive = resource.get("Properties", {}).get("RedrivePolicy")
    dead_letters = redrive["deadLetterTargetArn"]["Fn::GetAtt"][0] if redrive else None
    return Queue(
        url=outputs[f"{logical_id}Url"],
        arn=outputs[f"{logical_id}Arn"],
        dead_letter_url=outputs[f"{dead_letters}Url"] if dead_letters else None,
        max_receive_count=int(redrive["maxReceiveCount"]) if redrive else None,
    )


def _function(
    logical_id: str, resource: Mapping[str, Any], template: Template, outputs: Mapping[str, str]
) -> Function:
    return Function(
        name=logical_id,
        handler=resource["Properties"]["Handler"],
        environment={
            name: outputs[environment_output(logical_id, name)]
            for name in environment_of(resource, template)
        },
        timeout_seconds=resource["Properties"].get(
            "Timeout", template["Globals"]["Function"]["Timeout"]
        ),
        triggers=_triggers_of(logical_id, resource, template, outputs),
    )


def _triggers_of(
    name: str, function: Mapping[str, Any], template: Template, outputs: Mapping[str, str]
) -> tuple[Trigger, ...]:
    # A function without an event of its own serves the routes that lead to its alias.
    if "Events" not in function["Properties"]:
        integrations = {
            f"integrations/${{{integration}}}"
            for integration, resource in resources(template, "AWS::ApiGatewayV2::Integration")
            if resource["Properties"]["IntegrationUri"] == {"Ref": f"{name}.Alias"}
        }
        routes = (
            route["Properties"]["RouteKey"]
            for _, route in resources(template, "AWS::ApiGatewayV2::Route")
            if route["Properties"]["Target"]["Fn::Sub"] in integrations
        )
        return (ApiTrigger(routes=tuple(routes)),)
    invoked = function["Properties"].get("EventInvokeConfig", {})
    attempts = 1 + int(invoked.get("MaximumRetryAttempts", LAMBDA_RETRIES))
    return tuple(
        _trigger(event["Type"], event["Properties"], outputs, attempts)
        for event in function["Properties"]["Events"].values()
    )


def _trigger(
    kind: str, event: Mapping[str, Any], outputs: Mapping[str, str], attempts: int
) -> Trigger:
    match kind:
        case "SQS":
            return QueueTrigger(
                queue=event["Queue"]["Fn::GetAtt"][0], batch_size=int(event["BatchSize"])
            )
        case "DynamoDB":
            filters = event["FilterCriteria"]["Filters"]
            return StreamTrigger(
                stream_arn=outputs["".join(event["Stream"]["Fn::GetAtt"])],
                batch_size=int(event["BatchSize"]),
                attempts=1 + int(event["MaximumRetryAttempts"]),
                patterns=tuple(json.loads(criterion["Pattern"]) for criterion in filters),
            )
        case "ScheduleV2":
            return _schedule(event, attempts)
        case _:
            msg = f"there is nothing here that makes functions run by {kind}"
            raise StackError(msg)


def _schedule(event: Mapping[str, Any], attempts: int) -> ScheduleTrigger:
    expression: str = event["ScheduleExpression"]
    found = re.fullmatch(r"cron\(([0-9]+) ([0-9]+) (\*|[0-9,]+) \* \? \*\)", expression)
    if found is None:
        msg = f"only daily and monthly schedules can be run here, not {expression}"
        raise StackError(msg)
    minute, hour, days = found.groups()
    return ScheduleTrigger(
        hour=int(hour),
        minute=int(minute),
        input=event["Input"],
        attempts=attempts,
        days=frozenset() if days == "*" else frozenset(map(int, days.split(","))),
    )


SAM_CONFIG = TEMPLATE.parent / "samconfig.toml"


def stage_parameters(template: Template, stage: str) -> dict[str, str]:
    """Return the value of each parameter of a stage."""
    return parameters_of(template, chosen_for(stage))


def chosen_for(stage: str) -> dict[str, str]:
    """Return the parameters that `samconfig.toml` chooses for a stage."""
    config = tomllib.loads(SAM_CONFIG.read_text(encoding="utf-8"))
    overrides: str = config[stage]["deploy"]["parameters"]["parameter_overrides"]
    return dict(pair.split("=", 1) for pair in overrides.split())
