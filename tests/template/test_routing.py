"""The template's own rules, on moto: which event reaches which queue."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import boto3
from receiving import without_records

from perminute_local.stack import Stack, Template, resources

EVENTS = (Path(__file__).parents[2] / "events").glob("*.json")
SAMPLES = sorted(path for path in EVENTS if "detail-type" in path.read_text())
BUS = "rules"
QUEUES = {
    "perminute.telephony": "CallsQueue",
    "perminute.licensing": "LicensingQueue",
    "perminute.billing": "CreditQueue",
}


def install_rules(template: Template, stack: Stack) -> None:
    """Do what CloudFormation would: moto's cannot make rules of a bus that it made itself."""
    template = without_records(template)
    events = boto3.client("events")
    events.create_event_bus(Name=BUS)
    for name, rule in resources(template, "AWS::Events::Rule"):
        pattern = json.dumps(rule["Properties"]["EventPattern"])
        events.put_rule(Name=name, EventBusName=BUS, EventPattern=pattern)
        targets = {
            target["Id"]: stack.queues[target["Arn"]["Fn::GetAtt"][0]].arn
            for target in rule["Properties"]["Targets"]
        }
        events.put_targets(
            Rule=name,
            EventBusName=BUS,
            Targets=[{"Id": target, "Arn": arn} for target, arn in targets.items()],
        )


def put(entries: list[dict[str, str]]) -> None:
    """Put a sample on the bus in the form that is meant for it."""
    there = [{**entry, "EventBusName": BUS} for entry in entries]
    assert boto3.client("events").put_events(Entries=there)["FailedEntryCount"] == 0


def publish(event: dict[str, Any]) -> None:
    answer = boto3.client("events").put_events(
        Entries=[
            {
                "EventBusName": BUS,
                "Source": event["source"],
                "DetailType": event["detail-type"],
                "Detail": json.dumps(event["detail"]),
            }
        ]
    )
    assert answer["FailedEntryCount"] == 0


def waiting(stack: Stack) -> dict[str, list[str]]:
    """What waits in which queue, as `source: detail-type`."""
    sqs = boto3.client("sqs")
    found = defaultdict(list)
    for name, queue in stack.queues.items():
        while messages := sqs.receive_message(QueueUrl=queue.url).get("Messages"):
            event = json.loads(messages[0]["Body"])
            found[name].append(f"{event['source']}: {event['detail-type']}")
    return {name: sorted(events) for name, events in found.items()}


def test_every_sample_reaches_the_queue_of_its_source(
    template: Template, moto_stack: Stack
) -> None:
    install_rules(template, moto_stack)
    expected = defaultdict(list)
    for sample in SAMPLES:
        event = json.loads(sample.read_text())
        put(json.loads((sample.parent / "put-events" / sample.name).read_text()))
        expected[QUEUES[event["source"]]].append(f"{event['source']}: {event['detail-type']}")
    assert set(expected) == set(QUEUES.values())
    assert waiting(moto_stack) == {name: sorted(events) for name, events in expected.items()}


def test_an_event_that_nobody_reads_is_kept_for_a_person(
    template: Template, moto_stack: Stack
) -> None:
    install_rules(template, moto_stack)
    for source in ("perminute.telefony", "perminute", "aws.s3"):
        publish({"source": source, "detail-type": "Call Ended", "detail": {}})
    assert waiting(moto_stack) == {
        "UnknownEvents": [
            "aws.s3: Call Ended",
            "perminute.telefony: Call Ended",
            "perminute: Call Ended",
        ]
    }


def test_an_event_of_unknown_type_is_for_the_function_to_refuse(
    template: Template, moto_stack: Stack
) -> None:
    # A rule that looked at the type would lose what it does not know.
    install_rules(template, moto_stack)
    for source in QUEUES:
        publish({"source": source, "detail-type": "Call Edned", "detail": {}})
    assert waiting(moto_stack) == {
        queue: [f"{source}: Call Edned"] for source, queue in QUEUES.items()
    }
