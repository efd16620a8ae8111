"""Process a batch of SQS messages by a use case, and settle each of them: none is lost.

A message that can never be processed (`Refused`) is sent to the dead-letter queue with the reason,
and not tried again. A message that could not be processed this time (`Unavailable`) is reported as
failed (AWS: "Reporting batch item failures"): SQS delivers it again, and moves it to the same queue
after the last delivery. It is hidden for the visibility timeout of its queue in between, but only
for some seconds if other writers were in the way (`Contended`, ADR 29).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, assert_never

from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Contended, Refused, Unavailable
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import EPOCH
from perminute.observability import lambda_handler, logger, named_run
from perminute.ports.messaging import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.results import Result
    from perminute.ports.messaging import Redeliveries, Rejections

# What is stored and logged of a refused event is limited, whatever was sent.
MAX_REASON_LENGTH = 1_024
MAX_EVENT_ID_LENGTH = 250

# The longest time for which a contended message is hidden: the visibility timeout (template.yaml).
MAX_HIDDEN_SECONDS = 200
# A message that is longer has some thirty calls or more.
LARGE = 10_000
# As in `retry`: a generator seeded in a snapshot would give all instances the same numbers.
_jitter = random.SystemRandom().random

_RESULT = "result"


class Received(NamedTuple):
    """When a message was received, which is not the time that the event in it states."""

    # When it was sent to our queue (AWS: attribute `SentTimestamp`), if that is known.
    heard_at: datetime | None
    # When this delivery of it is processed.
    now: datetime

    @property
    def latest(self) -> datetime:
        """The later of both: a message may be processed long after it was sent."""
        return max(self.heard_at or self.now, self.now)


class Message(NamedTuple):
    """An SQS message, with the event in its body."""

    id: str
    body: str
    receipt: str  # of this delivery (AWS: `receiptHandle`)
    receives: int  # deliveries until now, this one included

    @classmethod
    def of(cls, record: dict[str, Any]) -> Message:
        """Return the message of a record of a batch."""
        receives = int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))
        return cls(record["messageId"], record["body"], record.get("receiptHandle", ""), receives)


# What Lambda expects as the answer of a handler: the messages that are to be delivered again.
BatchResponse: TypeAlias = dict[str, list[dict[str, str]]]
I = TypeVar("I")  # noqa: E741 - the input of a use case
R = TypeVar("R")


@dataclass(slots=True)
class BatchResults(Generic[R]):
    """The results of the messages of a batch."""

    accepted: list[R] = field(default_factory=list)
    repeated: int = 0
    refused: list[Rejection] = field(default_factory=list)
    # Messages to be delivered again, each with the reason.
    failed: list[tuple[Message, str]] = field(default_factory=list)
    # Of these, those with an event for which other writers were in the way, once for each.
    contended: list[Message] = field(default_factory=list)
    # Of each message that could be parsed: the ids to log, and `result` unless it was accepted.
    names: list[dict[str, str]] = field(default_factory=list)

    @property
    def named(self) -> list[dict[str, str]]:
        """The ids of the messages that have any."""
        return [names for names in self.names if names]

    @property
    def accepted_names(self) -> list[dict[str, str]]:
        """The ids of the accepted messages, in the order of `accepted`."""
        return [names for names in self.names if _RESULT not in names]

    @property
    def failed_ids(self) -> list[str]:
        """The ids of the messages to be delivered again."""
        return list(dict.fromkeys(message.id for message, _ in self.failed))

    @property
    def to_deliver_soon(self) -> list[Message]:
        """The messages that failed because other writers were in the way, and for nothing else."""
        others = Counter(message.id for message, _ in self.failed)
        others.subtract(message.id for message in self.contended)
        return [message for message in self.contended if not others[message.id]]

    def response(self) -> BatchResponse:
        """Return which messages are to be delivered again."""
        return {
            "batchItemFailures": [{"itemIdentifier": failed_id} for failed_id in self.failed_ids]
        }

    def counts(self) -> dict[str, int]:
        """Count events by result, for the log line of the batch."""
        return {
            "accepted": len(self.accepted),
            "repeated": self.repeated,
            "refused": len(self.refused),
            "failed": len(self.failed),
        }

    def failures(self) -> Counter[str]:
        """Count messages by the reasons why they are delivered again."""
        return Counter(reason for _, reason in {(each.id, why): None for each, why in self.failed})


def undivided(body: str, received: Received) -> Iterable[tuple[str, Received]]:
    """Return the message as it is: most queues have one event in each."""
    return ((body, received),)


def sqs_handler(  # noqa: PLR0913 - each of them differs from function to function
    *,
    divide: Callable[[str, Received], Iterable[tuple[str, Received]]] = undivided,
    parse: Callable[[str, Received], I],
    use_case: Callable[[Sequence[I], Deadline], Sequence[Result[R]]],
    rejections: Rejections,
    report: Callable[[BatchResults[R]], None],
    redeliveries: Redeliveries | None = None,
    names_of: Callable[[I], dict[str, str]] = attrgetter("names"),
) -> Callable[[dict[str, Any], LambdaContext], BatchResponse]:
    """Return a Lambda handler that parses a batch, passes it to a use case and reports the results.

    `names_of` returns the ids by which the log names a parsed message. Without `redeliveries`,
    contended messages are hidden as long as all that failed.
    """

    @lambda_handler
    @named_run
    def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
        deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
        batch = process_batch(
            event,
            divide=divide,
            parse=parse,
            use_case=use_case,
            rejections=rejections,
            deadline=deadline,
            names_of=names_of,
        )
        report(batch)
        if redeliveries is not None:
            deliver_soon(batch.to_deliver_soon, redeliveries)
        return batch.response()

    return handler


def process_batch(  # noqa: PLR0913 - each of them differs from function to function
    event: dict[str, Any],
    *,
    divide: Callable[[str, Received], Iterable[tuple[str, Received]]] = undivided,
    parse: Callable[[str, Received], I],
    use_case: Callable[[Sequence[I], Deadline], Sequence[Result[R]]],
    rejections: Rejections,
    deadline: Deadline = NEVER,
    names_of: Callable[[I], dict[str, str]] = attrgetter("names"),
) -> BatchResults[R]:
    """Parse every message, call the use case once with all that are valid, and settle each message.

    `divide` returns the events of a message, each of which is processed as if it had come alone; it
    raises `Refused` and `Unavailable`. The use case returns a result for each, in their order. A
    message is delivered again if any of its events failed. Its refused events are stored once none
    fails.
    """
    batch: BatchResults[R] = BatchResults()
    sound: list[tuple[Message, I]] = []
    refused: list[tuple[Message, Refused]] = []
    for message, arrival in _events_of(event["Records"], divide, deadline, batch, refused):
        try:
            sound.append((message, parse(message.body, arrival)))
        except Refused as refusal:
            refused.append((message, refusal))
    results = use_case([content for _, content in sound], deadline)
    for (message, content), result in zip(sound, results, strict=True):
        became = {}
        match result:
            case Accepted(outcome):
                batch.accepted.append(outcome)
            case Duplicate():
                became = {_RESULT: "repeated"}
                batch.repeated += 1
            case Refused():
                became = {_RESULT: "refused"}
                refused.append((message, result))
            case Unavailable():
                became = {_RESULT: "failed"}
                batch.failed.append((message, str(result)))
                if isinstance(result, Contended):
                    batch.contended.append(message)
            case never:
                assert_never(never)
        batch.names.append(names_of(content) | became)
    _settle_refused(refused, batch, rejections, deadline)
    return batch


def deliver_soon(contended: Sequence[Message], redeliveries: Redeliveries) -> None:
    """Have messages delivered again once the other writers are likely to have finished.

    If that fails, they are delivered again after the visibility timeout.
    """
    if not contended:
        return
    # One number for all: messages of one organization return together, to one transaction.
    share = _jitter()
    try:
        redeliveries.schedule(
            {message.receipt: hidden_seconds(message.receives, share) for message in contended}
        )
    except Unavailable as error:
        logger.warning("contended messages are delivered again late", reason=str(error))


def hidden_seconds(receives: int, jitter: float) -> int:
    """Return how long to hide a contended message: half of min(200, 2^receives) seconds, or more.

    `jitter`, from 0 to 1, says how much of the other half is left out.
    """
    longest = min(MAX_HIDDEN_SECONDS, 1 << min(receives, 8))
    return longest - round(jitter * longest / 2)


def _events_of(
    records: Sequence[dict[str, Any]],
    divide: Callable[[str, Received], Iterable[tuple[str, Received]]],
    deadline: Deadline,
    batch: BatchResults[R],
    refused: list[tuple[Message, Refused]],
) -> Iterator[tuple[Message, Received]]:
    now, last_begun = datetime.now(UTC), deadline
    for record in sorted(records, key=_is_large):
        if last_begun is deadline and _is_large(record):
            # To queue a large event again may take a second: that is done last, and leaves half of
            # the time to process what the others say.
            last_begun = deadline.share(of=2)
        whole = Message.of(record)
        try:
            last_begun.check()
            events = divide(whole.body, received(record, now))
        except Refused as refusal:
            refused.append((whole, refusal))
        except Unavailable as error:
            batch.failed.append((whole, str(error)))
        else:
            yield from ((whole._replace(body=body), arrival) for body, arrival in events)


def _is_large(record: dict[str, Any]) -> bool:
    return len(record["body"]) > LARGE


def received(record: dict[str, Any], now: datetime) -> Received:
    """Return when a message of a batch was sent to the queue, and that it is processed now."""
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    milliseconds = int(sent) if sent.isdecimal() else None
    heard_at = None if milliseconds is None else EPOCH + timedelta(milliseconds=milliseconds)
    return Received(heard_at, now)


def event_id_of(body: str) -> str:
    """Return the id of an event, even of a refused one; without an id, a hash of the message."""
    try:
        event_id = json.loads(body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        event_id = None
    if isinstance(event_id, str) and event_id:
        return event_id[:MAX_EVENT_ID_LENGTH]
    return "sha256:" + hashlib.sha256(body.encode(errors="replace")).hexdigest()[:16]


def _settle_refused(
    refused: Sequence[tuple[Message, Refused]],
    batch: BatchResults[R],
    rejections: Rejections,
    deadline: Deadline,
) -> None:
    failed = set(batch.failed_ids)
    for message, refusal in refused:
        if message.id in failed:
            # The message is delivered again with all of its events, and this one refused again.
            continue
        if deadline.passed:
            batch.failed.append((message, "no time was left in this invocation"))
        else:
            _store_refused(message, refusal, batch, rejections)


def _store_refused(
    message: Message, refusal: Refused, batch: BatchResults[R], rejections: Rejections
) -> None:
    reason = one_line(str(refusal), at_most=MAX_REASON_LENGTH)
    rejection = Rejection(event_id_of(message.body), reason, message.body)
    try:
        rejections.store([rejection])
    except Unavailable as error:
        # What cannot be stored is delivered again: nothing may be lost.
        batch.failed.append((message, str(error)))
    else:
        batch.refused.append(rejection)
