"""What receives call records: there only if asked for, private, and told of by S3 alone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from receiving import RECEIVING, STATEMENTS
from translated import translate

from perminute_local.conditions import decided, parameters_of, present
from perminute_local.stack import resources

if TYPE_CHECKING:
    from perminute_local.stack import Template

OF_ALL = {"RecordsQueue", "RecordsDeadLetters", "IngestRecordsFunction", "IngestRecordsRole"}
OF_EACH = {
    "DropBucket": {"RecordsBucket", "RecordsBucketPolicy", "RecordsRule", "RecordsQueuePolicy"},
    "ChimeBucket": {"ChimeRecordsRule", "RecordsQueuePolicy"},
    "WebhookSecret": {"WebhookApi", "WebhookStage", "ReceiveWebhooksFunction"},
    "GraphSecret": {
        "RecordsBucket",
        "RecordsRule",
        "PullGraphCallsFunction",
        "PullGraphLicensesFunction",
        "GraphSchedulerRole",
    },
}


def there(template: Template, **chosen: str) -> Template:
    return decided(template, parameters_of(template, chosen))


def test_a_stack_has_of_it_what_is_asked_for_and_by_default_nothing(template: Template) -> None:
    parts = OF_ALL.union(*OF_EACH.values())
    assert not parts & set(there(template)["Resources"])
    for parameter, value in RECEIVING.items():
        found = set(there(template, **{parameter: value})["Resources"])
        assert found >= OF_ALL | OF_EACH[parameter]
        others = set.union(*OF_EACH.values()) - OF_EACH[parameter]
        if parameter == "GraphSecret":
            # What is read from Graph comes in as a dropped file.
            others -= OF_EACH["DropBucket"]
        assert not found & others


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        STATEMENTS,
        {"NumbersKeptDays": "90"},
        {"NumbersKeptDays": "90", "UsageArchiveDays": "3650"},
        *({name: RECEIVING[name]} for name in RECEIVING),
    ],
)
def test_nothing_that_is_there_names_what_is_not(
    template: Template, chosen: dict[str, str]
) -> None:
    """What CloudFormation refuses, and no linter sees in a policy behind a condition."""
    made = there(template, **chosen, Stage="prod")
    known = {*made["Resources"], *template["Parameters"]}
    # SAM makes the alias of each function.
    found = {one for one in references({**made, "Conditions": {}}) if not one.startswith("AWS::")}
    assert {one.partition(".")[0] for one in found} - known == set()


def references(part: Any) -> set[str]:
    match part:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case {"Fn::Sub": str(text)}:
            return set(re.findall(r"\$\{([^}!]+)\}", text))
        case dict():
            return set[str]().union(*map(references, part.values()))
        case list():
            return set[str]().union(*map(references, part))
        case _:
            return set()


def test_sam_makes_every_part_of_it_under_the_same_condition(template: Template) -> None:
    translated = translate(template, GradualDeployment="true")
    conditions = {
        name: resource["Condition"]
        for name, resource in resources(template, "AWS::Serverless::Function")
        if "Condition" in resource
    }
    assert len(conditions) == 6
    for name, condition in conditions.items():
        made = {
            one: resource.get("Condition")
            for one, resource in translated["Resources"].items()
            if one.startswith(name) and one != f"{name.removesuffix('Function')}FailsAlarm"
        }
        assert len(made) >= 4, name
        assert set(made.values()) == {condition}, made


def test_records_are_encrypted_private_versioned_and_forgotten(template: Template) -> None:
    bucket = template["Resources"]["RecordsBucket"]
    said = bucket["Properties"]
    cards = template["Resources"]["RateCardBucket"]["Properties"]
    for same in ("BucketEncryption", "OwnershipControls", "PublicAccessBlockConfiguration"):
        assert said[same] == cards[same]
    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert said["VersioningConfiguration"] == {"Status": "Enabled"}
    assert said["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    rules = {rule["Id"]: rule for rule in said["LifecycleConfiguration"]["Rules"]}
    assert rules["ForgetRecords"]["ExpirationInDays"] == {"Ref": "RecordsRetentionDays"}
    # A dead letter may name a version for fourteen days.
    kept = rules["ForgetWhatWasReplacedOrForgotten"]["NoncurrentVersionExpiration"]
    dead = template["Resources"]["RecordsDeadLetters"]["Properties"]["MessageRetentionPeriod"]
    assert kept["NoncurrentDays"] * 86_400 > dead
    assert template["Parameters"]["RecordsRetentionDays"]["MinValue"] * 86_400 > dead
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}


def policy_of_the_bucket(template: Template, **chosen: str) -> dict[str, dict[str, Any]]:
    resource = there(template, **chosen)["Resources"]["RecordsBucketPolicy"]["Properties"]
    return {one["Sid"]: one for one in resource["PolicyDocument"]["Statement"]}


def test_senders_may_drop_records_and_nothing_else_and_nobody_forges_what_is_remembered(
    template: Template,
) -> None:
    everywhere = {"Fn::Sub": "${RecordsBucket.Arn}/*"}
    assert set(policy_of_the_bucket(template, DropBucket="true")) == {"NobodyConnectsWithoutTls"}
    sender = "arn:aws:iam::111122223333:role/carrier"
    named = policy_of_the_bucket(template, DropBucket="true", RecordSenders=sender)
    allowing = [one for one in named.values() if one["Effect"] == "Allow"]
    assert [(one["Principal"], one["Action"], one["Resource"]) for one in allowing] == [
        ({"AWS": {"Ref": "RecordSenders"}}, "s3:PutObject", everywhere)
    ]
    forging = policy_of_the_bucket(template, GraphSecret=RECEIVING["GraphSecret"])
    denied = forging["OnlyWhoAsksGraphRemembersIt"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", "*")
    assert denied["Resource"] == {"Fn::Sub": "${RecordsBucket.Arn}/state/*"}
    spared = denied["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert [one["Fn::GetAtt"][0] for one in spared] == [
        "PullGraphCallsRole",
        "PullGraphLicensesRole",
    ]
    tls = named["NobodyConnectsWithoutTls"]
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": False}})


def reported(bucket: object, key: str, kind: str = "Object Created") -> dict[str, Any]:
    return {
        "source": "aws.s3",
        "detail-type": kind,
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}},
    }


@pytest.mark.parametrize(
    ("rule", "key", "read"),
    [
        ("RecordsRule", "asterisk-csv/tz=Europe~Berlin/Master.csv", True),
        ("RecordsRule", "statement.csv", True),
        ("RecordsRule", "state/graph/t.json", False),
        ("ChimeRecordsRule", "Amazon-Chime-Voice-Connector-CDRs/json/vc/2026/11/02/1_t", True),
        ("ChimeRecordsRule", "Amazon-Chime-SMADRs/1", True),
        ("ChimeRecordsRule", "invoices/2026-11.pdf", False),
    ],
)
def test_a_rule_reads_what_is_new_in_its_bucket_and_no_state(
    template: Template, rule: str, key: str, *, read: bool
) -> None:
    pattern = template["Resources"][rule]["Properties"]["EventPattern"]
    # Of the default bus, where S3 reports.
    assert "EventBusName" not in template["Resources"][rule]["Properties"]
    (bucket,) = pattern["detail"]["bucket"]["name"]
    named = json.loads(json.dumps(pattern).replace(json.dumps(bucket), '"ours"'))
    assert matches_event(named, reported("ours", key)) is read
    assert not matches_event(named, reported("another", key))
    assert not matches_event(named, reported("ours", key, "Object Deleted"))


def matches_event(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    """Decide as EventBridge does; of `anything-but`, what our patterns use of it."""
    for name, wanted in pattern.items():
        value = event.get(name)
        if isinstance(wanted, dict):
            if not isinstance(value, dict) or not matches_event(wanted, value):
                return False
        elif not any(is_wanted(one, str(value)) for one in wanted):
            return False
    return True


def is_wanted(one: Any, value: str) -> bool:
    match one:
        case {"anything-but": {"prefix": str(prefix)}}:
            return not value.startswith(prefix)
        case {"prefix": str(prefix)}:
            return value.startswith(prefix)
        case _:
            return bool(one == value)


def test_webhooks_are_limited_in_number_and_logged_without_what_they_say(
    template: Template,
) -> None:
    stage = template["Resources"]["WebhookStage"]["Properties"]
    assert stage["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "WebhooksPerSecond"},
        "ThrottlingBurstLimit": {"Ref": "WebhookBurst"},
    }
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    said = " ".join(logged.values()).lower()
    assert not [word for word in ("path", "query", "body", "header") if word in said]
    group = template["Resources"]["WebhookApiLog"]["Properties"]["LogGroupName"]["Fn::Sub"]
    assert group.startswith("/aws/vendedlogs/")


def test_each_webhook_is_posted_to_a_route_of_its_own_that_its_function_answers(
    template: Template,
) -> None:
    found = {
        route["Properties"]["RouteKey"]: route["Properties"]
        for _, route in resources(template, "AWS::ApiGatewayV2::Route")
        if route["Properties"]["ApiId"] == {"Ref": "WebhookApi"}
    }
    assert set(found) == {
        "POST /webhooks/twilio/callback",
        "POST /webhooks/twilio/events",
        "POST /webhooks/freeswitch/cdr",
    }
    for route in found.values():
        assert route["Target"] == {"Fn::Sub": "integrations/${ReceiveWebhooksIntegration}"}
        # The function checks signatures; AWS knows nothing of Twilio's.
        assert route["AuthorizationType"] == "NONE"
    integration = template["Resources"]["ReceiveWebhooksIntegration"]["Properties"]
    assert integration["IntegrationUri"] == {"Ref": "ReceiveWebhooksFunction.Alias"}
    timeout = template["Resources"]["ReceiveWebhooksFunction"]["Properties"]["Timeout"]
    # Twilio waits for fifteen seconds.
    assert 1_000 * timeout < integration["TimeoutInMillis"] < 15_000


def test_the_address_that_is_signed_is_ours_or_the_one_that_is_said(template: Template) -> None:
    def address(**chosen: str) -> object:
        made = there(template, WebhookSecret=RECEIVING["WebhookSecret"], **chosen)
        function = made["Resources"]["ReceiveWebhooksFunction"]["Properties"]
        said = function["Environment"]["Variables"]["WEBHOOK_URL"]
        assert made["Outputs"]["WebhookEndpoint"]["Value"] == said
        return said

    assert address() == {"Fn::GetAtt": ["WebhookApi", "ApiEndpoint"]}
    assert address(WebhookUrl="https://calls.example.com") == {"Ref": "WebhookUrl"}


@pytest.mark.parametrize(
    ("parameter", "value", "valid"),
    [
        ("WebhookUrl", "https://calls.example.com", True),
        ("WebhookUrl", "https://calls.example.com/pbx", True),
        ("WebhookUrl", "https://calls.example.com/", False),
        ("WebhookUrl", "http://calls.example.com", False),
        ("WebhookSecret", RECEIVING["WebhookSecret"], True),
        ("WebhookSecret", "webhooks", False),
        ("GraphSecret", RECEIVING["GraphSecret"], True),
        ("GraphSecret", "arn:aws:ssm:eu-central-1:123456789012:parameter/graph", False),
        ("ChimeBucket", "calls-of-chime", True),
        ("ChimeBucket", "s3://calls-of-chime", False),
        ("RecordSenders", "123456789012", True),
        ("RecordSenders", "*", False),
    ],
)
def test_a_parameter_takes_what_it_is_meant_for(
    template: Template, parameter: str, value: str, *, valid: bool
) -> None:
    pattern = template["Parameters"][parameter]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) is valid


def test_no_output_is_of_what_is_not_there(template: Template) -> None:
    parameters = parameters_of(template, {})
    outputs = decided(template, parameters)["Outputs"]
    made = set(present(template, parameters)["Resources"])
    named = {name for output in outputs.values() for name in references(output["Value"])}
    assert {name.partition(".")[0] for name in named} <= made
    asked_for = {**RECEIVING, **STATEMENTS}
    everything = decided(template, parameters_of(template, asked_for))["Outputs"]
    assert set(everything) - set(outputs) == {
        "IngestRecordsRoleArn",
        "PullGraphCallsFunctionArn",
        "PullGraphLicensesFunctionArn",
        "RecordsBucketName",
        "RecordsDeadLettersUrl",
        "RecordsQueueUrl",
        "RenderStatementsFunctionArn",
        "StatementsBucketName",
        "StatementsDeadLettersUrl",
        "StatementsQueueUrl",
        "WebhookEndpoint",
    }
