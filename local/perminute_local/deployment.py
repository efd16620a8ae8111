"""A deployed stack, found by its outputs."""

from __future__ import annotations

from dataclasses import dataclass

import boto3

from perminute.settings import TableNames
from perminute_local.wrong_call import WrongCall


def deployed_tables(stack_name: str) -> TableNames:
    """Name the tables of a stack; `WrongCall` if it is none of ours."""
    return TableNames(
        credit=output(stack_name, "CreditTableName"),
        usage=output(stack_name, "UsageTableName"),
        licensing=output(stack_name, "LicensingTableName"),
        events=output(stack_name, "EventsTableName"),
    )


def output(stack_name: str, name: str) -> str:
    """Give one output of a stack; `WrongCall` if it has no such output."""
    value = outputs(stack_name).get(name)
    if value is None:
        msg = f"{stack_name} is no stack of perminute: it has no output {name}"
        raise WrongCall(msg)
    return value


def outputs(stack_name: str) -> dict[str, str]:
    """Give all outputs of a stack."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def parameter(stack_name: str, name: str, default: str) -> str:
    """Return the value with which a stack was deployed; `default` if it has no such parameter."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    values: dict[str, str] = {
        one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])
    }
    return values.get(name, default)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a stack: its type, its id in the template and its name in AWS."""

    kind: str
    logical_id: str
    name: str


def resources_of(stack_name: str) -> list[Resource]:
    """List what a deployed stack is made of."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources")
    return [
        Resource(one["ResourceType"], one["LogicalResourceId"], one["PhysicalResourceId"])
        for page in pages.paginate(StackName=stack_name)
        for one in page["StackResourceSummaries"]
    ]
