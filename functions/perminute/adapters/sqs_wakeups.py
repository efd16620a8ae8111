"""Wakes organizations by messages to the queue of `rerate_calls`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from perminute.adapters.sqs_batches import send_all

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from perminute.adapters.sqs_batches import SQSClient


class SQSWakeups:
    """`Wakeups` over a queue."""

    def __init__(self, client: Callable[[], SQSClient], queue_url: str) -> None:
        """Make the client when it is first needed."""
        self._make_client = client
        self._client: SQSClient | None = None
        self._queue_url = queue_url

    def wake(self, organization_ids: Collection[str]) -> None:
        """See `Wakeups.wake`."""
        bodies = [json.dumps({"organizationId": one}) for one in organization_ids]
        if bodies:
            self._client = self._client or self._make_client()
            send_all(self._client, self._queue_url, bodies)
