"""Organizations with waiting re-ratings are queued (template.yaml: QueueReratingsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.streams import pass_over_heartbeats, read_rerating
from perminute.bootstrap import Application
from perminute.observability import lambda_handler
from perminute.reports import report_queued, report_run

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.sqs import BatchResponse

application = Application(os.environ)
queue_reratings = application.queue_reratings()
queue_missed = application.queue_missed()


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
