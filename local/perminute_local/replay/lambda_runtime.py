"""Lambda and its event sources: functions, batches of queues and schedules.

The functions' own handlers run in this process, each with the environment of the template.
"""

from __future__ import annotations

import gc
import hashlib
import importlib
import io
import json
import sys
import traceback
import uuid
from abc import ABC, abstractmethod
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from unittest.mock import patch

import boto3

from perminute.adapters.dynamodb.account_items import ACCOUNT, ACCOUNTS_INDEX, NEVER_DUE
from perminute.domain.values.times import end_of, format_instant, parse_instant
from perminute_local.embedded_aws import REGION, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from perminute_local.stack import Function, ScheduleTrigger


QUIET = {"POWERTOOLS_LOG_LEVEL": "ERROR"}
"""A run shows its results; a function's log lines matter only when something breaks."""


class Handler(Protocol):
    """A Lambda handler."""

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401
        """Handle an event, and return the answer."""
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
        """Return all of it: no function is ended here, but it may end itself."""
        return self.timeout_seconds * 1000


@dataclass(slots=True)
class SQSMessage:
    """A message in a queue: how often it was received counts against its redrive policy."""

    body: str
    sent_at: datetime | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receive_count: int = 0

    def record(self, queue_arn: str) -> dict[str, Any]:
        """Return it as Lambda's SQS mapping does."""
        attributes = {
            "ApproximateReceiveCount": str(self.receive_count),
            **({"SentTimestamp": _milliseconds(self.sent_at)} if self.sent_at else {}),
        }
        return sqs_record(self.id, self.id, self.body, attributes, queue_arn)


def sqs_record(
    message_id: str, receipt: str, body: str, attributes: Mapping[str, str], queue_arn: str
) -> dict[str, Any]:
    """Return a message as Lambda's SQS mapping passes it on."""
    return {
        "messageId": message_id,
        "receiptHandle": receipt,
        "body": body,
        "attributes": dict(attributes),
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def http_api_event(route_key: str, path: str, at: datetime, request_id: str) -> dict[str, Any]:
    """Return a request as an HTTP API passes it on (payload format 2.0), without its content."""
    method, _, _ = route_key.partition(" ")
    return {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "replay",
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1"},
            "requestId": request_id,
            "routeKey": route_key,
            "stage": "$default",
            "timeEpoch": int(_milliseconds(at)),
        },
        "isBase64Encoded": False,
    }


class LambdaFunction(ABC):
    """A function, wherever it runs: handed batches as Lambda's mappings do."""

    def __init__(self, function: Function) -> None:
        self._function = function

    @property
    def name(self) -> str:
        """Its logical id in the template."""
        return self._function.name

    @abstractmethod
    def call(self, event: Any) -> dict[str, Any] | None:  # noqa: ANN401 - whatever JSON can say
        """Invoke it with an event; return None if it failed, with the error on standard error."""

    def invoke(self, messages: Sequence[SQSMessage], queue_arn: str) -> list[SQSMessage]:
        """Invoke it with a batch of a queue; return the messages to deliver again."""
        for message in messages:
            message.receive_count += 1
        failed = self.failed_of([message.record(queue_arn) for message in messages])
        return [message for message in messages if message.id in failed]

    def failed_of(self, records: Sequence[dict[str, Any]]) -> set[str]:
        """Invoke it with the records of a queue's batch; return the ids of those that failed.

        As with Lambda, a failure or an answer that names an unknown message fails them all.
        """
        ids = {record["messageId"] for record in records}
        failed = _failed(self.call({"Records": list(records)}))
        return ids if failed is None or not failed <= ids else failed

    def invoke_with_records(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Invoke it with a batch of a stream; return the records to deliver again.

        As with Lambda, these are all from the lowest that failed on.
        """
        failed = _failed(self.call({"Records": list(records)}))
        if failed is None:
            return list(records)
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        first = min(
            (numbers.index(number) for number in failed if number in numbers), default=len(numbers)
        )
        return list(records[first:])


def load_module(name: str, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - a module
    """Import a function's module anew under its environment, as Lambda does."""
    # A function exempts from garbage collection what it has loaded. This process also has other
    # objects, such as those of the world that was simulated before: they would never be freed.
    with environment(**variables), patch.object(gc, "freeze"):
        sys.modules.pop(name, None)
        return importlib.import_module(name)


def log_errors_only() -> None:
    """Set the level that `QUIET` names: Powertools read it when the logger was created."""
    from perminute.observability import logger  # noqa: PLC0415 - other users set it by QUIET

    logger.setLevel(QUIET["POWERTOOLS_LOG_LEVEL"])


class LoadedFunction(LambdaFunction):
    """A function of the template, loaded as Lambda loads it: import first, handler afterwards."""

    def __init__(self, function: Function) -> None:
        super().__init__(function)
        self.failed_with: Exception | None = None
        """What it raised last: its callers learn only that it failed."""
        self._runs = count(1)
        self._environment = {**function.environment, **QUIET}
        module_name, _, attribute = function.handler.rpartition(".")
        module = load_module(module_name, self._environment)
        self._handler: Handler = getattr(module, attribute)

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
    if answer is None:
        return None
    return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}


