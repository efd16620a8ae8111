"""`perminute dlq`: what waits in the dead letters of a stack, and what is done about it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import boto3

from perminute.domain.values.times import format_instant
from perminute.sqs import event_id_of
from perminute_local.deployment import calling_aws, outputs
from perminute_local.terminal import remark, write_json, write_line, write_lines
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

DEAD_LETTERS = "DeadLetters"
UNKNOWN = "UnknownEvents"
HIDDEN_SECONDS = 120
"""How long a message that is looked at is nobody else's: ten of them are moved in a moment."""
WAIT_SECONDS = 1
"""SQS asks all of its servers only if it may wait: else it may say that there is nothing."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Letter(NamedTuple):
    """A message that waits; `reason` is None if it was given up and not refused."""

    message_id: str
    event_id: str
    sent_at: datetime
    reason: str | None


def run_list(stack_name: str, queue: str | None, *, as_json: bool) -> int:
    """Show what waits, by queue; exit code 1 if anything does."""
    with _calling_aws(stack_name):
        stack = _Stack(stack_name)
        names = [queue] if queue else stack.queues
        waiting = {name: stack.look(name) for name in names}
    if as_json:
        write_json({name: list(map(_document, found)) for name, found in waiting.items()})
    else:
        write_lines(_lines(waiting))
    return 1 if any(waiting.values()) else 0


def run_redrive(stack_name: str, queue: str, message_ids: Sequence[str], *, as_json: bool) -> int:
    """Send messages back to the queue that they came from: these, or all that wait."""
    with _calling_aws(stack_name):
        stack = _Stack(stack_name)
        source = stack.source_of(queue)
        moved = stack.take(queue, message_ids, stack.sender(source))
    return _done(moved, message_ids, f"sent back to {source}", as_json=as_json)


def run_discard(stack_name: str, queue: str, message_ids: Sequence[str], *, as_json: bool) -> int:
    """Delete messages that have been dealt with: these, or all that wait."""
    with _calling_aws(stack_name):
        moved = _Stack(stack_name).take(queue, message_ids, lambda _: None)
    return _done(moved, message_ids, "discarded", as_json=as_json)


def _calling_aws(stack_name: str) -> AbstractContextManager[None]:
    return calling_aws(f"the dead letters of {stack_name} cannot be reached")


class _Stack:
    def __init__(self, name: str) -> None:
        self._name = name
        suffix = "Url"
        self._urls = {
            key.removesuffix(suffix): url
            for key, url in outputs(name).items()
            if key.endswith(suffix)
        }
        self._sqs: SQSClient = boto3.client("sqs")
        if not self.queues:
            msg = f"{name} is not a stack of perminute: it has no dead letters"
            raise WrongCall(msg)

    @property
    def queues(self) -> list[str]:
        """Return the names of the queues that no function reads."""
        return sorted(n for n in self._urls if n.endswith(DEAD_LETTERS) or n == UNKNOWN)

    def source_of(self, queue: str) -> str:
        """Return the name of the queue that the messages came from."""
        self._url(queue)
        source = queue.removesuffix(DEAD_LETTERS) + "Queue"
        if source not in self._urls:
            msg = f"what waits in {queue} came from no queue; see docs/runbook.md"
            raise WrongCall(msg)
        return source

    def look(self, queue: str) -> list[Letter]:
        """Read all that waits, the oldest first; it is left where it is."""
        messages = list(self._receive(queue))
        self._leave(queue, messages)
        letters = map(_letter, messages)
        return sorted(letters, key=lambda letter: (letter.sent_at, letter.message_id))

    def sender(self, queue: str) -> Callable[[str], object]:
        """Return a function that sends a body to a queue."""
        url = self._url(queue)
        return lambda body: self._sqs.send_message(QueueUrl=url, MessageBody=body)

    def take(
        self, queue: str, message_ids: Collection[str], use: Callable[[str], object]
    ) -> list[str]:
        """Use messages and delete them, these or all that were there when it began.

        A message that is refused again comes back, and stays. If the command fails in between, a
        message is used twice at worst, which changes nothing more.
        """
        began_at, url = datetime.now(UTC), self._url(queue)
        used: list[str] = []
        left: list[MessageTypeDef] = []
        for message in self._receive(queue):
            letter = _letter(message)
            is_meant = letter.message_id in message_ids if message_ids else True
            if is_meant and letter.sent_at <= began_at:
                use(message["Body"])
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                used.append(letter.message_id)
            else:
                left.append(message)
        self._leave(queue, left)
        return used

    def _url(self, queue: str) -> str:
        if queue not in self._urls:
            msg = f"{self._name} has no queue {queue}; it has {', '.join(self.queues)}"
            raise WrongCall(msg)
        return self._urls[queue]

    def _receive(self, queue: str) -> Iterator[MessageTypeDef]:
        # Each message is hidden from others for a while. Of very many the first come again before
        # the last: it ends when as many came again as are known, and no other between them.
        url, seen, again = self._url(queue), set[str](), 0
        while messages := self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["SentTimestamp"],
        ).get("Messages"):
            new = [message for message in messages if message["MessageId"] not in seen]
            again = 0 if new else again + len(messages)
            if again > len(seen):
                return
            seen.update(message["MessageId"] for message in new)
            yield from new

    def _leave(self, queue: str, messages: Sequence[MessageTypeDef]) -> None:
        for message in messages:
            # What was hidden for long enough is visible by itself.
            with suppress(self._sqs.exceptions.MessageNotInflight):
                self._sqs.change_message_visibility(
                    QueueUrl=self._url(queue),
                    ReceiptHandle=message["ReceiptHandle"],
                    VisibilityTimeout=0,
                )


def _letter(message: MessageTypeDef) -> Letter:
    attributes = {
        name: value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }
    sent = int(message["Attributes"]["SentTimestamp"])
    return Letter(
        message_id=message["MessageId"],
        event_id=attributes.get("eventId") or event_id_of(message["Body"]),
        sent_at=_EPOCH + timedelta(milliseconds=sent),
        reason=attributes.get("reason"),
    )


def _document(letter: Letter) -> dict[str, str | None]:
    return {
        "messageId": letter.message_id,
        "eventId": letter.event_id,
        "sentAt": format_instant(letter.sent_at),
        "reason": letter.reason,
    }


_GIVEN_UP = "was given up: see the log of its function"
_UNREAD = "its source is none that is read: mend the sender, and send it again"


def _lines(waiting: dict[str, list[Letter]]) -> Iterator[str]:
    # A body is not shown: it may contain phone numbers.
    for queue, letters in waiting.items():
        yield f"{queue}: {len(letters) or 'nothing'}"
        for letter in letters:
            why = letter.reason or (_UNREAD if queue == UNKNOWN else _GIVEN_UP)
            at = f"{letter.sent_at:%Y-%m-%d %H:%M}"
            yield f"  {letter.message_id}  {at}  {letter.event_id}  {why}"


def _done(moved: Sequence[str], asked_for: Sequence[str], what: str, *, as_json: bool) -> int:
    missing = [message_id for message_id in asked_for if message_id not in moved]
    if as_json:
        write_json({"done": what, "messages": moved, "notFound": missing})
    else:
        write_line(f"{len(moved)} {what}")
    for message_id in missing:
        remark(f"perminute: {message_id} was not found; somebody may be looking at it")
    return 1 if missing else 0
