"""`perminute doctor` against a stack: what is OK, what is not, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute.adapters.published_objects import PublishedObject
from perminute.adapters.rate_card_bucket import Pointer
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local import doctor
from perminute_local.cli import main
from perminute_local.deployment import Resource, outputs, resources_of
from perminute_local.replay.run import publish_rate_card
from perminute_local.stack import STACK_NAME, Stack, load_template

if TYPE_CHECKING:
    from collections.abc import Callable

RATES = Path(__file__).parents[2] / "examples" / "day" / "rates.csv"
OF_STACK = ["doctor", "--stack", STACK_NAME]
ACCOUNT = {"Ref": "AWS::AccountId"}
BILLING = "arn:aws:iam::123456789012:role/billing"
ALARM = Resource("AWS::CloudWatch::Alarm", "CallsDeadLettersAlarm", "the-alarm")
MAPPING = Resource("AWS::Lambda::EventSourceMapping", "Calls", "the-mapping")


@pytest.fixture
def stack(moto_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The template's stack on moto, fit: with recovery, a rate card, a listener and an alarm.

    The alarm is made beside the stack, since moto's CloudFormation makes none.
    """
    publish_rate_card(RATES.read_bytes(), moto_stack)
    dynamodb = boto3.client("dynamodb")
    for table in resources_of(STACK_NAME):
        if table.kind == "AWS::DynamoDB::Table" and table.logical_id != "ContentKeysTable":
            dynamodb.update_continuous_backups(
                TableName=table.name,
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )
    boto3.client("sns").subscribe(
        TopicArn=moto_stack.setting("NOTIFICATION_TOPIC_ARN"),
        Protocol="sqs",
        Endpoint=moto_stack.queues["UnknownEvents"].arn,
    )
    # Of a bus, moto's CloudFormation knows neither name nor policy.
    bus = {"EventBusName": STACK_NAME}
    monkeypatch.setattr(doctor, "outputs", lambda name: {**outputs(name), **bus})
    set_policy(BILLING)
    set_alarm(actions=[topic()])
    also_has(monkeypatch, ALARM)
    return moto_stack


def set_policy(*producers: str) -> None:
    """Give the bus the template's own policy."""
    policy = load_template()["Resources"]["EventBus"]["Properties"]["Policy"]
    text = json.dumps(policy).replace(
        json.dumps({"Fn::If": ["BillingOfThisAccount", [ACCOUNT], {"Ref": "BillingProducers"}]}),
        json.dumps(producers),
    )
    boto3.client("events").put_permission(EventBusName=STACK_NAME, Policy=text)


def set_alarm(*, actions: list[str]) -> None:
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName=ALARM.name,
        AlarmActions=actions,
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )


def topic() -> str:
    """Make the topic that hears of alarms; returns its ARN."""
    made = boto3.client("sns").create_topic(Name="on-call")
    arn: str = made["TopicArn"]
    return arn


def key(*statements: dict[str, Any]) -> str:
    """Make a key of one's own with this policy beside the usual one; returns its id."""
    account = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = {"Version": "2012-10-17", "Statement": [account, *statements]}
    made = boto3.client("kms").create_key(Policy=json.dumps(policy))
    key_id: str = made["KeyMetadata"]["KeyId"]
    return key_id


def also_has(monkeypatch: pytest.MonkeyPatch, resource: Resource) -> None:
    """Let the stack have a resource that moto's CloudFormation cannot make."""
    real = resources_of
    monkeypatch.setattr(doctor, "resources_of", lambda name: [*real(name), resource])


def findings(capsys: pytest.CaptureFixture[str], *, code: int) -> list[dict[str, Any]]:
    """Run it; returns what is not OK."""
    assert main([*OF_STACK, "--json"]) == code
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return [one for one in found if one["health"] != "OK"]


