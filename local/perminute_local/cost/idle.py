"""Dollars a month of a stage to which nobody sends anything."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute_local.conditions import StackError, present, value_of
from perminute_local.cost.prices import DAYS, HOURS, SECONDS, gigabytes, of_a_million, price
from perminute_local.stack import Template, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.conditions import Parameters

POLLERS = 5
"""Lambda: how many read a queue that is empty."""
WAIT_SECONDS = 20
"""Lambda: how long each of them waits for a message, then asks again."""

# Of runs that find nothing to do. None of these is measured; all are more than what was seen.
RUN_SECONDS = 1
"""Billed to one of them, with the start of a new copy of the function."""
RUN_LOG_BYTES = 2_000
"""What one of them logs, with Lambda's own lines."""


class Cost(NamedTuple):
    """What one kind of thing costs, and how that is counted."""

    kind: str
    dollars: Decimal
    counted: str


def idle_costs(template: Template, parameters: Parameters) -> list[Cost]:
    """Return what each kind costs in a month of 30 days, the most expensive first."""
    there = present(template, parameters)
    costs = [
        _alarms(there),
        _dashboards(there),
        _polling(there),
        _snapshots(there, parameters),
        _runs(there),
        _metrics(there),
        _secrets(parameters),
        Cost("stored, sent, asked", Decimal(), "nothing while idle: by the gigabyte and request"),
    ]
    return sorted(costs, key=lambda cost: -cost.dollars)


def _alarms(template: Template) -> Cost:
    found = [alarm["Properties"] for _, alarm in resources(template, "AWS::CloudWatch::Alarm")]
    metrics = sum(
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in found
    )
    dollars = metrics * price("cloudwatch", "alarm_month")
    return Cost("alarms", dollars, f"{metrics} metrics that alarms look at")


def _dashboards(template: Template) -> Cost:
    count = sum(1 for _ in resources(template, "AWS::CloudWatch::Dashboard"))
    return Cost("dashboard", count * price("cloudwatch", "dashboard_month"), f"{count} dashboards")


def _polling(template: Template) -> Cost:
    queues = sum(event["Type"] == "SQS" for _, event in _events(template))
    requests = queues * POLLERS * SECONDS // WAIT_SECONDS
    dollars = of_a_million("sqs", "million_requests", requests)
    counted = f"{queues} queues, each asked by {POLLERS} pollers every {WAIT_SECONDS} s"
    return Cost("polling", dollars, counted)


def _snapshots(template: Template, parameters: Parameters) -> Cost:
    sizes = [
        _memory(function, template)
        for _, function in resources(template, "AWS::Serverless::Function")
        if _starts_from_snapshot(function, parameters)
    ]
    # One version of each is kept: VersionDeletionPolicy.
    return Cost("SnapStart", snapshot_month(sum(sizes)), f"{len(sizes)} snapshots")


def snapshot_month(megabytes: int) -> Decimal:
    """Return what a snapshot of so much memory costs in a month; restoring it comes on top."""
    kept = gigabytes(megabytes) * SECONDS
    return of_a_million("lambda", "million_snapshot_gigabyte_seconds", kept)


def _starts_from_snapshot(function: dict[str, Any], parameters: Parameters) -> bool:
    said = function["Properties"].get("SnapStart")
    return said is not None and value_of(said["ApplyOn"], parameters) != "None"


def _runs(template: Template) -> Cost:
    # Runs by a schedule, or because a heartbeat comes by the stream.
    beats = sum(
        _runs_a_month(schedule["Properties"]["ScheduleExpression"])
        for _, schedule in resources(template, "AWS::Scheduler::Schedule")
    )
    scheduled, dollars = beats, of_a_million("dynamodb", "million_write_units", beats)
    invocations = 0
    for function, event in _events(template):
        runs = beats if event["Type"] == "DynamoDB" else 0
        if event["Type"] == "ScheduleV2":
            runs = _runs_a_month(event["Properties"]["ScheduleExpression"])
            scheduled += runs
        invocations += runs
        billed = gigabytes(_memory(function, template)) * RUN_SECONDS * runs
        dollars += of_a_million("lambda", "million_gigabyte_seconds", billed)
    dollars += of_a_million("lambda", "million_requests", invocations)
    dollars += of_a_million("xray", "million_traces", invocations)
    dollars += of_a_million("eventbridge", "million_scheduled", scheduled)
    dollars += log_dollars(invocations * RUN_LOG_BYTES)
    counted = f"{invocations} runs that find nothing, by {scheduled} schedules: time, traces, logs"
    return Cost("scheduled runs", dollars, counted)


def log_dollars(count: int) -> Decimal:
    """Return what so many bytes of logs cost to be taken in."""
    return price("cloudwatch", "log_gigabyte") * count / 1_000_000_000


def _metrics(template: Template) -> Cost:
    # Scheduled runs count themselves, so their metrics have data in the hours in which they run.
    # A run counts itself (`perminute.reports.report_run`), and else only what it found to do.
    hours = [
        min(_runs_a_month(event["Properties"]["ScheduleExpression"]), HOURS)
        for _, event in _events(template)
        if event["Type"] == "ScheduleV2"
    ]
    dollars = sum(hours) * price("cloudwatch", "metric_month") / HOURS
    return Cost("own metrics", dollars, f"{len(hours)} of scheduled runs, in {sum(hours)} hours")


def _secrets(parameters: Parameters) -> Cost:
    # They are not of the stack, but nobody else needs them.
    named = {value for name, value in parameters.items() if name.endswith("Secret") and value}
    dollars = len(named) * price("secretsmanager", "secret_month")
    return Cost("secrets", dollars, f"{len(named)} secrets that parameters name")


def _runs_a_month(expression: str) -> int:
    if re.fullmatch(r"cron\([0-9]+ [0-9]+ \* \* \? \*\)", expression):
        return DAYS
    rate = re.fullmatch(r"rate\(([0-9]+) minutes\)", expression)
    if rate is None:
        msg = f"how often {expression} runs is not known here"
        raise StackError(msg)
    return HOURS * 60 // int(rate[1])


def _events(template: Template) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for _, function in resources(template, "AWS::Serverless::Function"):
        for event in function["Properties"].get("Events", {}).values():
            yield function, event


def _memory(function: dict[str, Any], template: Template) -> int:
    common: int = template["Globals"]["Function"]["MemorySize"]
    own: int = function["Properties"].get("MemorySize", common)
    return own
