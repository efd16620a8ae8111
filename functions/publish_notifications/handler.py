"""Notifications in the outbox are published (template.yaml: PublishNotificationsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.streams import pass_over_heartbeats, read_outbox
from perminute.aws import AwsResources
from perminute.bootstrap import publish_notifications as bootstrap
from perminute.observability import lambda_handler
from perminute.reports import report_published

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.sqs import BatchResponse

publish_notifications = bootstrap.publish_notifications(AwsResources(os.environ))


@pass_over_heartbeats
@lambda_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> BatchResponse:
    """Publish a batch of the table's stream; from the first that fails on, it comes again."""
    records = event["Records"]
    published = publish_notifications([read_outbox(record) for record in records])
    report_published(published)
    if published.failed_at is None:
        return {"batchItemFailures": []}
    again = records[published.failed_at]["dynamodb"]["SequenceNumber"]
    return {"batchItemFailures": [{"itemIdentifier": again}]}
