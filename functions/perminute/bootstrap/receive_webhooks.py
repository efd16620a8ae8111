"""Build what receives webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.messaging import SQSQueue
from perminute.adapters.secrets import CachedSecret
from perminute.api.webhooks.serving import Webhooks
from perminute.formats.webhook_secret import read_webhook_secret
from perminute.observability import report_unreadable_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.aws import AwsResources
    from perminute.sources.stated_call import SourceOptions


def webhooks(aws: AwsResources, write: Callable[[str, str, bytes, SourceOptions], str]) -> Webhooks:
    """Connect them to the secret and to the queue of call records; `write` writes its messages."""
    queue = SQSQueue(lambda: aws.client("sqs"), aws.setting("RECORDS_QUEUE_URL"))
    return Webhooks(
        secret=CachedSecret(
            lambda: aws.client("secretsmanager"),
            aws.setting("WEBHOOK_SECRET"),
            read_webhook_secret,
            report=report_unreadable_secret,
        ),
        write=write,
        send=lambda message: queue.send_message(message, {}),
        base_url=aws.setting("WEBHOOK_URL").rstrip("/"),
    )
