"""Wakes organizations by messages to the queue of `rerate_calls`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

MAX_ENTRIES = 10
"""Messages that SQS takes at once."""


class SQSClient(Protocol):
    """The one call of botocore's SQS client that is used here."""

    def send_message_batch(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - AWS's shape
        """Send up to ten messages."""
        ...


class SQSWakeups:
    """`Wakeups` over a queue."""

    def __init__(self, client: Callable[[], SQSClient], queue_url: str) -> None:
        """Make the client when it is first needed."""
        self._make_client = client
        self._client: SQSClient | None = None
        self._queue_url = queue_url

    def wake(self, organization_ids: Collection[str]) -> None:
        """See `Wakeups.wake`; what SQS did not take inside its 200 raises as well."""
        bodies = [json.dumps({"organizationId": one}) for one in organization_ids]
        for start in range(0, len(bodies), MAX_ENTRIES):
            self._send(bodies[start : start + MAX_ENTRIES])

    def _send(self, bodies: list[str]) -> None:
        self._client = self._client or self._make_client()
        entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
        try:
            answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            msg = f"{self._queue_url}: {error}"
            raise Unavailable(msg) from error
        if answer.get("Failed"):
            failed = answer["Failed"][0]
            msg = f"{self._queue_url} did not take a message: {failed.get('Code')}"
            raise Unavailable(msg)
