"""The work of a daily run as messages of a queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.adapters.sqs_batches import send_all
from perminute.domain.values.times import format_instant
from perminute.ports import RunOrganization, RunPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from perminute.adapters.sqs_batches import SQSClient


class SQSWork:
    """`WorkQueue` over a queue."""

    def __init__(self, client: Callable[[], SQSClient], queue_url: str) -> None:
        """Make the client when it is first needed."""
        self._make_client = client
        self._client: SQSClient | None = None
        self._queue_url = queue_url

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        """See `WorkQueue.send`."""
        if work:
            self._client = self._client or self._make_client()
            send_all(self._client, self._queue_url, [work_body(one) for one in work])


def work_body(work: RunPage | RunOrganization) -> str:
    """Write a message; `events.daily_runs` reads it."""
    message: dict[str, Any] = {"at": format_instant(work.at)}
    if work.days_until is not None:
        message["daysUntil"] = format_instant(work.days_until)
    if isinstance(work, RunOrganization):
        message["organizationId"] = work.organization_id
    else:
        message |= {"listed": work.listed, "after": work.after}
    return json.dumps(message)
