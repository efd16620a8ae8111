"""Queues of SQS: of refused deliveries, of organizations to re-rate, of the work of daily runs."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.message_attributes import clean, string_attribute
from perminute.domain.credit.accounts import PROVISIONAL_FOR
from perminute.domain.errors import Unavailable
from perminute.domain.values.times import format_instant
from perminute.ports.messaging import RunOrganization, RunPage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.ports.messaging import Rejection

# Messages that SQS takes at once.
MAX_ENTRIES = 10
# How long SQS hides a message that is for later; it takes no more than these 900.
DELAY_SECONDS = PROVISIONAL_FOR // timedelta(seconds=1)


class SQSQueue:
    """A queue, whose client is made for the first message: many runs send none."""

    def __init__(self, make_client: Callable[[], Any], url: str) -> None:
        self._make_client = make_client
        self._url = url

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore's clients are made at run time
        return self._make_client()

    def send(self, body: str, attributes: Mapping[str, str]) -> None:
        """Send a message. Raises `Unavailable`."""
        self._ask(
            "send_message",
            MessageBody=clean(body),
            MessageAttributes={name: string_attribute(text) for name, text in attributes.items()},
        )

    def send_all(self, bodies: Sequence[str], *, delay_seconds: int = 0) -> None:
        """Send all, ten at a time. Raises `Unavailable`: then some may have been sent."""
        delay = {"DelaySeconds": delay_seconds} if delay_seconds else {}
        for start in range(0, len(bodies), MAX_ENTRIES):
            some = bodies[start : start + MAX_ENTRIES]
            entries = [{"Id": str(n), "MessageBody": body, **delay} for n, body in enumerate(some)]
            answer = self._ask("send_message_batch", Entries=entries)
            # What SQS did not take is inside its 200.
            if failed := answer.get("Failed"):
                msg = f"{self._url} did not take a message: {failed[0].get('Code')}"
                raise Unavailable(msg)

    def _ask(self, operation: str, **request: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(QueueUrl=self._url, **request)
        except (BotoCoreError, ClientError) as error:
            msg = f"{self._url}: {error}"
            raise Unavailable(msg) from error
        return answer


class SQSRejections:
    """`Rejections` over a function's dead-letter queue.

    SQS moves messages there without saying why: what we refuse we send there ourselves, with the
    reason as a message attribute.
    """

    def __init__(self, queue: SQSQueue) -> None:
        self._queue = queue

    def keep(self, rejections: Sequence[Rejection]) -> None:
        for rejection in rejections:
            attributes = {"eventId": rejection.event_id, "reason": rejection.reason}
            self._queue.send(rejection.body, attributes)


class SQSReratingQueue:
    """`ReratingQueue` over the queue of `rerate_calls`."""

    def __init__(self, queue: SQSQueue) -> None:
        self._queue = queue

    def wake(self, organization_ids: Collection[str]) -> None:
        self._queue.send_all([json.dumps({"organizationId": one}) for one in organization_ids])

    def wake_later(self, instants: Mapping[str, datetime]) -> None:
        bodies = [later_body(organization_id, at) for organization_id, at in instants.items()]
        self._queue.send_all(bodies, delay_seconds=DELAY_SECONDS)


def later_body(organization_id: str, at: datetime) -> str:
    """Write a message that is delayed: SQS states when it was sent, not when it is to be seen."""
    return json.dumps({"organizationId": organization_id, "at": format_instant(at)})


class SQSWork:
    """`WorkQueue` over a queue that the function of the daily run reads."""

    def __init__(self, queue: SQSQueue) -> None:
        self._queue = queue

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        self._queue.send_all([work_body(one) for one in work])


def work_body(work: RunPage | RunOrganization) -> str:
    """Write a message that `daily_runs.work_of` reads."""
    message: dict[str, Any] = {"at": format_instant(work.at)}
    if work.days_until is not None:
        message["daysUntil"] = format_instant(work.days_until)
    if isinstance(work, RunOrganization):
        message["organizationId"] = work.organization_id
    else:
        message |= {"listed": work.listed, "after": work.after}
    return json.dumps(message)
