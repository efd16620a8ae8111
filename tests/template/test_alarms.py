"""What goes wrong wakes somebody, who is told what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from template_queues import read_queues

from perminute.adapters.sqs_wakeups import DELAY_SECONDS
from perminute.observability import NAMESPACE
from perminute_local.stack import Template, environment_of, resources

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
COUNTING = "".join(
    (ROOT / "functions" / path).read_text()
    for path in ("charge_calls/handler.py", "perminute/observability.py")
)


def alarms(template: Template) -> dict[str, Any]:
    found = resources(template, "AWS::CloudWatch::Alarm")
    return {name: alarm["Properties"] for name, alarm in found}


def watched(template: Template, metric: str, **condition: object) -> set[str]:
    """Name the queues of which an alarm watches this metric, under exactly this condition."""
    return {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in alarms(template).values()
        if (alarm.get("Namespace"), alarm.get("MetricName")) == ("AWS/SQS", metric)
        if {name: alarm[name] for name in condition} == condition
    }


def test_the_first_message_in_a_queue_that_no_function_reads_raises_an_alarm(
    template: Template,
) -> None:
    unread = {name for name, _ in resources(template, "AWS::SQS::Queue")} - read_queues(template)
    assert unread == watched(
        template,
        "ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        ComparisonOperator="GreaterThanThreshold",
        Threshold=0,
    )


def test_a_message_that_waits_too_long_for_its_function_raises_an_alarm(
    template: Template,
) -> None:
    def late(seconds: int) -> set[str]:
        return watched(
            template,
            "ApproximateAgeOfOldestMessage",
            Statistic="Maximum",
            ComparisonOperator="GreaterThanThreshold",
            Threshold=seconds,
        )

    # Some messages of this queue are delayed for a quarter of an hour on purpose.
    assert late(900 + DELAY_SECONDS) == {"ReratingsQueue"}
    assert late(900) == read_queues(template) - {"ReratingsQueue"}


def test_what_our_own_counts_tell_of_raises_an_alarm(template: Template) -> None:
    ours = {
        alarm["MetricName"]: (alarm["Dimensions"], alarm["Statistic"], alarm["Threshold"])
        for alarm in alarms(template).values()
        if alarm.get("Namespace") == NAMESPACE
    }
    counted_by = {
        "CallsUnrated": "ChargeCallsFunction",
        "CallsNotEntitled": "ChargeCallsFunction",
        "RateCardsNotRenewed": "ChargeCallsFunction",
        "BookDifferences": "ReconcileBooksFunction",
        "RechargesUnanswered": "ExpireCreditFunction",
    }
    assert ours == {
        metric: ([{"Name": "service", "Value": service_of(template, function)}], "Sum", 0)
        for metric, function in counted_by.items()
    }
    assert {metric for metric in ours if f'"{metric}"' not in COUNTING} == set()


def service_of(template: Template, function: str) -> object:
    environment = environment_of(template["Resources"][function], template)
    return environment["POWERTOOLS_SERVICE_NAME"]


def test_a_notification_that_waits_in_the_stream_raises_an_alarm(template: Template) -> None:
    late = [
        alarm for alarm in alarms(template).values() if alarm.get("MetricName") == "IteratorAge"
    ]
    reading = [
        name
        for name, function in resources(template, "AWS::Serverless::Function")
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    ]
    assert [alarm["Dimensions"] for alarm in late] == [
        [{"Name": "FunctionName", "Value": {"Ref": name}}] for name in reading
    ]
    assert {(alarm["Statistic"], alarm["Threshold"]) for alarm in late} == {("Maximum", 900_000)}


def test_requests_that_fail_or_wait_raise_an_alarm(template: Template) -> None:
    watched_ = {
        alarm["MetricName"]: (alarm["Dimensions"], alarm["Threshold"])
        for alarm in alarms(template).values()
        if alarm.get("Namespace") == "AWS/ApiGateway"
    }
    api = [{"Name": "ApiId", "Value": {"Ref": "ChargingApi"}}]
    assert watched_ == {"5xx": (api, 0), "Latency": (api, 2_000)}


def test_a_notification_that_a_subscriber_does_not_get_raises_an_alarm(template: Template) -> None:
    alarm = alarms(template)["NotificationsNotDeliveredAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SNS", "NumberOfNotificationsFailed")
    assert alarm["Dimensions"] == [
        {"Name": "TopicName", "Value": {"Fn::GetAtt": ["NotificationTopic", "TopicName"]}}
    ]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)


def test_calls_that_are_read_and_not_counted_raise_an_alarm(template: Template) -> None:
    """All that is counted of charging comes by its log: nothing else tells that it is silent."""
    silence, *parts = alarms(template)["CallsAreNotCountedAlarm"]["Metrics"]
    assert silence["Expression"] == ("IF(read > 0 AND FILL(batches, 0) == 0, 1, 0)")
    metrics = {part["Id"]: part["MetricStat"]["Metric"] for part in parts}
    queue = {"Fn::GetAtt": ["CallsQueue", "QueueName"]}
    service = service_of(template, "ChargeCallsFunction")
    assert {
        name: (m["MetricName"], m["Dimensions"][0]["Value"]) for name, m in metrics.items()
    } == {
        "read": ("NumberOfMessagesDeleted", queue),
        "batches": ("EventsAccepted", service),
    }
    # A batch of repeats alone is counted with a 0: what matters is that there is a count.
    stats = {part["Id"]: part["MetricStat"]["Stat"] for part in parts}
    assert stats == {"read": "Sum", "batches": "SampleCount"}
    assert 'add_metric("EventsAccepted", MetricUnit.Count, len(settled.accepted))' in COUNTING


def test_every_alarm_links_to_its_heading_in_the_runbook(template: Template) -> None:
    links = {
        name: re.findall(r"docs/runbook\.md#(\S+)$", alarm["AlarmDescription"])
        for name, alarm in alarms(template).items()
    }
    headings = re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(headings) == sorted(links)
    assert links == {name: [name.lower()] for name in alarms(template)}


def test_no_link_within_the_runbook_leads_nowhere() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    prose = re.sub(r"```.*?```", "", RUNBOOK, flags=re.DOTALL)
    assert set(re.findall(r"\(#([^)]+)\)", prose)) - anchors == set()


def test_every_alarm_tells_the_topic_if_there_is_one(template: Template) -> None:
    told = {name: alarm["AlarmActions"] for name, alarm in alarms(template).items()}
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert told == dict.fromkeys(alarms(template), topic)
