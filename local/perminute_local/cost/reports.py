"""Dollars for a million overviews, from the requests that one makes (`make cost`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute.api.reports.endpoint import PATH
from perminute_local.bench.builders import ORGANIZATION, RATE_CARD
from perminute_local.bench.transport import loaded
from perminute_local.cost.calls import LAMBDA_LOG_BYTES, TRACED_PERCENT, MeteredAws, measure
from perminute_local.cost.idle import Cost, log_dollars
from perminute_local.cost.prices import MILLION, gigabytes, of_a_million

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.cost.calls import Measured
    from perminute_local.stack import Template

FUNCTION = "ReadReportsFunction"
_OVERVIEW: dict[str, Any] = {
    "routeKey": f"GET {PATH}",
    "pathParameters": {"organizationId": ORGANIZATION, "report": "overview"},
    "requestContext": {"timeEpoch": 1_793_610_000_000},
}


def overview() -> Measured:
    """Answer an overview through the function's own handler."""
    aws = MeteredAws(RATE_CARD.read_bytes())
    with loaded("read_reports") as module:
        aws.answer_for(module.aws.connection)
        return measure(aws, module.handler, _OVERVIEW)


def overview_costs(template: Template, one: Measured) -> list[Cost]:
    """Return what each kind costs for a million of them."""
    return list(_costs(template, one))


def _costs(template: Template, one: Measured) -> Iterator[Cost]:
    yield Cost(
        "API Gateway", of_a_million("apigateway", "million_requests", MILLION), "one request each"
    )
    memory: int = template["Resources"][FUNCTION]["Properties"]["MemorySize"]
    seconds = gigabytes(memory) * one.milliseconds(memory) * MILLION / 1_000
    yield Cost(
        "Lambda",
        of_a_million("lambda", "million_requests", MILLION)
        + of_a_million("lambda", "million_gigabyte_seconds", seconds),
        f"{one.requests} requests and {one.cpu_microseconds} µs of CPU",
    )
    units = one.read_units * MILLION
    yield Cost(
        "DynamoDB reads",
        of_a_million("dynamodb", "million_read_units", units),
        f"{one.read_units} units",
    )
    logged = one.log_bytes + LAMBDA_LOG_BYTES
    yield Cost("logs", log_dollars(1) * logged * MILLION, f"{logged} bytes")
    traced = MILLION * TRACED_PERCENT // 100
    yield Cost("traces", of_a_million("xray", "million_traces", traced), f"{TRACED_PERCENT} %")
