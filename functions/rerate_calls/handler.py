"""Late changes reach the calls that they concern (template.yaml: RerateCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.rerating_stream import read_work
from perminute.application.patience import Deadline
from perminute.bootstrap import Application
from perminute.observability import logger, metrics, report_rerated

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.batches import BatchResponse

application = Application(os.environ)
rerate_calls = application.rerate_calls()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Do a piece of each work that the table's stream tells of; what failed comes again."""
    records = event["Records"]
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    progress = rerate_calls([read_work(record) for record in records], deadline)
    report_rerated(progress)
    if progress.failed_at is None:
        return {"batchItemFailures": []}
    again = records[progress.failed_at]["dynamodb"]["SequenceNumber"]
    return {"batchItemFailures": [{"itemIdentifier": again}]}
