"""What waits to be looked at again wakes who does it (template.yaml: QueueReratingsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.heartbeats import pass_over_heartbeats
from perminute.adapters.dynamodb.waiting import read_record
from perminute.bootstrap import Application
from perminute.observability import logger, metrics, report_run, report_woken

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

application = Application(os.environ)
queue_reratings = application.queue_reratings()
wake_forgotten = application.wake_forgotten()


@pass_over_heartbeats
@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, list[object]]:
    """Wake the organizations of a batch of the table's stream; fails, to come again whole.

    Once a day it is run without one: then it wakes whoever still has something waiting.
    """
    if "Records" not in event:
        report_woken(wake_forgotten())
        report_run()
        return {"batchItemFailures": []}
    report_woken(queue_reratings([read_record(record) for record in event["Records"]]))
    return {"batchItemFailures": []}
