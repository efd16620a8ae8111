"""Notifications on an SNS topic.

With `MessageStructure` json SNS gives each protocol its own text: an e-mail subscription is
readable as it is, and all others get the document of docs/notifications.md.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.messaging import MAX_BATCH, string_attribute
from perminute.adapters.notification_documents import document_of
from perminute.domain.errors import Unavailable
from perminute.formats.notification_texts import UNKNOWN_SENDER
from perminute.ports.messaging import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.adapters.notification_documents import Document
    from perminute.formats.notification_texts import Sender
    from perminute.ports.messaging import Announcement

# Codes of SNS that say: this message is wrong, and will be.
_OURS = frozenset(
    {
        "BatchRequestTooLong",
        "InvalidParameter",
        "InvalidParameterValue",
        "ParameterValueInvalid",
        "ValidationError",
        "ValidationException",
    }
)


class SNSTopic:
    """`NotificationTopic` over SNS."""

    def __init__(
        self, client: Callable[[], Any], topic_arn: str, sender: Sender = UNKNOWN_SENDER
    ) -> None:
        self._client = cache(client)
        self._topic_arn = topic_arn
        self._sender = sender

    def publish(self, announcements: Sequence[Announcement]) -> Sequence[Rejection]:
        documents = [document_of(each, self._sender) for each in announcements]
        refused: list[Rejection] = []
        for start in range(0, len(documents), MAX_BATCH):
            refused += self._publish(documents[start : start + MAX_BATCH])
        return refused

    def _publish(self, documents: Sequence[Document]) -> list[Rejection]:
        entries = [_entry(str(position), document) for position, document in enumerate(documents)]
        try:
            answer = self._client().publish_batch(
                TopicArn=self._topic_arn, PublishBatchRequestEntries=entries
            )
        except (BotoCoreError, ClientError) as error:
            is_ours = isinstance(error, ClientError) and error.response["Error"]["Code"] in _OURS
            if not is_ours:
                raise _unavailable(error) from error
            if len(documents) == 1:
                return [_rejection(documents[0], str(error))]
            # One by one, to find out which of the batch it is that SNS will not take.
            return [refused for document in documents for refused in self._publish([document])]
        refused: list[Rejection] = []
        # A batch that was taken may have failures in its answer: ours, or those of SNS.
        for failure in answer.get("Failed", ()):
            why = f"{failure['Code']}: {failure.get('Message', 'no reason given')}"
            if not failure["SenderFault"]:
                raise _unavailable(why)
            refused.append(_rejection(documents[int(failure["Id"])], why))
        return refused


def _unavailable(why: object) -> Unavailable:
    return Unavailable(f"notifications could not be published: {why}")


def _rejection(document: Document, why: str) -> Rejection:
    return Rejection(document["id"], why, json.dumps(document))


def _entry(entry_id: str, document: Document) -> dict[str, Any]:
    message = {"default": json.dumps(document), "email": document["text"]}
    return {
        "Id": entry_id,
        "Subject": document["subject"],
        "Message": json.dumps(message),
        "MessageStructure": "json",
        "MessageAttributes": {
            name: string_attribute(document[name])
            for name in ("type", "organizationId", "correlationId")
            if name in document
        },
    }