def test_a_stack_that_can_charge_calls_is_ok_in_each_part(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stack.queues
    assert findings(capsys, code=0) == []
    assert main(OF_STACK) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "OK   CreditTable: is active and can be restored" in lines
    assert "OK   ContentKeysTable: is active and has no backups" in lines
    assert "OK   CallsDeadLetters: nothing waits" in lines
    count = len(read_rate_card(RATES.read_bytes()).rates)
    assert any(f"with {count} rates is in force" in line for line in lines)
    assert any(line.startswith("OK   notifications: 1 subscribes") for line in lines)


@pytest.mark.usefixtures("stack")
def test_a_bus_that_takes_credit_from_anybody_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    set_policy("123456789012")
    (found,) = findings(capsys, code=0)
    assert found == {
        "health": "WARN",
        "what": "bus",
        "message": "takes credit from whoever may send in this account; name BillingProducers",
    }
    set_policy("123456789012", BILLING)
    assert findings(capsys, code=0) == []
    boto3.client("events").remove_permission(EventBusName=STACK_NAME, RemoveAllPermissions=True)
    (found,) = findings(capsys, code=1)
    assert found == {
        "health": "FAIL",
        "what": "bus",
        "message": "has no policy that says who may send credit: deploy the template again",
    }


def test_a_table_that_cannot_be_restored_is_found(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("dynamodb").update_continuous_backups(
        TableName=stack.setting("CREDIT_TABLE"),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
    )
    (found,) = findings(capsys, code=1)
    assert found == {
        "health": "FAIL",
        "what": "CreditTable",
        "message": "cannot be restored: switch on its recovery",
    }


def test_keys_that_would_come_back_from_a_backup_are_found(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    boto3.client("dynamodb").update_continuous_backups(
        TableName=stack.setting("CONTENT_KEYS_TABLE"),
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    (found,) = findings(capsys, code=1)
    assert found == {
        "health": "FAIL",
        "what": "ContentKeysTable",
        "message": "can be restored, with erased keys: switch off its recovery",
    }


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        (None, b"", "current.json cannot be read: An error occurred (NoSuchKey)"),
        (
            "rate-cards/current.json",
            b"{}",
            "pointer cannot be read: rate-cards/current.json must be an object with version, key",
        ),
        (
            "rate-cards/current.json",
            b'{"version":"x","key":"nowhere.csv","digest":"0000000000000000000000000000000000000000000000000000000000000000"}',
            "nowhere.csv cannot be read: An error",
        ),
        (
            "rate-cards/current.json",
            b'{"version":"x","key":"rate-cards/x.csv"}',
            "rate-cards/current.json has no digest, so an older perminute published version x",
        ),
        (
            "bad",
            b"leg_type,prefix\nx,y\n",
            "rate card bad in bad is refused: line 1: column currency is missing",
        ),
    ],
)
def test_a_rate_card_that_is_missing_or_faulty_is_found(
    stack: Stack,
    capsys: pytest.CaptureFixture[str],
    key: str | None,
    content: bytes,
    message: str,
) -> None:
    s3, bucket = boto3.client("s3"), stack.setting("RATE_CARD_BUCKET")
    if key is None:
        s3.delete_object(Bucket=bucket, Key="rate-cards/current.json")
    else:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    if key == "bad":
        pointer = Pointer("bad", PublishedObject.of("bad", content)).content()
        s3.put_object(Bucket=bucket, Key="rate-cards/current.json", Body=pointer)
    (found,) = findings(capsys, code=1)
    assert (found["health"], found["what"]) == ("FAIL", "rate card")
    assert message in found["message"]
    assert found["message"].endswith("publish one with perminute rates publish")


def test_dead_letters_and_alarms_are_found_with_where_to_read_on(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    url = stack.queues["CallsDeadLetters"].url
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    boto3.client("cloudwatch").set_alarm_state(
        AlarmName=ALARM.name, StateValue="ALARM", StateReason="test"
    )
    assert findings(capsys, code=1) == [
        {
            "health": "FAIL",
            "what": "CallsDeadLetters",
            "message": "1 waiting; see perminute dlq list",
        },
        {
            "health": "FAIL",
            "what": "CallsDeadLettersAlarm",
            "message": "is in ALARM; see docs/runbook.md#callsdeadlettersalarm",
        },
    ]


def test_alarms_that_notify_nobody_are_a_warning(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stack.queues
    set_alarm(actions=[])
    assert findings(capsys, code=0) == [
        {
            "health": "WARN",
            "what": "alarms",
            "message": "notify nobody; deploy with AlarmTopic",
        }
    ]


def statement(**parts: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        **parts,
    }


OF_THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": "123456789012"}}
BY_OTHERS = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("statements", "heard"),
    [
        ([], False),
        ([statement()], True),
        ([statement(Condition=OF_THIS_ACCOUNT)], True),
        ([statement(Condition=BY_OTHERS)], False),
        ([statement(Action="kms:Decrypt")], False),
        ([statement(Action="kms:Decrypt"), statement(Action="kms:generate*")], True),
        ([statement(Principal={"Service": ["events.amazonaws.com"]})], False),
        ([statement(Principal={"AWS": "*"})], True),
        ([statement(Principal="*")], True),
        ([statement(), statement(Effect="Deny", Action="kms:GenerateDataKey*")], False),
        (
            [
                statement(),
                statement(Effect="Deny", Action="kms:GenerateDataKey*", Condition=BY_OTHERS),
            ],
            True,
        ),
    ],
)
def test_an_alarm_topic_whose_key_cloudwatch_may_not_use_is_found(
    capsys: pytest.CaptureFixture[str], statements: list[dict[str, Any]], *, heard: bool
) -> None:
    key_id = key(*statements)
    boto3.client("kms").create_alias(AliasName="alias/on-call", TargetKeyId=key_id)
    arn = topic()
    for name in (key_id, "alias/on-call"):
        boto3.client("sns").set_topic_attributes(
            TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=name
        )
        found = findings(capsys, code=int(not heard))
        assert [(one["health"], one["what"]) for one in found] == (
            [] if heard else [("FAIL", f"topic {arn}")]
        )
    if not heard:
        (one,) = found
        assert one["message"] == (
            "CloudWatch may not use its key, so no alarm arrives: allow cloudwatch.amazonaws.com"
            " kms:Decrypt and kms:GenerateDataKey* in the key's policy"
        )


@pytest.mark.usefixtures("stack")
def test_an_alarm_topic_with_the_key_of_aws_receives_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arn = topic()
    boto3.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="alias/aws/sns"
    )
    (found,) = findings(capsys, code=1)
    assert found["message"].startswith("is encrypted with AWS's own key")


@pytest.mark.usefixtures("stack")
def test_an_alarm_topic_that_is_gone_or_whose_key_is_out_of_reach_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arn = topic()
    boto3.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="a-key-of-another-account"
    )
    assert [one["health"] for one in findings(capsys, code=0)] == ["WARN"]
    boto3.client("sns").delete_topic(TopicArn=arn)
    (found,) = findings(capsys, code=1)
    assert found["message"] == "does not exist: no alarm arrives"


class Lambda:
    """A service whose mappings are all switched off."""

    def get_event_source_mapping(self, UUID: str) -> dict[str, str]:  # noqa: N803 - AWS's name
        return {"State": "Disabled", "UUID": UUID}


class Topic:
    """A topic with these subscriptions."""

    def __init__(self, *arns: str) -> None:
        self.arns = arns

    def get_topic_attributes(self, **_: str) -> dict[str, Any]:
        return {"Attributes": {}}

    def get_paginator(self, _: str) -> Topic:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        found = [{"SubscriptionArn": arn, "Protocol": "email"} for arn in self.arns]
        return [{"Subscriptions": found}]


def answered_by(monkeypatch: pytest.MonkeyPatch, service: str, fake: object) -> None:
    """Let a service answer with what moto cannot have."""
    real: Callable[[str], object] = boto3.client
    monkeypatch.setattr(boto3, "client", lambda name: fake if name == service else real(name))


def test_a_mapping_that_is_switched_off_is_found(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stack.queues
    also_has(monkeypatch, MAPPING)
    answered_by(monkeypatch, "lambda", Lambda())
    assert findings(capsys, code=1) == [
        {
            "health": "FAIL",
            "what": "Calls",
            "message": "is Disabled: its function receives nothing",
        }
    ]


@pytest.mark.parametrize(
    ("topic", "health", "message"),
    [
        (
            Topic("arn:aws:sns:x", "PendingConfirmation"),
            "FAIL",
            "a subscription by email has not been confirmed",
        ),
        (
            Topic(),
            "WARN",
            "nobody subscribes to NotificationTopicArn; see docs/notifications.md",
        ),
    ],
)
@pytest.mark.usefixtures("stack")
def test_a_topic_without_confirmed_subscribers_is_found(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    topic: Topic,
    health: str,
    message: str,
) -> None:
    answered_by(monkeypatch, "sns", topic)
    assert findings(capsys, code=int(health == "FAIL")) == [
        {"health": health, "what": "notifications", "message": message}
    ]


def test_another_stack_is_none_of_ours(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert stack.queues
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
    }
    boto3.client("cloudformation").create_stack(
        StackName="other", TemplateBody=json.dumps(template)
    )
    assert main(["doctor", "--stack", "other"]) == 2
    assert "other is not a stack of perminute" in capsys.readouterr().err
