"""Notifications on an SNS topic: JSON for programs, plain sentences for e-mail.

With `MessageStructure` json SNS gives each protocol its own text: an e-mail subscription is
readable as it is, and all others get the document of CONTRACT §5.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.message_attributes import string_attribute
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute.ports import Announcement

MAX_BATCH = 10
"""Messages that SNS takes at once; together 256 KB, of which ours are a few."""

MAX_SUBJECT = 99
"""Characters of a subject: SNS wants fewer than 100, of ASCII, no line breaks, no space first."""

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
"""Codes that say: this message is wrong, and will be."""

_NOT_FOR_SUBJECTS = re.compile(r"[^\x20-\x7e]")


class SNSClient(Protocol):
    """The one call of botocore's SNS client that is used here."""

    def publish_batch(
        self,
        *,
        TopicArn: str,  # noqa: N803 - AWS's names
        PublishBatchRequestEntries: list[dict[str, Any]],  # noqa: N803
    ) -> dict[str, Any]:
        """Publish up to ten messages."""
        ...


class SNSTopic:
    """`NotificationTopic` over SNS."""

    def __init__(self, client: Callable[[], SNSClient], topic_arn: str) -> None:
        """Publish to this topic."""
        self._make_client = client
        self._topic_arn = topic_arn
        self._client: SNSClient | None = None

    def publish(self, announcements: Sequence[Announcement]) -> Mapping[str, str]:
        """See `NotificationTopic.publish`."""
        refused: dict[str, str] = {}
        for start in range(0, len(announcements), MAX_BATCH):
            refused |= self._publish(announcements[start : start + MAX_BATCH])
        return refused

    def _publish(self, announcements: Sequence[Announcement]) -> dict[str, str]:
        """Publish one batch; of failures hidden in its answer, tell ours from those of SNS."""
        self._client = self._client or self._make_client()
        try:
            answer = self._client.publish_batch(
                TopicArn=self._topic_arn,
                PublishBatchRequestEntries=[
                    _entry(str(position), one) for position, one in enumerate(announcements)
                ],
            )
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in _OURS:
                return self._one_by_one(announcements, str(error))
            msg = f"notifications could not be published: {error}"
            raise Unavailable(msg) from error
        refused: dict[str, str] = {}
        for failure in answer.get("Failed", ()):
            why = f"{failure['Code']}: {failure.get('Message', 'no reason given')}"
            if not failure["SenderFault"]:
                msg = f"notifications could not be published: {why}"
                raise Unavailable(msg)
            refused[announcements[int(failure["Id"])].id] = why
        return refused

    def _one_by_one(self, announcements: Sequence[Announcement], why: str) -> dict[str, str]:
        """Find out which of a batch it is that SNS will not take."""
        if len(announcements) == 1:
            return {announcements[0].id: why}
        return {
            name: reason for one in announcements for name, reason in self._publish([one]).items()
        }


def _entry(entry_id: str, announcement: Announcement) -> dict[str, Any]:
    return {
        "Id": entry_id,
        "Subject": _NOT_FOR_SUBJECTS.sub("?", announcement.subject).lstrip()[:MAX_SUBJECT],
        "Message": json.dumps({"default": announcement.document, "email": announcement.text}),
        "MessageStructure": "json",
        "MessageAttributes": {
            name: string_attribute(value)
            for name, value in (
                ("type", announcement.type),
                ("organizationId", announcement.organization_id),
                ("correlationId", announcement.correlation_id),
            )
            if value or name != "correlationId"
        },
    }
