"""Dollars for a million calls, from the requests that charging them makes (`make cost`)."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from http import HTTPStatus
from logging import INFO, StreamHandler
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.adapters.messaging import MAX_BATCH, batches
from perminute.application.charge_calls import CALLS_PER_BATCH
from perminute.application.side_by_side import WORKERS
from perminute.events.telephony import MAX_CALLS_IN_EVENT
from perminute.observability import logger
from perminute_local.bench.builders import (
    CONTEXT,
    ORGANIZATION,
    RATE_CARD,
    call_ended,
    calls_ended,
    records,
)
from perminute_local.bench.report import best_cpu_seconds
from perminute_local.bench.transport import InstantAws, loaded
from perminute_local.cost.idle import POLLERS, Cost, log_dollars
from perminute_local.cost.prices import MILLION, gigabytes, of_a_million
from perminute_local.cost.units import read_units, write_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from perminute_local.stack import Template


BATCHES = (1, 10, CALLS_PER_BATCH)
"""Calls of an organization that are charged together: one, some, and a full transaction."""
ROUNDS = 10
FUNCTION = "ChargeCallsFunction"

# What AWS does, as it says; nothing of it can be measured here.
BILLED_BYTES = 64 * 1024
"""Of an event, or of the messages of a request: what is longer is billed as several."""
CORE_MEGABYTES = 1_769
"""Memory with which a function has one core; with less it has as much less of it."""
TRACED_PERCENT = 5
"""X-Ray: of invocations beyond the first one in each second, which is always traced."""
LAMBDA_LOG_BYTES = 700
"""Lambda's own lines of an invocation: that it starts, and its report."""

REQUEST_MILLISECONDS = 10
"""How long a request to AWS takes, about; the function waits, and pays for its memory."""


