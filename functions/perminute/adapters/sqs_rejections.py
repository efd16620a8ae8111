"""Refused deliveries in a function's dead-letter queue, beside what SQS itself moves there.

SQS moves a message without saying why. What we refuse for good we therefore send there ourselves,
with the reason as a message attribute, and never try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.message_attributes import clean, string_attribute
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.ports import Rejection


class SQSClient(Protocol):
    """The one call of botocore's SQS client that is used here."""

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - AWS's names
        MessageBody: str,  # noqa: N803
        MessageAttributes: dict[str, Any],  # noqa: N803
    ) -> object:
        """Send a message."""
        ...


class SQSRejections:
    """`Rejections` over a queue; refusals are rare, so the client is made for the first one."""

    def __init__(self, client: Callable[[], SQSClient], queue_url: str) -> None:
        """Keep them in this queue."""
        self._make_client = client
        self._queue_url = queue_url
        self._client: SQSClient | None = None

    def keep(self, rejections: Sequence[Rejection]) -> None:
        """See `Rejections.keep`."""
        for rejection in rejections:
            self._send(rejection)

    def _send(self, rejection: Rejection) -> None:
        self._client = self._client or self._make_client()
        try:
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=clean(rejection.body),
                MessageAttributes={
                    "eventId": string_attribute(rejection.event_id),
                    "reason": string_attribute(rejection.reason),
                },
            )
        except (BotoCoreError, ClientError) as error:
            msg = f"a refused event could not be kept: {error}"
            raise Unavailable(msg) from error
