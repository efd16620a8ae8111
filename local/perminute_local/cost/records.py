"""Dollars for a million calls that come as records of another system, until they are queued.

To charge them is what `Calls Ended` of many organizations costs (`perminute_local.cost.calls`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from perminute_local.cost.calls import (
    BILLED_BYTES,
    CORE_MEGABYTES,
    LAMBDA_LOG_BYTES,
    REQUEST_MILLISECONDS,
    TRACED_PERCENT,
)
from perminute_local.cost.idle import Cost, log_dollars
from perminute_local.cost.prices import MILLION, gigabytes, of_a_million

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Template

INGEST, RECEIVE = "IngestRecordsFunction", "ReceiveWebhooksFunction"

# None of these is measured here; each is more than what was seen.
RECORD_BYTES = 500
"""One record in a file."""
CALL_BYTES = 480
"""One call in a message to `CallsQueue`."""
READ_MICROSECONDS = 100
"""CPU of a whole core to read a record and write its call (`make bench`)."""
RECEIVE_MICROSECONDS = 1_500
"""CPU of a whole core to check a signature and queue the request."""
LOG_BYTES = 600
"""Our own lines of an invocation."""
PART_BYTES = 8_000_000
"""A larger file is read in parts."""


class Way(NamedTuple):
    """How many calls come together, and in what."""

    name: str
    calls: int
    """Calls in one file, or in one request."""
    is_webhook: bool


WAYS = (
    Way("dropped files of 10,000 records", 10_000, is_webhook=False),
    Way("dropped files of one record", 1, is_webhook=False),
    Way("webhooks", 1, is_webhook=True),
)


def record_costs(template: Template, way: Way) -> list[Cost]:
    """Return what each kind costs for a million calls that come in this way."""
    return list(_costs(template, way))


def _costs(template: Template, way: Way) -> Iterator[Cost]:
    arrivals = Decimal(MILLION) / way.calls
    parts = 1 if way.is_webhook else -(-way.calls * RECORD_BYTES // PART_BYTES)
    out = -(-way.calls * CALL_BYTES // BILLED_BYTES)
    if way.is_webhook:
        dollars = of_a_million("apigateway", "million_requests", arrivals)
        yield Cost("API Gateway", dollars, f"{arrivals:.0f} requests")
    else:
        dollars = of_a_million("s3", "million_puts", arrivals)
        dollars += of_a_million("s3", "million_gets", arrivals * parts)
        # Events of AWS's own services cost nothing.
        yield Cost("S3", dollars, f"{arrivals:.0f} files, written once, read in {parts} parts")
    # To send, receive and delete what names the records, and to send the calls.
    requests = arrivals * (3 * parts + out)
    yield Cost("SQS", of_a_million("sqs", "million_requests", requests), f"{requests:.0f} requests")
    yield _lambda(template, way, arrivals, out)
    invocations = arrivals * (parts + way.is_webhook)
    dollars = log_dollars(1) * invocations * (LOG_BYTES + LAMBDA_LOG_BYTES)
    yield Cost("logs", dollars, f"{LOG_BYTES + LAMBDA_LOG_BYTES} bytes an invocation")
    traced = invocations * TRACED_PERCENT / 100
    yield Cost("traces", of_a_million("xray", "million_traces", traced), f"{TRACED_PERCENT} %")


def _lambda(template: Template, way: Way, arrivals: Decimal, out: int) -> Cost:
    # Read alone, as when few records come: in a busy hour a batch is five messages.
    waiting = REQUEST_MILLISECONDS * (out + (not way.is_webhook))
    milliseconds = waiting + _cpu(READ_MICROSECONDS * way.calls, _memory(template, INGEST))
    billed = gigabytes(_memory(template, INGEST)) * milliseconds
    number = arrivals
    if way.is_webhook:
        memory = _memory(template, RECEIVE)
        took = REQUEST_MILLISECONDS + _cpu(RECEIVE_MICROSECONDS, memory)
        billed += gigabytes(memory) * took
        milliseconds += took
        number += arrivals
    dollars = of_a_million("lambda", "million_requests", number)
    dollars += of_a_million("lambda", "million_gigabyte_seconds", billed * arrivals / 1_000)
    return Cost("Lambda", dollars, f"{milliseconds:.0f} ms for {way.calls} calls")


def _cpu(microseconds: int, memory: int) -> Decimal:
    return Decimal(microseconds) / 1_000 * CORE_MEGABYTES / memory


def _memory(template: Template, function: str) -> int:
    common: int = template["Globals"]["Function"]["MemorySize"]
    own: int = template["Resources"][function]["Properties"].get("MemorySize", common)
    return own
