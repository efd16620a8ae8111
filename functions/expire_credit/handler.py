"""The daily run over the credit of all organizations (template.yaml: ExpireCreditFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.patience import Deadline
from perminute.bootstrap import Application
from perminute.observability import (
    logger,
    metrics,
    named_run,
    report_charged_by_reports,
    report_expiry,
)
from perminute.schedules import scheduled_time

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

application = Application(os.environ)
expire_credit = application.expire_credit()
charge_reported = application.charge_reported()


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Book what is due by the scheduled time; fails, to run again, if some of it could not be."""
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    at = scheduled_time(event)
    expired, reported = expire_credit(at, deadline), charge_reported(at, deadline)
    report_expiry(expired)
    report_charged_by_reports(reported)
    expired.check()
    reported.check()
    return {"organizations": expired.organizations}
