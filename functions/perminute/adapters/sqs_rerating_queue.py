"""Wakes organizations by messages to the queue of `rerate_calls`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.adapters.sqs_batches import send_all
from perminute.domain.credit.provisional import PROVISIONAL_FOR
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.adapters.sqs_batches import SQSClient

DELAY_SECONDS = PROVISIONAL_FOR // timedelta(seconds=1)
"""How long SQS hides a message that is for later; it takes no more than these 900."""


class SQSReratingQueue:
    """`ReratingQueue` over a queue."""

    def __init__(self, client: Callable[[], SQSClient], queue_url: str) -> None:
        """Make the client when it is first needed."""
        self._make_client = client
        self._client: SQSClient | None = None
        self._queue_url = queue_url

    def wake(self, organization_ids: Collection[str]) -> None:
        """See `ReratingQueue.wake`."""
        self._send([json.dumps({"organizationId": one}) for one in organization_ids])

    def wake_later(self, instants: Mapping[str, datetime]) -> None:
        """See `ReratingQueue.wake_later`."""
        bodies = [later_body(one, at) for one, at in instants.items()]
        self._send(bodies, delay_seconds=DELAY_SECONDS)

    def _send(self, bodies: Sequence[str], *, delay_seconds: int = 0) -> None:
        if bodies:
            self._client = self._client or self._make_client()
            send_all(self._client, self._queue_url, bodies, delay_seconds=delay_seconds)


def later_body(organization_id: str, at: datetime) -> str:
    """Write a message that is delayed: SQS states when it was sent, not when it is to be seen."""
    return json.dumps({"organizationId": organization_id, "at": format_instant(at)})
