"""Whether CloudWatch can tell an alarm topic: an encrypted one needs a key that it may use."""

from __future__ import annotations

import json
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOUDWATCH = "cloudwatch.amazonaws.com"
NEEDED = ("kms:Decrypt", "kms:GenerateDataKey")
"""What a service needs of the key of a topic that it publishes to."""

_OF_THE_SOURCE = {"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"}
"""Conditions that an alarm of the same account meets; whoever names another one is mistaken."""


class Hearing(Enum):
    """What becomes of an alarm that this topic is told."""

    HEARD = "hears of alarms"
    MISSING = "is not there: no alarm is heard"
    AWS_KEY = (
        "is encrypted with AWS's own key, which CloudWatch may not use, so no alarm is heard:"
        " take a key of yours"
    )
    KEY_FORBIDDEN = (
        "CloudWatch may not use its key, so no alarm is heard:"
        f" let {CLOUDWATCH} {' and '.join(NEEDED)}* in the key's policy"
    )
    UNKNOWN = "its key cannot be looked at: see that CloudWatch may use it"


def hearing_of(topic_arn: str) -> Hearing:
    """Look at a topic and the policy of its key."""
    try:
        attributes = boto3.client("sns").get_topic_attributes(TopicArn=topic_arn)["Attributes"]
    except ClientError as error:
        missing = error.response["Error"]["Code"] in {"NotFound", "NotFoundException"}
        return Hearing.MISSING if missing else Hearing.UNKNOWN
    key = attributes.get("KmsMasterKeyId")
    return _hearing_by(key) if key else Hearing.HEARD


def _hearing_by(key: str) -> Hearing:
    # The key policy of AWS's own keys lets in callers of the account, and no service; who could
    # change it is nobody.
    if "alias/aws/" in key:
        return Hearing.AWS_KEY
    kms = boto3.client("kms")
    try:
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        if found["KeyManager"] == "AWS":
            return Hearing.AWS_KEY
        answer = kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")
    except ClientError:
        return Hearing.UNKNOWN
    policy = json.loads(answer["Policy"])
    allowed = all(allows(policy, CLOUDWATCH, action) for action in NEEDED)
    return Hearing.HEARD if allowed else Hearing.KEY_FORBIDDEN


def allows(policy: Mapping[str, Any], service: str, action: str) -> bool:
    """Whether a resource policy lets a service act.

    Of conditions, only those about the source are taken to be met where they allow; a denial under
    any condition is passed over, for it may be about others.
    """
    matching = [
        one
        for one in _as_list(policy["Statement"])
        if _names_service(one.get("Principal"), service) and _names_action(one, action)
    ]
    denied = any(one["Effect"] == "Deny" and not one.get("Condition") for one in matching)
    return not denied and any(
        one["Effect"] == "Allow" and _keys_of(one.get("Condition", {})) <= _OF_THE_SOURCE
        for one in matching
    )


def _names_service(principal: Any, service: str) -> bool:  # noqa: ANN401 - as the policy has it
    if not isinstance(principal, dict):
        return bool(principal == "*")
    return "*" in _as_list(principal.get("AWS", [])) or service in _as_list(
        principal.get("Service", [])
    )


def _names_action(statement: Mapping[str, Any], action: str) -> bool:
    patterns = _as_list(statement.get("Action", []))
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


def _keys_of(condition: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {key for keys in condition.values() for key in keys}


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON of policies has one or several
    return value if isinstance(value, list) else [value]
