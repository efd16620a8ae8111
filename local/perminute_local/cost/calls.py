"""Dollars for a million calls, from the requests that charging them makes (`make bench`)."""

from __future__ import annotations

import base64
import io
import json
from contextlib import contextmanager, redirect_stdout
from decimal import Decimal
from logging import INFO, StreamHandler
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.observability import logger
from perminute_local.bench.builders import CONTEXT, RATE_CARD, batch
from perminute_local.bench.report import best_cpu_seconds
from perminute_local.bench.transport import InstantAws, loaded
from perminute_local.cost.idle import Cost, log_dollars
from perminute_local.cost.prices import MILLION, gigabytes, of_a_million

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from perminute_local.stack import Template


Item = dict[str, dict[str, Any]]

WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
TRANSACTIONAL = 2
"""Times the units of the same request outside of a transaction."""


def write_units(operation: str, request: dict[str, Any]) -> int:
    """Return the write units of a request that goes through; 0 for one that reads.

    Index writes are not counted: a charge leaves the keys of both tables' indexes as they are.
    """
    match operation:
        case "PutItem":
            return _units(size_of(request["Item"]), WRITE_UNIT_BYTES)
        case "TransactWriteItems":
            parts = (part for one in request["TransactItems"] for part in one.values())
            # What has no item here is a check, or a deletion: it counts by the item that is there.
            sizes = (size_of(part.get("Item", {})) for part in parts)
            return TRANSACTIONAL * sum(_units(size, WRITE_UNIT_BYTES) for size in sizes)
        case _:
            return 0


