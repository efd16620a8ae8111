"""A deployed stack, found by its outputs, and AWS's errors with what helps."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import Unavailable
from perminute.settings import TableNames
from perminute_local.wrong_call import AwsFailed, WrongCall

if TYPE_CHECKING:
    from collections.abc import Iterator


_SIGN_IN = "sign in again, such as by `aws sso login`, or set new keys"
_CHOOSE = "set AWS_PROFILE, or sign in by `aws configure` or `aws sso login`"
_REGION = "set AWS_REGION to the region of the stack"

_BY_TYPE: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError), _CHOOSE),
    ((aws.SSOError, aws.TokenRetrievalError, aws.LoginError), _SIGN_IN),
    ((aws.ProfileNotFound,), "check AWS_PROFILE; `aws configure list-profiles` lists them"),
    ((aws.NoRegionError, aws.InvalidRegionError), _REGION),
    ((aws.ConnectionError, aws.HTTPClientError), "check the network, and AWS_REGION"),
)
_BY_CODE = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"),
        f"the credentials have expired: {_SIGN_IN}",
    ),
    **dict.fromkeys(
        (
            "AuthFailure",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidToken",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        "AWS does not know these credentials: check AWS_PROFILE and its keys",
    ),
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"),
        "these credentials may not do that: ask for the permission, or set another AWS_PROFILE",
    ),
    "NoSuchBucket": "check --bucket: it is the output RateCardBucketName of the stack",
    "PermanentRedirect": f"the bucket is in another region: {_REGION}",
}
_NO_STACK = "check --stack (`local` is that of this machine), and AWS_REGION and AWS_PROFILE"


@contextmanager
def calling_aws(what_cannot: str) -> Iterator[None]:
    """Raise what AWS refuses as `AwsFailed`; `what_cannot` begins the message, without a colon."""
    try:
        yield
    except (BotoCoreError, ClientError, Unavailable) as error:
        msg = f"{what_cannot}: {reason(error)}"
        raise AwsFailed(msg) from error


def reason(error: Exception) -> str:
    """Return what went wrong, in which region, and what helps."""
    cause = error.__cause__ if isinstance(error, Unavailable) else error
    advice = _advice(cause)
    # botocore ends some of its messages with a full stop.
    words = str(error).rstrip(".")
    if isinstance(cause, ClientError):
        words += f" (asked in {_region()})"
    return f"{words}: {advice}" if advice else words


def _advice(error: BaseException | None) -> str | None:
    if isinstance(error, ClientError):
        known = error.response["Error"]
        if error.operation_name == "DescribeStacks" and "not exist" in known.get("Message", ""):
            return _NO_STACK
        return _BY_CODE.get(known.get("Code", ""))
    return next((text for types, text in _BY_TYPE if isinstance(error, types)), None)


def _region() -> str:
    return boto3.Session().region_name or "no region"


def deployed_tables(stack_name: str) -> TableNames:
    """Return the names of a stack's tables; raise `WrongCall` if it is none of ours."""
    return TableNames(
        credit=output(stack_name, "CreditTableName"),
        usage=output(stack_name, "UsageTableName"),
        licensing=output(stack_name, "LicensingTableName"),
        events=output(stack_name, "EventsTableName"),
    )


def output(stack_name: str, name: str) -> str:
    """Return an output of a stack; raise `WrongCall` if it has none of this name."""
    value = outputs(stack_name).get(name)
    if value is None:
        msg = f"{stack_name} is not a stack of perminute: it has no output {name}"
        raise WrongCall(msg)
    return value


def outputs(stack_name: str) -> dict[str, str]:
    """Return all outputs of a stack."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def parameter(stack_name: str, name: str, default: str) -> str:
    """Return the value with which a stack was deployed; `default` if it has no such parameter."""
    return parameters(stack_name).get(name, default)


def parameters(stack_name: str) -> dict[str, str]:
    """Return all values with which a stack was deployed."""
    (stack,) = boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"]
    return {
        parameter["ParameterKey"]: parameter["ParameterValue"]
        for parameter in stack.get("Parameters", [])
    }


class Resource(NamedTuple):
    """One resource of a stack: its type, its id in the template and its name in AWS."""

    kind: str
    logical_id: str
    name: str


def resources_of(stack_name: str) -> list[Resource]:
    """List what a deployed stack is made of."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources")
    return [
        Resource(
            resource["ResourceType"], resource["LogicalResourceId"], resource["PhysicalResourceId"]
        )
        for page in pages.paginate(StackName=stack_name)
        for resource in page["StackResourceSummaries"]
    ]
