"""What goes wrong wakes somebody, who is told what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from receiving import RECEIVING, STATEMENTS
from template_queues import read_queues

from perminute.adapters.dynamodb.streams import HEARTBEAT
from perminute.adapters.messaging import DELAY_SECONDS
from perminute.observability import NAMESPACE
from perminute_local.conditions import parameters_of, present
from perminute_local.replay.streams import matches
from perminute_local.stack import Template, environment_of, resources

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
COUNTING = "".join(
    path.read_text() for path in sorted((ROOT / "functions" / "perminute").rglob("*.py"))
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
    # What runs by night may take a part of it, and nobody waits for what runs twice a month.
    scheduled = {"ExpiriesQueue", "MaskingsQueue", "ReconciliationsQueue", "StatementsQueue"}
    assert late(4 * 60 * 60) == scheduled
    by_day = read_queues(template) - {"ReratingsQueue", *scheduled}
    assert late(900) == by_day


def test_what_our_own_counts_tell_of_raises_an_alarm(template: Template) -> None:
    ours = {
        alarm["MetricName"]: (alarm["Dimensions"], alarm["Statistic"], alarm["Threshold"])
        for alarm in alarms(template).values()
        if alarm["Namespace"] == NAMESPACE
        and alarm["Statistic"] == "Sum"
        and alarm["MetricName"] != "DailyRuns"
    }
    counted_by = {
        "CallsUnrated": "ChargeCallsFunction",
        "CallsNotEntitled": "ChargeCallsFunction",
        "RateCardsNotRenewed": "ChargeCallsFunction",
        "BookDifferences": "ReconcileBooksFunction",
        "RechargesUnanswered": "ExpireCreditFunction",
        "RecordsInProblem": "IngestRecordsFunction",
        "WebhooksForbidden": "ReceiveWebhooksFunction",
        "GraphPullsFailed": "PullGraphCallsFunction",
    }
    assert ours == {
        metric: ([{"Name": "service", "Value": service_of(template, function)}], "Sum", 0)
        for metric, function in counted_by.items()
    }
    assert {metric for metric in ours if f'"{metric}"' not in COUNTING} == set()


def test_a_daily_run_that_does_not_list_all_organizations_raises_an_alarm(
    template: Template,
) -> None:
    """No run is no data, which must be as bad as too little; and one may be later than the last."""
    silent = {
        name: alarm["Dimensions"]
        for name, alarm in alarms(template).items()
        if alarm.get("MetricName") == "DailyRuns"
        and alarm["TreatMissingData"] == "breaching"
        and (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])
        == ("Sum", "LessThanThreshold", 1)
        and 24 * 3_600 < alarm["Period"] * alarm["EvaluationPeriods"] <= 7 * 24 * 3_600
        and alarm["Period"] >= 3_600
    }
    assert silent == {
        name: [{"Name": "service", "Value": service_of(template, function)}]
        for name, function in {
            "QueueReratingsDidNotRunAlarm": "QueueReratingsFunction",
            "ExpiryDidNotRunAlarm": "ExpireCreditFunction",
            "ReconciliationDidNotRunAlarm": "ReconcileBooksFunction",
            "MaskingDidNotRunAlarm": "MaskNumbersFunction",
        }.items()
    }
    assert '"DailyRuns"' in COUNTING


def service_of(template: Template, function: str) -> object:
    environment = environment_of(template["Resources"][function], template)
    return environment["POWERTOOLS_SERVICE_NAME"]


def stream_mappings(template: Template) -> dict[str, Any]:
    return {
        name: event["Properties"]
        for name, function in resources(template, "AWS::Serverless::Function")
        for event in function["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    }


def test_what_waits_in_the_stream_raises_an_alarm_even_if_nobody_reads_it(
    template: Template,
) -> None:
    late = [alarm for alarm in alarms(template).values() if alarm["MetricName"] == "IteratorAge"]
    assert [alarm["Dimensions"] for alarm in late] == [
        [{"Name": "FunctionName", "Value": {"Ref": name}}] for name in stream_mappings(template)
    ]
    assert {(alarm["Statistic"], alarm["Threshold"]) for alarm in late} == {("Maximum", 900_000)}
    # Of a mapping that is disabled there is no age at all.
    assert {alarm["TreatMissingData"] for alarm in late} == {"breaching"}


def test_a_heartbeat_comes_to_every_reader_of_the_stream_within_each_period(
    template: Template,
) -> None:
    schedule = template["Resources"]["StreamHeartbeat"]["Properties"]
    minutes = re.fullmatch(r"rate\(([0-9]+) minutes\)", schedule["ScheduleExpression"])
    assert minutes is not None
    periods = {
        alarm["Period"]
        for alarm in alarms(template).values()
        if alarm["MetricName"] == "IteratorAge"
    }
    assert int(minutes[1]) * 60 < min(periods)
    written = json.loads(schedule["Target"]["Input"]["Fn::Sub"])
    assert written["TableName"] == "${CreditTable}"
    assert written["Item"]["record"] == {"S": HEARTBEAT}
    # DynamoDB leaves what is written as it was out of the stream.
    assert written["Item"]["at"] == {"S": "<aws.scheduler.scheduled-time>"}
    keys = {name: written["Item"][name] for name in ("organizationId", "record")}
    for event in ("INSERT", "MODIFY"):
        record = {"eventName": event, "dynamodb": {"Keys": keys}}
        for name, mapping in stream_mappings(template).items():
            filters = mapping["FilterCriteria"]["Filters"]
            assert any(matches(json.loads(one["Pattern"]), record) for one in filters), name


def test_requests_that_fail_wait_or_are_refused_raise_an_alarm(template: Template) -> None:
    watched_ = {
        (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"]): (
            alarm.get("Statistic") or alarm["ExtendedStatistic"],
            alarm["Threshold"],
        )
        for alarm in alarms(template).values()
        if alarm["Namespace"] == "AWS/ApiGateway"
    }
    assert watched_ == {
        ("ChargingApi", "5xx"): ("Sum", 0),
        ("ChargingApi", "4xx"): ("Sum", 10),
        ("ChargingApi", "Latency"): ("p99", 2_000),
        # What is refused of webhooks is counted by their function.
        ("WebhookApi", "5xx"): ("Sum", 0),
    }


def test_requests_that_are_throttled_are_counted_in_the_log_of_the_api(template: Template) -> None:
    found = template["Resources"]
    counting = found["ThrottledRequests"]["Properties"]
    (counted,) = counting["MetricTransformations"]
    alarm = found["RequestsAreThrottledAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Threshold"]) == (
        counted["MetricNamespace"],
        counted["MetricName"],
        0,
    )
    # With a value for the time without any it would have its price all month.
    assert "DefaultValue" not in counted
    logged = found["ChargingStage"]["Properties"]["AccessLogSettings"]
    assert logged["DestinationArn"]["Fn::GetAtt"][0] == counting["LogGroupName"]["Ref"]
    assert json.loads(logged["Format"])["status"] == "$context.status"
    assert counting["FilterPattern"] == '{ $.status = "429" }'


def test_functions_that_are_not_let_run_raise_an_alarm_whosever_they_are(
    template: Template,
) -> None:
    alarm = alarms(template)["FunctionsAreThrottledAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Throttles")
    # Without dimensions it is the sum over all functions of the account and region.
    assert "Dimensions" not in alarm
    reserved = [
        name
        for name, function in resources(template, "AWS::Serverless::Function")
        if "ReservedConcurrentExecutions" in function["Properties"]
    ]
    assert reserved == []


def test_a_table_that_refuses_what_moves_money_raises_an_alarm(template: Template) -> None:
    watched_ = {
        (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"])
        for alarm in alarms(template).values()
        if alarm["MetricName"].endswith("ThrottleEvents")
    }
    # What the other tables refuse makes licensing, or a check of books, late: their queues ring.
    assert watched_ == {
        ("CreditTable", "ReadThrottleEvents"),
        ("CreditTable", "WriteThrottleEvents"),
        ("UsageTable", "WriteThrottleEvents"),
    }


def test_the_failures_of_every_function_raise_an_alarm(template: Template) -> None:
    watched_ = {
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in alarms(template).values()
        if alarm["MetricName"] == "Errors"
    }
    events = {
        name: {event["Type"] for event in function["Properties"].get("Events", {}).values()}
        for name, function in resources(template, "AWS::Serverless::Function")
    }
    # What a schedule starts and fails is a dead letter or late, and a request that fails a 5xx.
    elsewhere = {name for name, kinds in events.items() if "ScheduleV2" in kinds or not kinds}
    # The next run makes up for one that fails, so that none of its runs becomes a dead letter.
    assert watched_ == set(events) - elsewhere | {"PullGraphLicensesFunction"}


def test_graph_that_nobody_asks_raises_an_alarm(template: Template) -> None:
    silent = {
        alarm["Dimensions"][0]["Value"]["Ref"]: alarm["Period"] * alarm["EvaluationPeriods"]
        for alarm in alarms(template).values()
        if alarm["MetricName"] == "Invocations"
        and alarm["TreatMissingData"] == "breaching"
        and (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"])
        == ("Sum", "LessThanThreshold", 1)
    }
    assert silent == {
        "PullGraphCallsFunction": 2 * 24 * 3_600,
        "PullGraphLicensesFunction": 2 * 3_600,
    }


def test_a_notification_that_a_subscriber_does_not_get_raises_an_alarm(template: Template) -> None:
    alarm = alarms(template)["NotificationsNotDeliveredAlarm"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/SNS", "NumberOfNotificationsFailed")
    assert alarm["Dimensions"] == [
        {"Name": "TopicName", "Value": {"Fn::GetAtt": ["NotificationTopic", "TopicName"]}}
    ]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)


def test_no_call_that_is_counted_for_long_raises_an_alarm(template: Template) -> None:
    """All that is counted of charging comes by its log: nothing else says that it is silent."""
    alarm = alarms(template)["CallsAreNotCountedAlarm"]
    assert (alarm["MetricName"], alarm["Dimensions"][0]["Value"]) == (
        "EventsAccepted",
        service_of(template, "ChargeCallsFunction"),
    )
    # A batch of repeats alone is counted with a 0: what matters is that there is a count.
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
        "SampleCount",
        "LessThanThreshold",
        1,
    )
    assert alarm["TreatMissingData"] == "breaching"
    assert 'count("EventsAccepted", len(batch.accepted), even_zero=True)' in COUNTING
    # CloudWatch looks back for seven days at most.
    hours = template["Parameters"][alarm["EvaluationPeriods"]["Ref"]]
    assert hours["MaxValue"] * alarm["Period"] <= 7 * 86_400


def test_no_alarm_is_computed_from_several_metrics(template: Template) -> None:
    # Ten are the most, and the emulator takes none: the template could not be deployed there.
    assert [name for name, alarm in alarms(template).items() if "Metrics" in alarm] == []


def test_every_alarm_links_to_its_heading_in_the_runbook(template: Template) -> None:
    links = {
        name: re.findall(
            r"\$\{DocumentationUrl\}docs/runbook\.md#(\S+)$", alarm["AlarmDescription"]["Fn::Sub"]
        )
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


@pytest.mark.parametrize("when", ["AlarmActions", "OKActions"])
def test_the_topic_hears_of_every_alarm_that_rings_and_that_it_is_over(
    template: Template, when: str
) -> None:
    told = {name: alarm[when] for name, alarm in alarms(template).items()}
    topic = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    assert told == dict.fromkeys(alarms(template), topic)


ESSENTIAL = {
    "AuthorizationsFailAlarm",
    "BooksDifferAlarm",
    "CallsDeadLettersAlarm",
    "CreditDeadLettersAlarm",
}
OF_RECORDS = {
    "GraphLicensesDidNotRunAlarm",
    "GraphLicensesFailAlarm",
    "GraphPullDidNotRunAlarm",
    "GraphPullsFailedAlarm",
    "IngestRecordsFailsAlarm",
    "RecordsAreLateAlarm",
    "RecordsDeadLettersAlarm",
    "RecordsInProblemAlarm",
    "WebhooksFailAlarm",
    "WebhooksForbiddenAlarm",
}
OF_STATEMENTS = {"StatementsAreLateAlarm", "StatementsDeadLettersAlarm"}

OF_MASKING = {"MaskingDidNotRunAlarm", "MaskingsAreLateAlarm", "MaskingsDeadLettersAlarm"}


@pytest.mark.parametrize(
    ("chosen", "essential"),
    [
        ({"Stage": "dev"}, True),
        ({"Stage": "dev", "Alarms": "all"}, False),
        ({"Stage": "dev", "GradualDeployment": "true"}, False),
        ({"Stage": "prod"}, False),
        ({"Stage": "prod", "Alarms": "essential"}, True),
    ],
)
def test_a_stage_has_the_alarms_that_are_asked_for(
    template: Template, chosen: dict[str, str], *, essential: bool
) -> None:
    there = present(template, parameters_of(template, chosen))
    found = {name for name, _ in resources(there, "AWS::CloudWatch::Alarm")}
    only_if_asked = OF_RECORDS | OF_STATEMENTS | OF_MASKING
    assert found == (ESSENTIAL if essential else set(alarms(template)) - only_if_asked)
    # Where no alarm waits for the heartbeat, none is sent.
    assert ("StreamHeartbeat" in there["Resources"]) is not essential


def test_a_stage_that_expects_no_calls_is_not_alarmed_by_none(template: Template) -> None:
    chosen = {"Stage": "prod", "QuietHours": "0", "NumbersKeptDays": "90"}
    chosen |= {**RECEIVING, **STATEMENTS}
    there = present(template, parameters_of(template, chosen))
    assert set(alarms(template)) - set(alarms(there)) == {"CallsAreNotCountedAlarm"}


def test_a_stack_with_statements_has_their_alarms(template: Template) -> None:
    few = present(template, parameters_of(template, {"Stage": "dev", **STATEMENTS}))
    # Nobody asks for a statement that should come by itself.
    assert set(alarms(few)) == ESSENTIAL | {"StatementsDeadLettersAlarm"}


@pytest.mark.parametrize("parameter", RECEIVING)
def test_what_receives_no_records_has_no_alarms_of_them(template: Template, parameter: str) -> None:
    chosen = {"Stage": "dev", parameter: RECEIVING[parameter]}
    few = present(template, parameters_of(template, chosen))
    # A record that cannot become a call is not charged.
    assert set(alarms(few)) == ESSENTIAL | {"RecordsDeadLettersAlarm"}
    all_ = present(template, parameters_of(template, {**chosen, "Alarms": "all"}))
    of_graph = {name for name in OF_RECORDS if name.startswith("Graph")}
    of_webhooks = {name for name in OF_RECORDS if name.startswith("Webhooks")}
    missing = {
        "GraphSecret": of_webhooks,
        "WebhookSecret": of_graph,
    }.get(parameter, of_graph | of_webhooks)
    assert OF_RECORDS - set(alarms(all_)) == missing


def test_what_masks_no_numbers_has_no_alarms_of_it(template: Template) -> None:
    chosen = {"Stage": "prod", "NumbersKeptDays": "90"}
    masking = alarms(present(template, parameters_of(template, chosen)))
    few = alarms(present(template, parameters_of(template, {"Stage": "prod"})))
    assert masking.keys() - few.keys() == OF_MASKING
    few = alarms(present(template, parameters_of(template, {**chosen, "Stage": "dev"})))
    assert set(few) == ESSENTIAL


def test_the_runbook_names_the_essential_alarms() -> None:
    said = RUNBOOK.partition("`Alarms=essential`")[2].partition("###")[0]
    named = set(re.findall(r"\[(\w+Alarm)\]", said))
    assert named == ESSENTIAL | {"RecordsDeadLettersAlarm", "StatementsDeadLettersAlarm"}
