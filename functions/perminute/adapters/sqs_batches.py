"""Sends messages to a queue, ten at a time, and takes none for sent that was not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ENTRIES = 10
"""Messages that SQS takes at once."""


class SQSClient(Protocol):
    """The one call of botocore's SQS client that is used here."""

    def send_message_batch(self, **request: Any) -> dict[str, Any]:  # noqa: ANN401 - AWS's shape
        """Send up to ten messages."""
        ...


def send_all(
    client: SQSClient, queue_url: str, bodies: Sequence[str], *, delay_seconds: int = 0
) -> None:
    """Send all, or raise `Unavailable`; then some may have been sent, and sending again repeats.

    What SQS did not take inside its 200 raises as well.
    """
    for start in range(0, len(bodies), MAX_ENTRIES):
        some = bodies[start : start + MAX_ENTRIES]
        entries: list[dict[str, Any]] = [
            {"Id": str(n), "MessageBody": body} for n, body in enumerate(some)
        ]
        if delay_seconds:
            entries = [{**entry, "DelaySeconds": delay_seconds} for entry in entries]
        try:
            answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            msg = f"{queue_url}: {error}"
            raise Unavailable(msg) from error
        if failed := answer.get("Failed"):
            msg = f"{queue_url} did not take a message: {failed[0].get('Code')}"
            raise Unavailable(msg)
