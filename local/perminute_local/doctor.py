"""`perminute doctor`: whether a deployed stack can charge calls, and who is notified if not."""

from __future__ import annotations

import json
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from perminute.adapters.s3_rate_cards import S3RateCards
from perminute.domain.errors import Unavailable
from perminute.domain.values.printable import counted
from perminute_local.console_checks import console_findings
from perminute_local.dead_letters import DEAD_LETTERS, UNKNOWN
from perminute_local.deployment import calling_aws, outputs, parameters, resources_of
from perminute_local.findings import Finding, Status, fail, ok, warn
from perminute_local.record_checks import record_findings
from perminute_local.retention_checks import retention_findings
from perminute_local.terminal import remark, write_json, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


CLOUDWATCH = "cloudwatch.amazonaws.com"
NEEDED = ("kms:Decrypt", "kms:GenerateDataKey")
"""What a service needs of the key of a topic that it publishes to."""

_OF_THE_SOURCE = {"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID"}
"""Conditions that an alarm of the same account meets; any other one keeps it out."""


class TopicAccess(Enum):
    """Whether CloudWatch can publish an alarm to a topic, and what to do if not."""

    ALLOWED = "receives alarms"
    MISSING = "does not exist: no alarm arrives"
    AWS_KEY = (
        "is encrypted with AWS's own key, which CloudWatch may not use, so no alarm arrives:"
        " use a key of yours"
    )
    KEY_FORBIDDEN = (
        "CloudWatch may not use its key, so no alarm arrives:"
        f" allow {CLOUDWATCH} {' and '.join(NEEDED)}* in the key's policy"
    )
    UNKNOWN = "its key cannot be read: check that CloudWatch may use it"


def access_to(topic_arn: str) -> TopicAccess:
    """Read a topic and the policy of its key."""
    try:
        attributes = boto3.client("sns").get_topic_attributes(TopicArn=topic_arn)["Attributes"]
    except ClientError as error:
        missing = error.response["Error"]["Code"] in {"NotFound", "NotFoundException"}
        return TopicAccess.MISSING if missing else TopicAccess.UNKNOWN
    key = attributes.get("KmsMasterKeyId")
    return _access_by_key(key) if key else TopicAccess.ALLOWED


def _access_by_key(key: str) -> TopicAccess:
    # The key policy of AWS's own keys lets in callers of the account, and no service; who could
    # change it is nobody.
    if "alias/aws/" in key:
        return TopicAccess.AWS_KEY
    kms = boto3.client("kms")
    try:
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        if found["KeyManager"] == "AWS":
            return TopicAccess.AWS_KEY
        answer = kms.get_key_policy(KeyId=found["KeyId"], PolicyName="default")
    except ClientError:
        return TopicAccess.UNKNOWN
    policy = json.loads(answer["Policy"])
    allowed = all(allows(policy, CLOUDWATCH, action) for action in NEEDED)
    return TopicAccess.ALLOWED if allowed else TopicAccess.KEY_FORBIDDEN


