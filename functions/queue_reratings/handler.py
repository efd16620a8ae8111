"""Organizations with waiting re-ratings are queued (template.yaml: QueueReratingsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.streams import pass_over_heartbeats, read_rerating
from perminute.aws import AwsResources
from perminute.bootstrap import queue_reratings as bootstrap
from perminute.observability import lambda_handler
from perminute.reports import report_queued, report_run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.sqs import BatchResponse

aws = AwsResources(os.environ)
queue_reratings = bootstrap.queue_reratings(aws)
queue_missed = bootstrap.queue_missed(aws)


@pass_over_heartbeats
@lambda_handler
def handler(event: dict[str, Any], _context: LambdaContext) -> BatchResponse:
    """Queue the organizations of a batch of the table's stream.

    The daily run is an event without records: it queues those that still have something waiting.
    """
    if "Records" in event:
        report_queued(queue_reratings([read_rerating(record) for record in event["Records"]]))
    else:
        report_queued(queue_missed())
        report_run()
    return {"batchItemFailures": []}
