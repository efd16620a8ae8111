"""CPU time of `charge_calls` per charged call, beside the way most would write it first."""

from __future__ import annotations

import importlib
import io
import json
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute_local.bench.baseline import DESCRIPTION, charge_one_by_one
from perminute_local.bench.imports import SETTINGS
from perminute_local.bench.report import best_cpu_seconds, print_result
from perminute_local.bench.transport import ORGANIZATION, ORGANIZERS, InstantAws
from perminute_local.embedded_aws import environment
from perminute_local.packaged import TEMPLATE
from perminute_local.replay.lambda_runtime import QUIET, Context, SQSMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.application.charge_calls import ChargeCalls

BATCH = 100
ROUNDS = 30
CONTEXT = Context(function_name="bench", invoked_function_arn="arn:bench")
RATE_CARD = TEMPLATE.parent / "examples" / "day" / "rates.csv"


def main() -> None:
    """Measure both over an AWS that answers at once."""
    aws = InstantAws(RATE_CARD.read_bytes())
    with environment(**SETTINGS, **QUIET), redirect_stdout(io.StringIO()):
        module = importlib.import_module("charge_calls.handler")
        connection = module.application.connection
        aws.register(connection.client.meta.events)
        aws.register(connection.session.get_component("event_emitter"))
        ours = measure(aws, module.handler, batch(BATCH))
        naive = measure(aws, _naive_handler(module.charge_calls, aws), batch(BATCH))
    print_result(
        "handler",
        "at most 150 µs of CPU per charged call, batches of 100 messages of one organization",
        microsecondsPerCall=ours.microseconds,
        requestsPerCall=ours.requests,
        naive=DESCRIPTION,
        naiveMicrosecondsPerCall=naive.microseconds,
        naiveRequestsPerCall=naive.requests,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one way costs."""

    microseconds: float
    requests: float


def measure(aws: InstantAws, handler: Callable[..., Any], event: dict[str, Any]) -> Measured:
    """Invoke a handler with a batch again and again; returns what a call of it costs at best."""
    calls = len(event["Records"])
    handler(event, CONTEXT)
    before = aws.requests
    answer = handler(event, CONTEXT)
    if answer["batchItemFailures"]:
        msg = f"the benchmark's calls were not charged: {answer}"
        raise RuntimeError(msg)
    requests = aws.requests - before
    seconds = best_cpu_seconds(lambda: handler(event, CONTEXT), ROUNDS)
    return Measured(round(seconds / calls * 1e6, 1), requests / calls)


def batch(calls: int) -> dict[str, Any]:
    """Make a batch of so many calls of one organization, as Lambda receives it."""
    messages = (SQSMessage(json.dumps(_call(number))) for number in range(calls))
    return {"Records": [message.record("arn:aws:sqs:us-east-1:0:calls") for message in messages]}


def _call(number: int) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"4d3c2b1a-0000-4000-8000-{number:012d}",
        "source": "perminute.telephony",
        "detail-type": "Call Ended",
        "account": "123456789012",
        "time": "2026-11-02T09:31:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {
            "schemaVersion": "1",
            "organizationId": ORGANIZATION,
            "callId": f"b6c1a0f4-7a3e-4a5f-8f0a-{number:012d}",
            "organizerId": ORGANIZERS[number % len(ORGANIZERS)],
            "meetingId": f"meeting-{number % 7}",
            "meetingType": "scheduled",
            "legType": "dialOut",
            "remoteNumber": f"+4930231250{number:02d}",
            "answeredAt": "2026-11-02T09:02:11.417Z",
            "endedAt": "2026-11-02T09:30:59Z",
        },
    }


def _naive_handler(use_case: ChargeCalls, aws: InstantAws) -> Callable[..., Any]:
    client = boto3.client("dynamodb")
    aws.register(client.meta.events)
    charge = charge_one_by_one(use_case, client, "idempotency", CONTEXT)
    processor = BatchProcessor(event_type=EventType.SQS)

    def handler(event: dict[str, Any], context: Any) -> Any:  # noqa: ANN401 - Lambda's
        return process_partial_response(
            event=event,
            record_handler=lambda record: charge(ended_call(read_event(record.body, TELEPHONY))),
            processor=processor,
            context=context,
        )

    return handler


if __name__ == "__main__":
    main()