def allows(policy: Mapping[str, Any], service: str, action: str) -> bool:
    """Whether a resource policy lets a service act.

    Of conditions, only those about the source are taken to be met where they allow; a denial under
    any condition is passed over, for it may be about others.
    """
    matching = [
        statement
        for statement in _as_list(policy["Statement"])
        if _names_service(statement.get("Principal"), service) and _names_action(statement, action)
    ]
    denied = any(
        statement["Effect"] == "Deny" and not statement.get("Condition") for statement in matching
    )
    return not denied and any(
        statement["Effect"] == "Allow"
        and _keys_of(statement.get("Condition", {})) <= _OF_THE_SOURCE
        for statement in matching
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


MAX_ALARMS_AT_ONCE = 100
WITHOUT_BACKUPS = "ContentKeysTable"
"""A key that is destroyed with an organization's erasure must not come back."""
"""Alarms that CloudWatch describes by name in one request."""


def run_doctor(stack_name: str, *, as_json: bool) -> int:
    """Check everything; exit code 1 if anything is FAIL."""
    with calling_aws(f"{stack_name} cannot be checked"):
        checked = _CheckedStack(stack_name)
        findings = [finding for check in checked.checks for finding in check()]
    if as_json:
        write_json([finding._asdict() for finding in findings])
    else:
        write_lines(f"{f.health:<4} {f.what}: {f.message}" for f in findings)
    return 1 if any(finding.health is Status.FAIL for finding in findings) else 0


class _CheckedStack:
    def __init__(self, name: str) -> None:
        self._name = name
        self._outputs = outputs(name)
        if "CreditTableName" not in self._outputs:
            msg = f"{name} is not a stack of perminute: it has no output CreditTableName"
            raise WrongCall(msg)
        self._resources = resources_of(name)
        self._parameters = parameters(name)
        self.checks: tuple[Callable[[], Iterator[Finding]], ...] = (
            self._tables,
            self._producers,
            self._rate_card,
            self._records,
            self._console,
            self._retention,
            self._mappings,
            self._dead_letters,
            self._alarms,
            self._alarm_topics,
            self._subscriptions,
        )

    def _of_type(self, kind: str) -> dict[str, str]:
        return {
            resource.logical_id: resource.name
            for resource in self._resources
            if resource.kind == kind
        }

    def _tables(self) -> Iterator[Finding]:
        client = boto3.client("dynamodb")
        for name, table in self._of_type("AWS::DynamoDB::Table").items():
            status = client.describe_table(TableName=table)["Table"]["TableStatus"]
            backups = client.describe_continuous_backups(TableName=table)
            recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription")
            restorable = (recovery or {}).get("PointInTimeRecoveryStatus") == "ENABLED"
            if status != "ACTIVE":
                yield fail(name, f"is {status}")
            elif name == WITHOUT_BACKUPS and restorable:
                yield fail(name, "can be restored, with erased keys: switch off its recovery")
            elif name == WITHOUT_BACKUPS:
                yield ok(name, "is active and has no backups")
            elif not restorable:
                yield fail(name, "cannot be restored: switch on its recovery")
            else:
                yield ok(name, "is active and can be restored")

    def _producers(self) -> Iterator[Finding]:
        bus = boto3.client("events").describe_event_bus(Name=self._outputs["EventBusName"])
        named = _named_producers(json.loads(bus.get("Policy", "{}")))
        what, account = "bus", bus["Arn"].split(":")[4]
        if named is None:
            unsaid = "has no policy that says who may send credit: deploy the template again"
            yield fail(what, unsaid)
        elif set(named) <= {account}:
            anybody = "takes credit from whoever may send in this account; name BillingProducers"
            yield warn(what, anybody)
        else:
            yield ok(what, f"takes credit from {', '.join(named)}")

    def _rate_card(self) -> Iterator[Finding]:
        what, bucket = "rate card", self._outputs["RateCardBucketName"]
        try:
            card = S3RateCards(lambda: boto3.client("s3"), bucket, report=remark).current()
        except Unavailable as error:
            yield fail(what, f"{error}; publish one with perminute rates publish")
        else:
            rates = counted(len(card.rates), "rate")
            yield ok(what, f"version {card.version} with {rates} is in force")

    def _records(self) -> Iterator[Finding]:
        return record_findings(self._outputs, self._parameters)

    def _console(self) -> Iterator[Finding]:
        return console_findings(self._name, self._outputs, self._parameters)

    def _retention(self) -> Iterator[Finding]:
        names = {one.logical_id: one.name for one in self._resources}
        return retention_findings(names, self._outputs, self._parameters)

    def _mappings(self) -> Iterator[Finding]:
        client = boto3.client("lambda")
        for name, mapping in self._of_type("AWS::Lambda::EventSourceMapping").items():
            state = client.get_event_source_mapping(UUID=mapping)["State"]
            if state == "Enabled":
                yield ok(name, "is enabled")
            else:
                yield fail(name, f"is {state}: its function receives nothing")

    def _dead_letters(self) -> Iterator[Finding]:
        client = boto3.client("sqs")
        for name, url in self._of_type("AWS::SQS::Queue").items():
            if not (name.endswith(DEAD_LETTERS) or name == UNKNOWN):
                continue
            attribute = "ApproximateNumberOfMessages"
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
            count = int(answer["Attributes"][attribute])
            if count:
                yield fail(name, f"{count} waiting; see perminute dlq list")
            else:
                yield ok(name, "nothing waits")

    def _described_alarms(self) -> list[Any]:
        client = boto3.client("cloudwatch")
        names = list(self._of_type("AWS::CloudWatch::Alarm").values())
        alarms: list[Any] = []
        for start in range(0, len(names), MAX_ALARMS_AT_ONCE):
            some = names[start : start + MAX_ALARMS_AT_ONCE]
            alarms += client.describe_alarms(AlarmNames=some)["MetricAlarms"]
        return alarms

    def _alarms(self) -> Iterator[Finding]:
        by_name = {alarm: name for name, alarm in self._of_type("AWS::CloudWatch::Alarm").items()}
        alarms = self._described_alarms()
        ringing = [alarm for alarm in alarms if alarm["StateValue"] == "ALARM"]
        for alarm in ringing:
            name = by_name[alarm["AlarmName"]]
            yield fail(name, f"is in ALARM; see docs/runbook.md#{name.lower()}")
        if any(not alarm.get("AlarmActions") for alarm in alarms):
            yield warn("alarms", "notify nobody; deploy with AlarmTopic")
        if not ringing:
            yield ok("alarms", f"none of {len(alarms)} is in ALARM")

    def _alarm_topics(self) -> Iterator[Finding]:
        actions = {
            action for alarm in self._described_alarms() for action in alarm.get("AlarmActions", [])
        }
        for topic in sorted(action for action in actions if ":sns:" in action):
            access = access_to(topic)
            health = {TopicAccess.ALLOWED: Status.OK, TopicAccess.UNKNOWN: Status.WARN}
            yield Finding(health.get(access, Status.FAIL), f"topic {topic}", access.value)

    def _subscriptions(self) -> Iterator[Finding]:
        topic = self._outputs["NotificationTopicArn"]
        pages = boto3.client("sns").get_paginator("list_subscriptions_by_topic")
        found = [
            subscription
            for page in pages.paginate(TopicArn=topic)
            for subscription in page["Subscriptions"]
        ]
        pending = [
            subscription
            for subscription in found
            if subscription["SubscriptionArn"] == "PendingConfirmation"
        ]
        what, page = "notifications", "see docs/notifications.md"
        for subscription in pending:
            yield fail(what, f"a subscription by {subscription['Protocol']} has not been confirmed")
        if not found:
            yield warn(what, f"nobody subscribes to NotificationTopicArn; {page}")
        elif not pending:
            yield ok(what, counted(len(found), "subscribes", "subscribe"))


def _named_producers(policy: Mapping[str, Any]) -> list[str] | None:
    for statement in policy.get("Statement", ()):
        match statement:
            case {
                "Effect": "Deny",
                "Condition": {
                    "ForAnyValue:StringEquals": {"events:source": source},
                    "StringNotEquals": {"aws:PrincipalArn": str() | list() as named},
                },
            } if "perminute.billing" in source:
                return [named] if isinstance(named, str) else named
            case _:
                pass
    return None