def read_units(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> Decimal:
    """Return the read units of a request; 0 for one that writes."""
    match operation:
        case "GetItem":
            units = _units(size_of(answer.get("Item", {})), READ_UNIT_BYTES)
            return units * _consistency(request)
        case "TransactGetItems":
            sizes = (size_of(one.get("Item", {})) for one in answer["Responses"])
            return Decimal(TRANSACTIONAL * sum(_units(size, READ_UNIT_BYTES) for size in sizes))
        case "BatchGetItem":
            # Of each table as many as were asked for: one that is not there is billed as well.
            return sum(
                (
                    _batch_units(asked, answer["Responses"].get(table, []))
                    for table, asked in request["RequestItems"].items()
                ),
                Decimal(),
            )
        case "Query":
            size = sum(size_of(item) for item in answer.get("Items", []))
            return _units(size, READ_UNIT_BYTES) * _consistency(request)
        case _:
            return Decimal()


def size_of(item: Item) -> int:
    """Count the bytes of an item as DynamoDB does."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            # A byte for two digits, and one more.
            return -(-sum(map(str.isdigit, content)) // 2) + 1
        case "B":
            return len(base64.b64decode(content))
        case "L":
            return 3 + sum(1 + _value_bytes(one) for one in content)
        case "M":
            return 3 + len(content) + size_of(content)
        case "BOOL" | "NULL":
            return 1
        case _:
            msg = f"the size of a DynamoDB value of type {kind} is not known here"
            raise ValueError(msg)


def _batch_units(asked: dict[str, Any], found: list[Item]) -> Decimal:
    units = sum(_units(size_of(item), READ_UNIT_BYTES) for item in found)
    return (units + len(asked["Keys"]) - len(found)) * _consistency(asked)


def _consistency(request: dict[str, Any]) -> Decimal:
    return Decimal(1) if request.get("ConsistentRead") else Decimal("0.5")


def _units(size: int, unit: int) -> int:
    # Nothing counts as one unit.
    return max(1, -(-size // unit))


BATCHES = (1, 10, 96)
"""A transaction takes 96 calls of one organization at most."""
ROUNDS = 20
FUNCTION = "ChargeCallsFunction"

# What AWS does, as it says; nothing of it can be measured here.
SQS_AT_ONCE = 10
"""Messages that Lambda receives, and deletes, in one request."""
CORE_MEGABYTES = 1_769
"""Memory with which a function has one core; with less it has as much less of it."""
TRACED_PERCENT = 5
"""X-Ray: of invocations beyond the first one in each second, which is always traced."""
LAMBDA_LOG_BYTES = 700
"""Lambda's own lines of an invocation: that it starts, and its report."""

DYNAMODB_MILLISECONDS = 10
"""How long DynamoDB takes for a request, about; the function waits, and pays for its memory."""


class Measured(NamedTuple):
    """What it takes to charge one batch, once the function has warmed up."""

    calls: int
    requests: int
    write_units: int
    read_units: Decimal
    cpu_microseconds: int
    log_bytes: int


class MeteredAws(InstantAws):
    """An AWS that answers immediately, and counts what DynamoDB would bill."""

    def __init__(self, rate_card: bytes) -> None:
        super().__init__(rate_card)
        self.write_units = 0
        self.read_units = Decimal()

    def answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:  # noqa: ANN401 - botocore's
        """Answer one request, and count it."""
        response = super().answer(request)
        target = request.headers.get("X-Amz-Target", b"")
        operation = (target.decode() if isinstance(target, bytes) else target).partition(".")[2]
        if operation and isinstance(request.body, bytes):
            asked = json.loads(request.body)
            self.write_units += write_units(operation, asked)
            self.read_units += read_units(operation, asked, json.loads(response.content))
        return response


def measured() -> list[Measured]:
    """Charge batches of one organization through the function's own handler."""
    aws = MeteredAws(RATE_CARD.read_bytes())
    with loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        return [_measure(aws, module.handler, size) for size in BATCHES]


def _measure(aws: MeteredAws, handler: Any, size: int) -> Measured:  # noqa: ANN401 - Lambda's
    event, written = batch(size), io.StringIO()
    with _logged_to(written):
        handler(event, CONTEXT)
        start = (aws.requests, aws.write_units, aws.read_units, len(written.getvalue()))
        answer = handler(event, CONTEXT)
        end = (aws.requests, aws.write_units, aws.read_units, len(written.getvalue()))
        seconds = best_cpu_seconds(lambda: handler(event, CONTEXT), ROUNDS)
    if answer["batchItemFailures"]:
        msg = f"the calls whose cost was to be measured were not charged: {answer}"
        raise RuntimeError(msg)
    return Measured(
        calls=size,
        requests=end[0] - start[0],
        write_units=end[1] - start[1],
        read_units=end[2] - start[2],
        cpu_microseconds=round(seconds * 1e6),
        log_bytes=end[3] - start[3],
    )


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


def call_costs(template: Template, one: Measured) -> list[Cost]:
    """Return what each kind costs for a million calls that come in such batches."""
    return list(_costs(template, one))


def _costs(template: Template, one: Measured) -> Iterator[Cost]:
    batches = Decimal(MILLION) / one.calls
    yield Cost(
        "EventBridge", of_a_million("eventbridge", "million_events", MILLION), "one event a call"
    )
    reads = -(-one.calls // SQS_AT_ONCE)
    requests = MILLION + 2 * reads * batches
    yield Cost(
        "SQS",
        of_a_million("sqs", "million_requests", requests),
        f"sent one by one; {reads} to receive a batch and {reads} to delete it",
    )
    time = _milliseconds(template, one)
    billed = gigabytes(_memory(template)) * time * batches / 1_000
    yield Cost(
        "Lambda",
        of_a_million("lambda", "million_requests", batches)
        + of_a_million("lambda", "million_gigabyte_seconds", billed),
        f"{round(time)} ms a batch: {one.requests} requests and {one.cpu_microseconds} µs of CPU",
    )
    yield Cost(
        "DynamoDB writes",
        of_a_million("dynamodb", "million_write_units", one.write_units * batches),
        f"{one.write_units} units a batch",
    )
    yield Cost(
        "DynamoDB reads",
        of_a_million("dynamodb", "million_read_units", one.read_units * batches),
        f"{one.read_units} units a batch",
    )
    logged = one.log_bytes + LAMBDA_LOG_BYTES
    yield Cost("logs", log_dollars(1) * logged * batches, f"{logged} bytes a batch")
    traced = batches * TRACED_PERCENT / 100
    yield Cost("traces", of_a_million("xray", "million_traces", traced), f"{TRACED_PERCENT} %")


def _milliseconds(template: Template, one: Measured) -> Decimal:
    cpu = Decimal(one.cpu_microseconds) / 1_000 * CORE_MEGABYTES / _memory(template)
    return cpu + DYNAMODB_MILLISECONDS * one.requests


def _memory(template: Template) -> int:
    memory: int = template["Resources"][FUNCTION]["Properties"]["MemorySize"]
    return memory
