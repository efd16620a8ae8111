"""CPU time of `charge_calls` per charged call, beside two ways that most would write first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import boto3
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from perminute.adapters.dynamodb import tables
from perminute.bootstrap.charge_calls import charge_calls
from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute_local.bench.baseline import DESCRIPTION, charge_one_by_one
from perminute_local.bench.builders import CONTEXT, RATE_CARD, batch
from perminute_local.bench.report import Row, best_cpu_seconds, print_result
from perminute_local.bench.transport import InstantAws, loaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.application.charge_calls import ChargeCalls

BATCHES = (1, 90)
ROUNDS = 30
PLAIN = "the same over botocore's client as it is"


def main() -> None:
    """Measure all three over an AWS that answers at once."""
    aws = InstantAws(RATE_CARD.read_bytes())
    with loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        ours = [measure(aws, module.handler, batch(calls)) for calls in BATCHES]
        handler = _naive_handler(charge_calls(module.aws), aws)
        naive = [measure(aws, handler, batch(calls)) for calls in BATCHES]
    with patch.object(tables, "simplify"), loaded("charge_calls") as module:
        aws.answer_for(module.aws.connection)
        plain = [measure(aws, module.handler, batch(calls)) for calls in BATCHES]
    print_result(
        "handler",
        "at most 40 µs of CPU per charged call on a quiet machine, in a batch of 90 messages",
        [
            Row(
                f"charged call, batch of {fast.calls}, µs of CPU",
                fast.microseconds,
                slow.microseconds,
                "≤ 40" if fast.calls > 1 else "",
            )
            for fast, slow in zip(ours, naive, strict=True)
        ],
        ours=[measured._asdict() for measured in ours],
        botocore=PLAIN,
        botocoreFigures=[measured._asdict() for measured in plain],
        naive=DESCRIPTION,
        naiveFigures=[measured._asdict() for measured in naive],
    )


class Measured(NamedTuple):
    """What one way costs for each call of a batch."""

    calls: int
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
    return Measured(calls, round(seconds / calls * 1e6, 1), requests / calls)


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
