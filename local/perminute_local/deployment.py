"""A deployed stack, found by its outputs."""

from __future__ import annotations

import boto3

from perminute.settings import TableNames
from perminute_local.commands import WrongCall


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
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    for one in stack.get("Outputs", []):
        if one["OutputKey"] == name:
            value: str = one["OutputValue"]
            return value
    msg = f"{stack_name} is no stack of perminute: it has no output {name}"
    raise WrongCall(msg)
