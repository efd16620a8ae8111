"""Licensing events become facts on timelines (template.yaml: ApplyLicensingFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.retry import Deadline
from perminute.batches import BatchResponse, settle_batch
from perminute.bootstrap import Application
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, check_within_horizon, licensing_event
from perminute.observability import logger, metrics, named_run, report_batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.apply_licensing import LicensingEvent
    from perminute.arrivals import Arrival

application = Application(os.environ)
apply_licensing = application.apply_licensing()
rejections = application.rejections()


def _open(body: str, arrival: Arrival) -> LicensingEvent:
    stated = read_event(body, LICENSING, arrival)
    check_within_horizon(stated, apply_licensing.horizon)
    return licensing_event(stated, arrival.heard_at)


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Take in a batch of licensing events; only what must come again is reported as failed."""
    settled = settle_batch(
        event,
        open_message=_open,
        use_case=apply_licensing,
        rejections=rejections,
        deadline=Deadline.in_milliseconds(context.get_remaining_time_in_millis()),
        names_of=lambda one: one.names,
    )
    report_batch(settled)
    return settled.response()
