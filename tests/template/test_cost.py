"""What a stage costs is known from the template, and stays within what was promised."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from receiving import RECEIVING, without_records

from perminute_local.conditions import parameters_of
from perminute_local.cost import prices
from perminute_local.cost.archive import EVENTS, archive_costs
from perminute_local.cost.calls import (
    BATCHES,
    FUNCTION,
    Arrival,
    Measured,
    call_costs,
)
from perminute_local.cost.console import REPORTS, console_costs
from perminute_local.cost.idle import Cost, idle_costs, snapshot_month
from perminute_local.cost.records import WAYS, record_costs
from perminute_local.cost.reports import overview, overview_costs
from perminute_local.cost.usage_archive import FILES, usage_archive_costs
from perminute_local.stack import stage_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute_local.stack import Template

PAGE = (Path(__file__).parents[2] / "docs" / "capacity-and-costs.md").read_text()
AT_MOST = {"dev": Decimal(2), "prod": Decimal(6)}


def total(costs: Iterable[Cost]) -> Decimal:
    return sum((cost.dollars for cost in costs), Decimal())


def by_kind(template: Template, **chosen: str) -> dict[str, Decimal]:
    costs = idle_costs(template, parameters_of(template, chosen))
    return {cost.kind: cost.dollars for cost in costs}


@pytest.mark.parametrize("stage", AT_MOST)
def test_an_idle_stage_costs_no_more_than_was_promised(template: Template, stage: str) -> None:
    costs = idle_costs(template, stage_parameters(template, stage))
    assert total(costs) <= AT_MOST[stage], costs
    assert f"`{stage}` costs at most ${AT_MOST[stage]} a month" in PAGE


def test_an_idle_stage_that_receives_records_costs_little_more(template: Template) -> None:
    for stage in AT_MOST:
        without = stage_parameters(template, stage)
        more = total(idle_costs(template, {**without, **RECEIVING}))
        more -= total(idle_costs(template, without))
        assert Decimal("1.50") < more <= Decimal("2.50")
    assert "cost at most $2.50 a month more when idle" in PAGE


def test_what_it_costs_to_read_records_stands_in_the_docs(template: Template) -> None:
    said = dict(
        re.findall(r"^\| (dropped files of [\d\w, ]+|webhooks) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    )
    assert said == {way.name: f"{total(record_costs(template, way)):.2f}" for way in WAYS}


def test_what_an_archive_costs_stands_in_the_docs() -> None:
    said = re.findall(r"^\| ([\w `]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
    assert said == [
        (f"`{way}`" if way == "Calls Ended" else way, *(f"{cost.dollars:.2f}" for cost in costs))
        for way in EVENTS
        for costs in [archive_costs(way)]
    ]


def test_what_an_archive_of_calls_costs_stands_in_the_docs() -> None:
    said = {
        way: list(map(Decimal, dollars))
        for way, *dollars in re.findall(
            r"^\| ([\w ]+, [a-z ]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE
        )
    }
    assert said.keys() == FILES.keys()
    for way, dollars in said.items():
        for written, cost in zip(dollars, usage_archive_costs(way), strict=True):
            # Another version of zlib compresses otherwise.
            assert abs(written - cost.dollars) <= Decimal("0.03"), cost


def test_each_alarm_and_each_metric_that_one_is_computed_from_has_its_price(
    template: Template,
) -> None:
    computed = json.loads(json.dumps(template))
    before = by_kind(computed, Stage="dev")["alarms"]
    metric = {"MetricStat": {"Metric": {"MetricName": "Errors"}}}
    properties = {"Metrics": [{"Expression": "SUM(METRICS())"}, metric, metric, metric]}
    alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    computed["Resources"]["AnotherAlarm"] = alarm
    assert by_kind(computed, Stage="dev")["alarms"] - before == Decimal("0.30")


def test_what_can_be_switched_on_costs_what_its_description_says(template: Template) -> None:
    without = by_kind(template, Stage="prod")
    assert without["dashboard"] + without["SnapStart"] == 0
    with_all = by_kind(template, Stage="prod", ShowDashboard="true", SnapStart="PublishedVersions")
    costs = {
        "Alarms": prices.price("cloudwatch", "alarm_month"),
        "ShowDashboard": with_all["dashboard"],
        "SnapStart": with_all["SnapStart"].quantize(Decimal("0.01")),
    }
    said = {
        name: Decimal(found[1])
        for name, parameter in template["Parameters"].items()
        if (found := re.search(r"\$([0-9.]+[0-9])", parameter.get("Description", "")))
    }
    assert said == costs


def test_a_queue_that_is_empty_is_asked_all_month(template: Template) -> None:
    queues = sum(
        event["Type"] == "SQS"
        for resource in without_records(template)["Resources"].values()
        for event in resource["Properties"].get("Events", {}).values()
    )
    # Five pollers, each of which waits for twenty seconds: 648,000 requests.
    assert by_kind(template, Stage="dev")["polling"] == queues * Decimal("0.2592")


def test_a_snapshot_is_paid_by_its_memory_all_month() -> None:
    assert snapshot_month(1_769).quantize(Decimal("0.01")) == Decimal("6.74")


def test_the_heartbeat_is_paid_only_where_an_alarm_waits_for_it(template: Template) -> None:
    runs = {stage: by_kind(template, Stage=stage)["scheduled runs"] for stage in AT_MOST}
    assert runs["dev"] < Decimal("0.01") < runs["prod"] < Decimal("0.20")


def test_prices_are_exact() -> None:
    assert prices.price("dynamodb", "million_write_units") == Decimal("0.625")
    assert prices.of_a_million("sqs", "million_requests", 1) == Decimal("0.0000004")


@pytest.fixture(scope="module")
def ways(all_arrivals: list[list[Arrival]]) -> dict[str, list[Arrival]]:
    return {way[0].name: way for way in all_arrivals}


def units(calls: int) -> int:
    """Two for each call and the account, and for each kilobyte of their list, of some 25 calls."""
    return 2 * calls + 2 + 2 * (1 if calls <= 25 else 3)


def test_a_call_in_a_batch_takes_two_write_units_and_its_part_of_account_and_list(
    ways: dict[str, list[Arrival]],
) -> None:
    batches = [one.invocations for one in ways["one event a call"]]
    assert [one.write_units for ((one, _),) in batches] == list(map(units, BATCHES))
    assert {one.requests for ((one, _),) in batches} == {2}
    assert {one.read_units for ((one, _),) in batches} == {1}


def test_calls_that_are_reported_together_write_no_more(ways: dict[str, list[Arrival]]) -> None:
    for arrivals_of in ways.values():
        for size, arrival in zip(BATCHES, arrivals_of, strict=True):
            written = sum(one.write_units * times for one, times in arrival.invocations)
            assert written / arrival.calls == Decimal(units(size)) / size


@pytest.mark.parametrize("name", ["Calls Ended", "messages to the queue"])
def test_calls_that_are_reported_together_cost_no_more_than_this(
    template: Template, ways: dict[str, list[Arrival]], name: str
) -> None:
    dollars = [total(call_costs(template, arrival)) for arrival in ways[name]]
    for most, real in zip(("4.5", "1.75", "1.5"), dollars, strict=True):
        assert real <= Decimal(most)


def test_what_a_million_calls_cost_stands_in_the_docs(
    template: Template, ways: dict[str, list[Arrival]]
) -> None:
    number = r" \| ([\d.]+)" * len(BATCHES)
    rows = re.findall(rf"^\| `?([\w ]+)`?{number} \|$", PAGE, re.MULTILINE)
    said = {kind: list(map(Decimal, values)) for kind, *values in rows}
    costs = [call_costs(template, one) for one in ways["one event a call"]]
    real = {cost.kind: [one[row].dollars for one in costs] for row, cost in enumerate(costs[0])}
    for name, arrivals_of in ways.items():
        real[name] = [total(call_costs(template, arrival)) for arrival in arrivals_of]
    assert said.keys() == real.keys()
    for kind, dollars in real.items():
        # CPU is measured, and differs from run to run.
        apart = Decimal("0.25") if kind in {"Lambda", *ways} else Decimal("0.005")
        for written, counted in zip(said[kind], dollars, strict=True):
            assert abs(written - counted) <= apart, kind


def test_what_a_million_overviews_cost_stands_in_the_docs(template: Template) -> None:
    one = overview()
    assert (one.requests, one.write_units, one.read_units) == (2, 0, Decimal(7))
    costs = overview_costs(template, one)
    reads = next(cost.dollars for cost in costs if cost.kind == "DynamoDB reads")
    said = re.search(
        r"overviews cost ([\d.]+) dollars: ([\d.]+) for API Gateway, ([\d.]+) for", PAGE
    )
    assert said is not None
    in_all, gateway, units = map(Decimal, said.groups())
    assert abs(in_all - total(costs)) <= Decimal("0.25")
    assert gateway == costs[0].dollars
    assert abs(units - reads) <= Decimal("0.005")


def test_what_visits_of_the_console_cost_stands_in_the_docs(template: Template) -> None:
    costs = {cost.kind: cost.dollars for cost in console_costs(template, overview())}
    said = re.search(
        r"million visits cost ([\d.]+) dollars:\s([\d.]+) for CloudFront, ([\d.]+) for S3", PAGE
    )
    assert said is not None
    in_all, *apart = map(Decimal, said.groups())
    # The reports' CPU is measured.
    assert abs(in_all - sum(costs.values())) <= REPORTS * Decimal("0.25")
    assert apart == [costs["CloudFront"], costs["S3"]]


def test_a_console_that_nobody_visits_costs_nothing(template: Template) -> None:
    chosen = {"ConsoleDomain": "console.example.com", "JwtIssuer": "https://login.example.com/"}
    assert by_kind(template, **chosen) == by_kind(template)


def test_what_a_function_waits_for_is_billed_by_its_memory(template: Template) -> None:
    one = Measured(requests=2, write_units=0, read_units=Decimal(), cpu_microseconds=0, log_bytes=0)
    arrival = Arrival("one", 1, 0, 0, ((one, Decimal(1)),))
    lambda_ = next(cost for cost in call_costs(template, arrival) if cost.kind == "Lambda")
    memory = template["Resources"][FUNCTION]["Properties"]["MemorySize"]
    # Two requests of 10 ms each; 13.3334 dollars for a million GB-s, 0.20 for the invocations.
    assert lambda_.dollars == Decimal("0.20") + Decimal("13.3334") * memory / 1024 * 20 / 1000
    # Organizations wait side by side.
    assert one._replace(requests=17, at_once=8).milliseconds(memory) == 30
