"""The dashboard shows what there is, and all of what somebody must look at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from receiving import without_records
from template_queues import read_queues

from perminute.observability import NAMESPACE
from perminute_local.stack import Template, environment_of, load_template, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parents[2] / "functions"


@pytest.fixture(scope="module", name="template")
def shown_on_it(template: Template) -> Template:
    """Leave out call records: most stacks receive none, and it cannot name what is not there."""
    return without_records(template)


def metrics(template: Template) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Give each metric with the widget that shows it."""
    (dashboard,) = (one for _, one in resources(template, "AWS::CloudWatch::Dashboard"))
    for widget in json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]:
        for metric in widget["properties"]["metrics"]:
            yield metric, widget["properties"]


def shown(template: Template, namespace: str, name: str) -> set[str]:
    """Name the resources of which a metric is shown."""
    found = set()
    for metric, _ in metrics(template):
        if metric[:2] == [namespace, name]:
            found.add(re.sub(r"^\$\{(\w+)(\.\w+)?\}$", r"\1", metric[3]))
    return found


def test_what_waits_is_shown_of_every_queue(template: Template) -> None:
    queues = {name for name, _ in resources(template, "AWS::SQS::Queue")}
    read = read_queues(template)
    assert shown(template, "AWS/SQS", "ApproximateAgeOfOldestMessage") == read
    unread = shown(template, "AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert unread == queues - read


def test_failures_are_shown_of_every_function(template: Template) -> None:
    functions = {name for name, _ in resources(template, "AWS::Serverless::Function")}
    for name in ("Errors", "Throttles"):
        assert shown(template, "AWS/Lambda", name) == functions


def test_a_metric_of_ours_is_one_that_its_function_counts(template: Template) -> None:
    # A metric is named by text: of a function that is not there its line is empty.
    everything = load_template()
    services = {
        environment_of(function, everything)["POWERTOOLS_SERVICE_NAME"]["Fn::Sub"]
        for _, function in resources(everything, "AWS::Serverless::Function")
    }
    code = "".join(path.read_text() for path in FUNCTIONS.rglob("*.py"))
    ours = [metric for metric, _ in metrics(template) if metric[0] == NAMESPACE]
    assert ours
    for _, name, dimension, service in ours:
        assert (dimension, service in services) == ("service", True)
        assert f'"{name}"' in code, name


def test_what_is_found_to_differ_is_shown_since_no_alarm_is_raised(template: Template) -> None:
    names = {metric[1] for metric, _ in metrics(template)}
    assert {"StatementsDiffering", "ExplanationsDiffering", "RecordsDiffering"} <= names


def test_every_alarm_is_of_a_metric_that_is_shown(template: Template) -> None:
    names = {metric[1] for metric, _ in metrics(template)}
    alarms = {
        metric
        for _, alarm in resources(template, "AWS::CloudWatch::Alarm")
        for metric in metrics_of(alarm["Properties"])
    }
    assert alarms - names == set()


def metrics_of(alarm: dict[str, Any]) -> list[str]:
    parts = [part["MetricStat"] for part in alarm.get("Metrics", []) if "MetricStat" in part]
    return [part["Metric"]["MetricName"] for part in parts] or [alarm["MetricName"]]


def test_no_widget_covers_another(template: Template) -> None:
    (dashboard,) = (one for _, one in resources(template, "AWS::CloudWatch::Dashboard"))
    body = json.loads(dashboard["Properties"]["DashboardBody"]["Fn::Sub"])
    places = [(widget["x"], widget["y"]) for widget in body["widgets"]]
    assert len(set(places)) == len(places)
    sizes = {(widget["width"], widget["height"]) for widget in body["widgets"]}
    assert sizes == {(12, 6)}
    assert {(x % 12, y % 6) for x, y in places} == {(0, 0)}
