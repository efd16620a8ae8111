"""Runs the functions' own handlers in this process, each with the environment of the template."""

from __future__ import annotations

import hashlib
import importlib
import io
import sys
import traceback
import uuid
from abc import ABC, abstractmethod
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from perminute_local.embedded_aws import REGION, environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute_local.stack import Function


QUIET = {"POWERTOOLS_LOG_LEVEL": "ERROR"}
"""A run shows its results; a function's log lines matter only when something breaks."""


class Handler(Protocol):
    """A Lambda handler."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
        """Take an event; give the answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What our handlers read of Lambda's context."""

    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    timeout_seconds: int = 30

    def get_remaining_time_in_millis(self) -> int:
        """Tell that all of it is left: here nothing is ended, but a function may end itself."""
        return self.timeout_seconds * 1000


@dataclass(slots=True)
class SQSMessage:
    """A message in a queue: how often it was received counts against its redrive policy."""

    body: str
    sent_at: datetime | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receive_count: int = 0

    def record(self, queue_arn: str) -> dict[str, Any]:
        """Shape it as Lambda's SQS mapping does."""
        return {
            "messageId": self.id,
            "receiptHandle": self.id,
            "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": str(self.receive_count),
                **({"SentTimestamp": _milliseconds(self.sent_at)} if self.sent_at else {}),
            },
            "messageAttributes": {},
            "md5OfBody": hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest(),
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": REGION,
        }


class LambdaFunction(ABC):
    """A function, wherever it runs: handed batches as Lambda's mappings do."""

    def __init__(self, function: Function) -> None:
        """Stand for this function of the template."""
        self._function = function

    @property
    def name(self) -> str:
        """Its logical id in the template."""
        return self._function.name

    @abstractmethod
    def call(self, event: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever JSON can say
        """Hand over an event; None if the function failed, which is shown on standard error."""

    def invoke(self, messages: Sequence[SQSMessage], queue_arn: str) -> list[SQSMessage]:
        """Hand over a batch of a queue; gives the messages that are to be delivered again."""
        for message in messages:
            message.receive_count += 1
        failed = self.failed_of([message.record(queue_arn) for message in messages])
        return [message for message in messages if message.id in failed]

    def failed_of(self, records: Sequence[dict[str, Any]]) -> set[str]:
        """Hand over the records of a queue's batch; gives the ids of those that failed.

        As with Lambda, a failure or an answer that names an unknown message fails them all.
        """
        ids = {record["messageId"] for record in records}
        failed = _failed(self.call({"Records": list(records)}))
        return ids if failed is None or not failed <= ids else failed

    def invoke_with_records(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Hand over a batch of a stream; gives the records that come again.

        As with Lambda, these are all from the lowest that failed on.
        """
        failed = _failed(self.call({"Records": list(records)}))
        if failed is None:
            return list(records)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        first = min((numbers.index(one) for one in failed if one in numbers), default=len(numbers))
        return list(records[first:])


class LoadedFunction(LambdaFunction):
    """A function of the template, loaded as Lambda loads it: import first, handler afterwards."""

    def __init__(self, function: Function) -> None:
        """Import its handler under its own environment, anew each time."""
        super().__init__(function)
        self.failed_with: Exception | None = None
        """What it raised last, which all that call it are told is that it failed."""
        self._runs = count(1)
        self._environment = {**function.environment, **QUIET}
        module_name, _, attribute = function.handler.rpartition(".")
        with environment(**self._environment):
            sys.modules.pop(module_name, None)
            self._handler: Handler = getattr(importlib.import_module(module_name), attribute)

    def call(self, event: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever JSON can say
        """Call its handler."""
        context = Context(
            function_name=self._function.name,
            # Not by chance: notifications name the run that they come of, and replays are compared.
            aws_request_id=f"{self._function.name}-{next(self._runs)}",
            timeout_seconds=self._function.timeout_seconds,
            invoked_function_arn=f"arn:aws:lambda:{REGION}:000000000000:function:{self._function.name}",
        )
        try:
            # What a function prints are its metrics, for CloudWatch to read out of the log.
            with environment(**self._environment), redirect_stdout(io.StringIO()):
                return self._handler(event, context)
        except Exception as error:  # noqa: BLE001 - whatever it raises, Lambda takes for a failure
            self.failed_with = error
            traceback.print_exc()
            return None


def _milliseconds(at: datetime) -> str:
    return str((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def _failed(answer: dict[str, Any] | None) -> set[str] | None:
    """Read which items failed; None stands for all."""
    if answer is None:
        return None
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
