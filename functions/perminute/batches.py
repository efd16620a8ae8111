"""Between an SQS batch and a use case: open each message, settle each one, lose none.

A message that can never be processed is kept with its reason and done with: it is not tried
again. A message that could not be processed this time is reported as failed, and SQS delivers it
again (ReportBatchItemFailures); after its last delivery SQS moves it to the dead-letter queue.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, assert_never

from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import NEVER, Deadline
from perminute.arrivals import arrival_of
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.values.printable import one_line
from perminute.ports import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.application.results import Result
    from perminute.arrivals import Arrival
    from perminute.ports import Rejections


MAX_REASON_LENGTH = 1_024
MAX_EVENT_ID_LENGTH = 250
"""What is kept and logged of a refused event has an end, whatever was sent."""

_VERDICT = "result"


class BatchItemFailure(TypedDict):
    """One message that is to be delivered again."""

    itemIdentifier: str


class BatchResponse(TypedDict):
    """What Lambda's SQS mapping expects (AWS: "Reporting batch item failures")."""

    batchItemFailures: list[BatchItemFailure]


I = TypeVar("I")  # noqa: E741 - the input of a use case
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS message: its id, and the event in its body."""

    id: str
    body: str


@dataclass(slots=True)
class Settled(Generic[R]):
    """A batch when all is said: what took effect, what was refused, what must come again."""

    accepted: list[R] = field(default_factory=list)
    repeated: int = 0
    refused: list[Rejection] = field(default_factory=list)
    failed: list[tuple[Message, str]] = field(default_factory=list)
    names: list[dict[str, str]] = field(default_factory=list)
    """By which ids each sound message is found, and what became of it unless it was accepted."""

    @property
    def accepted_names(self) -> list[dict[str, str]]:
        """The names of what was accepted, in the order of the results."""
        return [names for names in self.names if _VERDICT not in names]

    def response(self) -> BatchResponse:
        """Answer the mapping."""
        return {"batchItemFailures": [{"itemIdentifier": message.id} for message, _ in self.failed]}

    def counts(self) -> dict[str, int]:
        """Count what became of the messages, for the one log line of a batch."""
        return {
            "accepted": len(self.accepted),
            "repeated": self.repeated,
            "refused": len(self.refused),
            "failed": len(self.failed),
        }

    def failures(self) -> Counter[str]:
        """Count the reasons why messages must come again."""
        return Counter(reason for _, reason in self.failed)


def _nameless(_: object) -> dict[str, str]:
    return {}


def settle_batch(  # noqa: PLR0913 - each of them differs from function to function
    sqs_event: dict[str, Any],
    *,
    open_message: Callable[[str, Arrival], I],
    use_case: Callable[[Sequence[I], Deadline], Sequence[Result[R]]],
    rejections: Rejections,
    deadline: Deadline = NEVER,
    names_of: Callable[[I], dict[str, str]] = _nameless,
) -> Settled[R]:
    """Open every message, hand what is sound to the use case, and settle each by its result."""
    settled: Settled[R] = Settled()
    sound: list[tuple[Message, I]] = []
    refusals: list[tuple[Message, Refused]] = []
    now = datetime.now(UTC)
    for record in sqs_event["Records"]:
        message = Message(record["messageId"], record["body"])
        try:
            sound.append((message, open_message(message.body, arrival_of(record, now))))
        except Refused as refusal:
            refusals.append((message, refusal))
    results = use_case([content for _, content in sound], deadline)
    for (message, content), result in zip(sound, results, strict=True):
        match result:
            case Accepted(outcome):
                became = {}
                settled.accepted.append(outcome)
            case Duplicate():
                became = {_VERDICT: "repeated"}
                settled.repeated += 1
            case Refused():
                became = {_VERDICT: "refused"}
                refusals.append((message, result))
            case Unavailable():
                became = {_VERDICT: "failed"}
                settled.failed.append((message, str(result)))
            case never:
                assert_never(never)
        settled.names.append(names_of(content) | became)
    for message, refused in refusals:
        _keep(message, refused, settled, rejections)
    return settled


def _keep(message: Message, refusal: Refused, settled: Settled[R], rejections: Rejections) -> None:
    """Keep what was refused; what cannot be kept comes again, for nothing may be lost."""
    reason = one_line(str(refusal), at_most=MAX_REASON_LENGTH)
    rejection = Rejection(event_id_of(message.body), reason, message.body)
    try:
        rejections.keep([rejection])
    except Unavailable as error:
        settled.failed.append((message, str(error)))
    else:
        settled.refused.append(rejection)


def event_id_of(body: str) -> str:
    """Find the event's id even in an event that is refused; one without goes by its fingerprint."""
    try:
        event_id = json.loads(body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        event_id = None
    if isinstance(event_id, str) and event_id:
        return event_id[:MAX_EVENT_ID_LENGTH]
    return "sha256:" + hashlib.sha256(body.encode(errors="replace")).hexdigest()[:16]
