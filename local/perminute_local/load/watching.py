"""Measures while a load runs: how soon calls are charged, and how many wait."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from perminute.adapters.dynamodb.call_items import OUTCOME, call_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_sqs.client import SQSClient

AT_ONCE = 100
"""Items that DynamoDB returns in one request."""
LOOK_SECONDS = 0.1
"""How often followed calls are looked for, and so how exact their times are."""
DEPTH_SECONDS = 1.0
WAITING: Sequence[Any] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Followed(NamedTuple):
    """A call that is looked for since it was sent."""

    organization_id: str
    call_id: str
    sent_at: float  # seconds of a clock that is never set


class Charged(Protocol):
    """Says which calls have been charged."""

    def __call__(self, calls: Sequence[Followed]) -> set[str]:
        """Return the ids of those that have a usage record: it is written with the balance."""


def charged_in(client: DynamoDBClient, usage_table: str) -> Charged:
    """Return a function that looks for usage records, with consistent reads."""

    def charged(calls: Sequence[Followed]) -> set[str]:
        answer = client.batch_get_item(
            RequestItems={
                usage_table: {
                    "Keys": [call_key(call.organization_id, call.call_id) for call in calls],
                    "ConsistentRead": True,
                    "ProjectionExpression": f"callId, {OUTCOME}",
                }
            }
        )
        found: Any = answer["Responses"].get(usage_table, [])
        return {item["callId"]["S"] for item in found if OUTCOME in item}

    return charged


def depth_of(client: SQSClient, queue_url: str) -> int:
    """Return roughly how many messages are in a queue, with those that are being processed."""
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=WAITING)
    return sum(int(answer["Attributes"][name]) for name in WAITING)


class Watch(threading.Thread):
    """Looks for followed calls and at the queue until it is ended."""

    def __init__(
        self,
        charged: Charged,
        depth: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(daemon=True)
        self.latencies: list[float] = []
        self.deepest = 0
        self.depth = 0
        self.failure: Exception | None = None
        self._charged, self._depth = charged, depth
        self._clock, self._wait = clock, wait
        self._followed: dict[str, Followed] = {}
        self._lock = threading.Lock()
        self._ended = False

    def follow(self, call: Followed) -> None:
        """Follow a call from now on."""
        with self._lock:
            self._followed[call.call_id] = call

    def missing(self) -> int:
        """Return how many followed calls were not found yet."""
        return len(self._followed)

    def end(self) -> None:
        """Stop."""
        self._ended = True
        self.join()

    def run(self) -> None:
        """Look repeatedly until it is ended. An error ends it, and is stored."""
        next_depth = self._clock()
        try:
            while not self._ended:
                self.look()
                if self._clock() >= next_depth:
                    self.depth = self._depth()
                    self.deepest = max(self.deepest, self.depth)
                    next_depth += DEPTH_SECONDS
                self._wait(LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001 - raised by who waits for this thread
            self.failure = error

    def look(self) -> None:
        """Look once for all followed calls."""
        with self._lock:
            waiting = list(self._followed.values())
        for start in range(0, len(waiting), AT_ONCE):
            some = waiting[start : start + AT_ONCE]
            found, now = self._charged(some), self._clock()
            self.latencies += [now - call.sent_at for call in some if call.call_id in found]
            with self._lock:
                for call_id in found:
                    del self._followed[call_id]


def handed_back(messages: Sequence[str]) -> int:
    """Add up the messages that were delivered again, by the log lines of a function."""
    return sum(int(_line(message).get("failed", 0)) for message in messages)


def _line(text: str) -> Mapping[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the value that a percentage of the values does not exceed; None without values."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None