MAX_RUNS_BETWEEN_EVENTS = 2_000
"""A gap between two events may be thousands of years, if one of their times is wrong."""

_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
_A_DAY = timedelta(days=1)
_A_MOMENT = timedelta(microseconds=1)


class Failure(NamedTuple):
    """A run that failed as often as it is tried, or that was not made at all."""

    name: str
    at: datetime
    why: str


class Scheduled(NamedTuple):
    """A function and its schedule."""

    name: str
    trigger: ScheduleTrigger
    function: LambdaFunction

    def next_after(self, now: datetime) -> datetime:
        """Return when it runs next."""
        at = now.replace(
            hour=self.trigger.hour, minute=self.trigger.minute, second=0, microsecond=0
        )
        if at <= now:
            at += _A_DAY
        while self.trigger.days and at.day not in self.trigger.days:
            at += _A_DAY
        return at

    def run(self, at: datetime, *, is_last: bool = False) -> Iterator[Failure]:
        """Run it as of this time, again if it fails; yield it if it fails every time.

        The last run takes the day for over: see `ScheduledRun.days_until`.
        """
        event, attempts = event_of_run(self.trigger, at), self.trigger.attempts
        if is_last:
            event["daysUntil"] = format_instant(end_of(at.date()))
        if all(self.function.call(event) is None for _ in range(attempts)):
            yield Failure(self.name, at, f"failed {attempts} times; see the function's log above")


def event_of_run(trigger: ScheduleTrigger, at: datetime) -> Any:  # noqa: ANN401 - what the template says
    """Return the event of a run at this time, as the scheduler makes it."""
    return json.loads(trigger.input.replace(_SCHEDULED_TIME, format_instant(at)))


def _nothing_to_do(_name: str, _at: datetime) -> Iterable[Failure]:
    return ()


@dataclass(slots=True)
class Clock:
    """The clock of a replay. It starts with the first event, and time passes between events.

    While nothing is delivered only time changes accounts, and the index of the credit table says
    when it next does: daily runs that would find nothing are left out.
    """

    scheduled: Sequence[Scheduled]
    credit_table: str
    now: datetime | None = None
    work_off: Callable[[str, datetime], Iterable[Failure]] = _nothing_to_do
    """Processes what a run of this function has queued, before anything else happens."""

    def pass_until(self, at: datetime) -> Iterator[Failure]:
        """Let time pass, and run what falls into it; yield the runs that failed."""
        now = self.now or at
        for runs in count(1):
            one = min(self.scheduled, key=lambda s: s.next_after(now), default=None)
            if one is None or one.next_after(now) > at:
                break
            now = one.next_after(now)
            if runs > MAX_RUNS_BETWEEN_EVENTS:
                why = f"was left out, as all after it: {runs - 1} runs between two events"
                yield Failure(one.name, now, why)
                break
            yield from self._run(one, now)
            if runs >= len(self.scheduled):
                monthly = (one.next_after(now) for one in self.scheduled if one.trigger.days)
                now = max(now, min(self._next_due() or at, at, *monthly) - _A_MOMENT)
        self.now = max(now, at)

    def run_all(self) -> Iterator[Failure]:
        """Run each function once more, as of now; the day that is not over has its digests sent."""
        if self.now is not None:
            for schedule in self.scheduled:
                yield from self._run(schedule, self.now, is_last=True)

    def _run(self, one: Scheduled, at: datetime, *, is_last: bool = False) -> Iterator[Failure]:
        yield from one.run(at, is_last=is_last)
        yield from self.work_off(one.name, at)

    def _next_due(self) -> datetime | None:
        found = boto3.client("dynamodb").query(
            TableName=self.credit_table,
            IndexName=ACCOUNTS_INDEX,
            KeyConditionExpression="listedAs = :account AND dueAt < :never",
            ExpressionAttributeValues={":account": {"S": ACCOUNT}, ":never": {"S": NEVER_DUE}},
            Limit=1,
        )
        return parse_instant(found["Items"][0]["dueAt"]["S"]) if found["Items"] else None
