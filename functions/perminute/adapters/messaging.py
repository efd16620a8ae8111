"""Queues of SQS."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.credit.accounts import PROVISIONAL_FOR
from perminute.domain.errors import Unavailable
from perminute.domain.values.times import format_instant
from perminute.ports.messaging import Rejection, RunOrganization, RunPage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

M = TypeVar("M")

# Messages that SNS and SQS take at once; of SNS, together 256 KB, of which ours are a few.
MAX_BATCH = 10
# Of all messages that SQS takes at once (AWS: "SendMessageBatch"; it takes more by now).
MAX_BATCH_BYTES = 256 * 1024
# How long SQS hides a message that is for later; it takes no more than these 900.
DELAY_SECONDS = PROVISIONAL_FOR // timedelta(seconds=1)
# SNS and SQS take the characters of XML 1.0 and no others. Listed are those that are not taken: the
# complement of the others would take 3 ms to compile, at every start.
_NOT_TAKEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Replace what would have a message refused."""
    return _NOT_TAKEN.sub("\N{REPLACEMENT CHARACTER}", text)


def string_attribute(text: str) -> dict[str, str]:
    """Write a message attribute; an empty one is not taken either."""
    return {"DataType": "String", "StringValue": clean(text) or "-"}


def batches(bodies: Iterable[str]) -> Iterator[list[str]]:
    """Yield as many messages as SQS takes at once."""
    return _batches(bodies, _size_of_text)


def _batches(messages: Iterable[M], size_of: Callable[[M], int]) -> Iterator[list[M]]:
    batch, size = list[M](), 0
    for message in messages:
        length = size_of(message)
        if batch and (len(batch) == MAX_BATCH or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


class SQSQueue:
    """A queue, whose client is made for the first message: many runs send none."""

    def __init__(self, make_client: Callable[[], Any], url: str) -> None:
        self._client = cache(make_client)
        self._url = url

    def send_message(self, body: str, attributes: Mapping[str, str]) -> None:
        """Send a message. Raises `Unavailable`."""
        self._ask(
            "send_message",
            MessageBody=clean(body),
            MessageAttributes={name: string_attribute(text) for name, text in attributes.items()},
        )

    def send_messages(self, bodies: Sequence[str], *, delay_seconds: int = 0) -> None:
        """Send all in few requests. Raises `Unavailable`: then some may have been sent."""
        delay = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        for some in batches(bodies):
            self.send_batch([{"MessageBody": body, **delay} for body in some])

    def send_batch(self, messages: Sequence[Mapping[str, object]]) -> None:
        """Send as many as SQS takes at once. Raises `Unavailable`: then some may have been sent."""
        entries = [{"Id": str(n), **message} for n, message in enumerate(messages)]
        self._ask("send_message_batch", Entries=entries)

    def _ask(self, operation: str, **request: object) -> None:
        try:
            send = getattr(self._client(), operation)
            answer: dict[str, Any] = send(QueueUrl=self._url, **request)
        except (BotoCoreError, ClientError) as error:
            msg = f"{self._url}: {error}"
            raise Unavailable(msg) from error
        # What SQS did not take of a batch is inside its 200.
        if failed := answer.get("Failed"):
            msg = f"{self._url} did not take a message: {failed[0].get('Code')}"
            raise Unavailable(msg)


def _size_of_text(text: str) -> int:
    return len(text.encode())


def _attributes(rejection: Rejection) -> dict[str, str]:
    return {"eventId": rejection.event_id, "reason": rejection.reason}


def _size_of_message(message: Mapping[str, Any]) -> int:
    # Names, types and values of the attributes count as well; no character has more than 4 bytes.
    return _size_of_text(message["MessageBody"]) + 4 * len(repr(message["MessageAttributes"]))


class SQSRejections(SQSQueue):
    """`Rejections` over a function's dead-letter queue.

    SQS moves messages there without saying why: what we refuse we send there ourselves, with the
    reason as a message attribute.
    """

    def store(self, rejections: Sequence[Rejection]) -> None:
        if len(rejections) == 1:
            (rejection,) = rejections
            self.send_message(rejection.body, _attributes(rejection))
            return
        # Of a file of call records there may be a thousand.
        messages = [
            {
                "MessageBody": clean(rejection.body),
                "MessageAttributes": {
                    name: string_attribute(text) for name, text in _attributes(rejection).items()
                },
            }
            for rejection in rejections
        ]
        for some in _batches(messages, _size_of_message):
            self.send_batch(some)


class SQSRedeliveries(SQSQueue):
    """`Redeliveries` over the queue that a function reads: messages are hidden until then."""

    def schedule(self, seconds: Mapping[str, int]) -> None:
        hidden = list(seconds.items())
        for start in range(0, len(hidden), MAX_BATCH):
            entries = [
                {"Id": str(n), "ReceiptHandle": receipt, "VisibilityTimeout": visible_in}
                for n, (receipt, visible_in) in enumerate(hidden[start : start + MAX_BATCH])
            ]
            self._ask("change_message_visibility_batch", Entries=entries)


class SQSCalls(SQSQueue):
    """`CallsQueue` over the queue of `charge_calls`."""

    def send(self, messages: Sequence[str]) -> None:
        self.send_messages(messages)


class SQSReratingQueue(SQSQueue):
    """`ReratingQueue` over the queue of `rerate_calls`."""

    def send(self, organization_ids: Collection[str]) -> None:
        self.send_messages(
            [
                json.dumps({"organizationId": organization_id})
                for organization_id in organization_ids
            ]
        )

    def send_later(self, instants: Mapping[str, datetime]) -> None:
        bodies = [later_body(organization_id, at) for organization_id, at in instants.items()]
        self.send_messages(bodies, delay_seconds=DELAY_SECONDS)


def later_body(organization_id: str, at: datetime) -> str:
    """Write a message that is delayed: SQS states when it was sent, not when it is to be seen."""
    return json.dumps({"organizationId": organization_id, "at": format_instant(at)})


class SQSWork(SQSQueue):
    """`WorkQueue` over a queue that the function of the daily run reads."""

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        self.send_messages([work_body(item) for item in work])


def work_body(work: RunPage | RunOrganization) -> str:
    message: dict[str, Any] = {"at": format_instant(work.at)}
    if work.days_until is not None:
        message["daysUntil"] = format_instant(work.days_until)
    if isinstance(work, RunOrganization):
        message["organizationId"] = work.organization_id
        if work.after is not None:
            message["after"] = work.after
    else:
        message |= {"listed": work.listed, "after": work.after}
    return json.dumps(message)
