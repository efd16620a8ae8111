"""Runs the functions of a lasting stack by its queues, streams and schedules, in place of Lambda.

The emulator's own pollers are not used (docs/adr/0012). Each of ours runs in threads of its own
until the process ends; what fails is logged and tried again. A mapping that an operator has
disabled is not read, and goes on where it stopped.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from perminute.domain.values.times import format_instant
from perminute_local.deployed.emulated_links import SQS_BATCH, QueueMapping, deployed_functions
from perminute_local.replay.links import wire
from perminute_local.replay.streams import TableStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from perminute_local.deployed.deploying import Deployment
    from perminute_local.replay.lambda_runtime import Scheduled

LONG_POLL_SECONDS = 3
"""Short enough that the emulator, which ends only when no request is open, ends soon."""
WINDOW_SECONDS = 1.0
"""How long a batch is collected (`MaximumBatchingWindowInSeconds`)."""
AT_ONCE = 2
"""Batches of a queue that are processed at once."""
STREAM_SECONDS = 0.25
"""How often Lambda looks for new records of a stream."""
MAPPINGS_SECONDS = 2.0
"""How often is looked whether somebody has disabled a mapping."""
DISABLED = ("Disabled", "Disabling")
SCHEDULE_SECONDS = 5.0
AFTER_A_FAILURE_SECONDS = 1.0


class WaitingMapping(QueueMapping):
    """Waits for messages, and then for as long as a batch is collected."""

    def _receive(self, size: int) -> list[MessageTypeDef]:
        messages = self._some(size, LONG_POLL_SECONDS)
        full_at = time.monotonic() + WINDOW_SECONDS
        while messages and len(messages) < size and time.monotonic() < full_at:
            messages += self._some(size - len(messages), 1)
        return messages

    def _some(self, size: int, wait_seconds: int) -> list[MessageTypeDef]:
        answer = self._client.receive_message(
            QueueUrl=self._queue.url,
            MaxNumberOfMessages=min(SQS_BATCH, size),
            MessageSystemAttributeNames=["All"],
            WaitTimeSeconds=wait_seconds,
        )
        return answer.get("Messages", [])


class Mappings:
    """Which mappings are disabled, as of a moment ago."""

    def __init__(self, client: LambdaClient) -> None:
        self._client = client
        self._disabled: frozenset[tuple[str, str]] = frozenset()

    def look(self) -> None:
        """Ask Lambda."""
        pages = self._client.get_paginator("list_event_source_mappings").paginate()
        self._disabled = frozenset(
            (mapping["EventSourceArn"], _function_in(mapping["FunctionArn"]))
            for page in pages
            for mapping in page["EventSourceMappings"]
            if mapping["State"] in DISABLED
        )

    def is_read(self, source: str, function: str) -> bool:
        """Whether a function reads a queue or stream, by its ARN."""
        return (source, function) not in self._disabled


def _function_in(arn: str) -> str:
    # arn:aws:lambda:REGION:ACCOUNT:function:NAME:ALIAS
    return arn.split(":")[6]


class DailyRuns:
    """Runs functions when their hour has come."""

    def __init__(self, scheduled: Sequence[Scheduled], since: datetime) -> None:
        self._scheduled = scheduled
        self._since = since

    def run_until(self, now: datetime) -> None:
        """Run what has fallen due, once, however long ago the last look was."""
        due = [(schedule.next_after(self._since), schedule) for schedule in self._scheduled]
        self._since = now
        for at, one in sorted(due, key=lambda run: run[0]):
            if at <= now:
                for failure in one.run(at):
                    log(f"{failure.name}: the run of {format_instant(at)} {failure.why}")


def drive(deployment: Deployment) -> None:
    """Start all of these threads."""
    stack = deployment.stack
    functions = deployed_functions(stack, deployment.names)
    wiring = wire(stack, lambda function: functions[function.name], as_deployed=True)
    mappings = Mappings(boto3.client("lambda"))
    _begin("the mappings", partial(_look_for, mappings))

    def begin(source: str, function: str, step: Callable[[], object]) -> None:
        is_read = partial(mappings.is_read, source, functions[function].physical_name)
        _begin(source, step, is_read)

    sqs = boto3.client("sqs", config=Config(max_pool_connections=AT_ONCE * len(stack.queues)))
    for name, (trigger, function) in wiring.readers.items():
        queue = stack.queues[name]
        mapping = WaitingMapping(queue, trigger.batch_size, function, sqs)
        for _ in range(AT_ONCE):
            begin(queue.arn, function.name, mapping.poll)
    for arn, readers in wiring.listening.items():
        for reader in readers:
            # Each has a position of its own, for it may be disabled while others read.
            begin(arn, reader.function.name, partial(_pump, TableStream(arn, [reader])))
    runs = DailyRuns(wiring.scheduled, datetime.now(UTC))
    _begin("a schedule", partial(_look_at, runs))


def _pump(stream: TableStream) -> None:
    _, given_up = stream.pump()
    for record in given_up:
        log(f"a record of a stream was given up: {record['dynamodb']['Keys']}")
    time.sleep(STREAM_SECONDS)


def _look_at(runs: DailyRuns) -> None:
    runs.run_until(datetime.now(UTC))
    time.sleep(SCHEDULE_SECONDS)


def _look_for(mappings: Mappings) -> None:
    mappings.look()
    time.sleep(MAPPINGS_SECONDS)


def _begin(name: str, step: Callable[[], object], is_on: Callable[[], bool] = lambda: True) -> None:
    def work() -> None:
        while True:
            try:
                if is_on():
                    step()
                else:
                    time.sleep(MAPPINGS_SECONDS)
            except Exception:  # noqa: BLE001 - whatever it is, Lambda would go on
                log(f"reading {name} failed: {traceback.format_exc()}")
                time.sleep(AFTER_A_FAILURE_SECONDS)

    threading.Thread(target=work, name=name, daemon=True).start()


def log(line: str) -> None:
    """Write a line to the log of the stack."""
    sys.stderr.write(f"{format_instant(datetime.now(UTC))} {line}\n")
    sys.stderr.flush()