class Measured(NamedTuple):
    """What it takes to process one batch, once the function has warmed up."""

    requests: int
    write_units: int
    read_units: Decimal
    cpu_microseconds: int
    log_bytes: int
    at_once: int = 1
    """How many organizations wait for AWS side by side."""

    def milliseconds(self, memory: int) -> Decimal:
        """Return how long the invocation takes with so many megabytes of memory."""
        cpu = Decimal(self.cpu_microseconds) / 1_000 * CORE_MEGABYTES / memory
        return cpu + REQUEST_MILLISECONDS * -(-self.requests // self.at_once)


class Arrival(NamedTuple):
    """How some calls reach the function, and what AWS bills for it."""

    name: str
    calls: int
    events: int
    """EventBridge: events of 64 KB."""
    sqs_requests: int
    invocations: tuple[tuple[Measured, Decimal], ...]
    """Measured ones, and how many there are of each: the last of an event may have fewer parts."""

    def per_million(self, number: int | Decimal) -> Decimal:
        """Convert a number for these calls to that of a million calls."""
        return Decimal(number) * MILLION / self.calls


class MeteredAws(InstantAws):
    """An AWS that answers immediately, and counts what DynamoDB would bill."""

    def __init__(self, rate_card: bytes) -> None:
        super().__init__(rate_card)
        self.write_units = 0
        self.read_units = Decimal()
        self.queued: list[str] = []
        """What was sent to queues."""
        self._lock = Lock()

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        """Answer one request, and count it; organizations are charged by several threads."""
        with self._lock:
            response = super().answer(request)
            target = request.headers.get("X-Amz-Target", b"")
            operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
            if operation and isinstance(request.body, bytes):
                self._count(operation, json.loads(request.body), json.loads(response.content))
        return response

    def _count(self, operation: str, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        self.write_units += write_units(operation, asked)
        self.read_units += read_units(operation, asked, answer)
        if operation == "SendMessageBatch":
            self.queued += (entry["MessageBody"] for entry in asked["Entries"])


def arrivals() -> list[list[Arrival]]:
    """Charge calls that arrive in each way and size through the function's own handler."""
    aws = MeteredAws(RATE_CARD.read_bytes())
    with loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        meter = _Meter(aws, module.handler)
        ways = (meter.event_of_a_call, meter.event_of_many, meter.direct)
        return [[way(size) for size in BATCHES] for way in ways]


class _Meter(NamedTuple):
    aws: MeteredAws
    handler: Any

    def event_of_a_call(self, size: int) -> Arrival:
        """A batch of calls of one organization, each an event of its own."""
        bodies = [call_ended(number, ORGANIZATION) for number in range(size)]
        return Arrival(
            "one event a call",
            size,
            size,
            size + _receives_and_deletes(bodies),
            ((self._measured(bodies), Decimal(1)),),
        )

    def event_of_many(self, size: int) -> Arrival:
        """A `Calls Ended` with so many calls of each organization: it is queued again in parts."""
        organizations = _organizations(MAX_CALLS_IN_EVENT // size)
        event = calls_ended(organizations, size)
        self.aws.queued.clear()
        self.handler(records([event]), CONTEXT)
        parts = list(self.aws.queued)
        # Each of Lambda's pollers receives as many of them.
        some = parts[::POLLERS][:CALLS_PER_BATCH]
        divided, charged = self._measured([event]), self._measured(some, len(some))
        chunks = _billed([event])
        sent_again = sum(map(_billed, batches(parts)))
        return Arrival(
            "Calls Ended",
            len(organizations) * size,
            chunks,
            chunks + _receives_and_deletes([event]) + sent_again + _receives_and_deletes(parts),
            ((divided, Decimal(1)), (charged, Decimal(len(parts)) / len(some))),
        )

    def direct(self, size: int) -> Arrival:
        """Ten messages to the queue, each with so many calls of an organization."""
        bodies = [
            call_ended(0, name) if size == 1 else calls_ended([name], size)
            for name in _organizations(MAX_BATCH)
        ]
        requests = sum(map(_billed, batches(bodies))) + _receives_and_deletes(bodies)
        charged = self._measured(bodies, MAX_BATCH)
        calls = MAX_BATCH * size
        return Arrival("messages to the queue", calls, 0, requests, ((charged, Decimal(1)),))

    def _measured(self, bodies: Sequence[str], organizations: int = 1) -> Measured:
        return measure(self.aws, self.handler, records(bodies), min(organizations, WORKERS))


def _organizations(number: int) -> list[str]:
    return [f"organization-{n}" for n in range(number)]


def _billed(bodies: Sequence[str]) -> int:
    return -(-sum(map(len, bodies)) // BILLED_BYTES)


def _receives_and_deletes(bodies: Sequence[str]) -> int:
    return sum(_billed(some) + 1 for some in batches(bodies))


@contextmanager
def _logged_to(written: io.StringIO) -> Iterator[None]:
    handler = logger.registered_handler
    if not isinstance(handler, StreamHandler):
        msg = f"the functions' logger writes by {handler}, not to a stream"
        raise TypeError(msg)
    before, level = handler.setStream(written), logger.log_level
    # As deployed; a replay in this process may have quieted it.
    logger.setLevel(INFO)
    try:
        with redirect_stdout(written):
            yield
    finally:
        logger.setLevel(level)
        if before is not None:
            handler.setStream(before)


def measure(
    aws: MeteredAws,
    handler: Any,  # noqa: ANN401 - Lambda's
    event: dict[str, Any],
    at_once: int = 1,
) -> Measured:
    """Measure what a function that has warmed up takes for an event."""
    written = io.StringIO()
    with _logged_to(written):
        handler(event, CONTEXT)
        start = (aws.requests, aws.write_units, aws.read_units, len(written.getvalue()))
        answer = handler(event, CONTEXT)
        end = (aws.requests, aws.write_units, aws.read_units, len(written.getvalue()))
        seconds = best_cpu_seconds(lambda: handler(event, CONTEXT), ROUNDS)
    if answer.get("batchItemFailures") or answer.get("statusCode", HTTPStatus.OK) != HTTPStatus.OK:
        msg = f"what was to be measured was not done: {answer}"
        raise RuntimeError(msg)
    return Measured(
        requests=end[0] - start[0],
        write_units=end[1] - start[1],
        read_units=end[2] - start[2],
        cpu_microseconds=round(seconds * 1e6),
        log_bytes=end[3] - start[3],
        at_once=at_once,
    )


def call_costs(template: Template, arrival: Arrival) -> list[Cost]:
    """Return what each kind costs for a million calls that arrive like this."""
    return list(_costs(template, arrival))


def _costs(template: Template, arrival: Arrival) -> Iterator[Cost]:
    invocations, calls = arrival.invocations, arrival.calls
    number = arrival.per_million(sum(times for _, times in invocations))
    events = arrival.per_million(arrival.events)
    counted = f"{arrival.events} of at most 64 KB for {calls} calls"
    yield Cost("EventBridge", of_a_million("eventbridge", "million_events", events), counted)
    requests = arrival.per_million(arrival.sqs_requests)
    counted = f"{arrival.sqs_requests} requests to send, receive and delete {calls} calls"
    yield Cost("SQS", of_a_million("sqs", "million_requests", requests), counted)
    memory = _memory(template)
    time = sum(one.milliseconds(memory) * times for one, times in invocations)
    billed = gigabytes(memory) * arrival.per_million(time) / 1_000
    yield Cost(
        "Lambda",
        of_a_million("lambda", "million_requests", number)
        + of_a_million("lambda", "million_gigabyte_seconds", billed),
        f"{round(time)} ms: "
        + " and ".join(
            f"{times:.3g} x {one.requests} requests and {one.cpu_microseconds} µs of CPU"
            for one, times in invocations
        ),
    )
    writes = sum(one.write_units * times for one, times in invocations)
    yield Cost(
        "DynamoDB writes",
        of_a_million("dynamodb", "million_write_units", arrival.per_million(writes)),
        f"{round(writes)} units",
    )
    reads = sum(one.read_units * times for one, times in invocations)
    yield Cost(
        "DynamoDB reads",
        of_a_million("dynamodb", "million_read_units", arrival.per_million(reads)),
        f"{round(reads)} units",
    )
    logged = sum((one.log_bytes + LAMBDA_LOG_BYTES) * times for one, times in invocations)
    yield Cost("logs", log_dollars(1) * arrival.per_million(logged), f"{round(logged)} bytes")
    traced = number * TRACED_PERCENT / 100
    yield Cost("traces", of_a_million("xray", "million_traces", traced), f"{TRACED_PERCENT} %")


def _memory(template: Template) -> int:
    memory: int = template["Resources"][FUNCTION]["Properties"]["MemorySize"]
    return memory
