"""The picture of the system shows what the template has, and how that is connected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pictures import arrows_of, picture

from perminute_local.stack import Template, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

OUTSIDE = {
    ("telephony", "EventBus"),
    ("licensing", "EventBus"),
    ("billing", "EventBus"),
    ("telephony", "CallsQueue"),
    ("bridge", "ChargingApi"),
    ("admin", "ChargingApi"),
    ("NotificationTopic", "subscribers"),
    ("files", "RecordsBucket"),
    ("webhooks", "WebhookApi"),
    ("PullGraphCallsFunction", "graph"),
    ("PullGraphLicensesFunction", "graph"),
}
SCHEDULES = {
    "Daily": "daily",
    "Evening": "evening",
    "Nightly": "nightly",
    "Often": "often",
    "Monthly": "monthly",
}
Arrow = tuple[str, str]


def test_the_picture_shows_what_the_template_connects_and_nothing_else(template: Template) -> None:
    real = {
        *(*OUTSIDE, *fed(template), *ruled(template), *given_up(template)),
        *(*allowed(template), *queued(template)),
    }
    pictures = map(picture, ("The system", "Call records", "Statements"))
    drawn = set[Arrow]().union(*map(arrows_of, pictures))
    assert sorted(real - drawn) == [], "not drawn"
    assert sorted(drawn - real) == [], "not there"


def fed(template: Template) -> Iterator[Arrow]:
    """From what makes a function run to the function."""
    for name, function in resources(template, "AWS::Serverless::Function"):
        events = function["Properties"].get("Events", {})
        if not events:
            yield "WebhookApi" if name == "ReceiveWebhooksFunction" else "ChargingApi", name
        for event, said in events.items():
            match said["Type"]:
                case "SQS":
                    yield said["Properties"]["Queue"]["Fn::GetAtt"][0], name
                case "DynamoDB":
                    yield said["Properties"]["Stream"]["Fn::GetAtt"][0], name
                case _:
                    yield SCHEDULES[event], name


def ruled(template: Template) -> Iterator[Arrow]:
    """From the bus by its rules to where they deliver, and to where they keep what they cannot."""
    for name, rule in resources(template, "AWS::Events::Rule"):
        match rule["Properties"]:
            case {"EventBusName": {"Ref": bus}}:
                yield bus, name
            case {"EventPattern": {"detail": {"bucket": {"name": [{"Ref": bucket}]}}}}:
                yield bucket, name
        for target in rule["Properties"]["Targets"]:
            yield name, target["Arn"]["Fn::GetAtt"][0]
            yield name, target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]


def given_up(template: Template) -> Iterator[Arrow]:
    """From a queue to its dead letters."""
    for name, queue in resources(template, "AWS::SQS::Queue"):
        if "RedrivePolicy" in queue["Properties"]:
            policy = queue["Properties"]["RedrivePolicy"]
            yield name, policy["deadLetterTargetArn"]["Fn::GetAtt"][0]


def allowed(template: Template) -> Iterator[Arrow]:
    """From a function to what its role names, but for what feeds it."""
    arrows = set(fed(template))
    for name, function in resources(template, "AWS::Serverless::Function"):
        role = template["Resources"][function["Properties"]["Role"]["Fn::GetAtt"][0]]
        yield from ((name, one) for one in named_by(role) if (one, name) not in arrows)


def queued(template: Template) -> Iterator[Arrow]:
    """From a function to the queue that it reads, in which it leaves itself work."""
    feeding = set(fed(template))
    for name, function in resources(template, "AWS::Serverless::Function"):
        role = template["Resources"][function["Properties"]["Role"]["Fn::GetAtt"][0]]
        sent_to = named_by(role, "sqs:SendMessage")
        yield from ((name, queue) for queue in sent_to if (queue, name) in feeding)


def named_by(role: dict[str, Any], action: str | None = None) -> set[str]:
    found: set[str] = set()
    for policy in role["Properties"]["Policies"]:
        for said in policy["PolicyDocument"]["Statement"]:
            statement = said["Fn::If"][1] if "Fn::If" in said else said
            if action is not None and action not in statement["Action"]:
                continue
            match statement["Resource"]:
                case {"Fn::GetAtt": [str(name), "Arn"]} | {"Ref": str(name)}:
                    found.add(name)
                case {"Fn::Sub": str(text)} if ":event-bus/" in text:
                    found.add("EventBus")
                case {"Fn::Sub": str(text)}:
                    last = text.rpartition("${")[2]
                    found.add(re.split(r"[.}]", last)[0])
    return {name.removesuffix(".Alias") for name in found if not name.endswith("Log")}
