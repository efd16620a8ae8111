"""Late changes reach the calls that they concern (template.yaml: RerateCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.retry import Deadline
from perminute.batches import BatchResponse, settle_batch
from perminute.bootstrap import Application
from perminute.events.reratings import rerating_request_of
from perminute.observability import logger, metrics, named_run, report_batch, report_rerated

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.rerate_calls import ReratingRequest
    from perminute.arrivals import Arrival

application = Application(os.environ)
rerate_calls = application.rerate_calls()
rejections = application.rejections()


def _open(body: str, arrival: Arrival) -> ReratingRequest:
    return rerating_request_of(body, arrival.heard_at)


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Do a piece of what waits of each organization; only what failed is delivered again."""
    settled = settle_batch(
        event,
        open_message=_open,
        use_case=rerate_calls,
        rejections=rejections,
        deadline=Deadline.in_milliseconds(context.get_remaining_time_in_millis()),
        names_of=lambda one: one.names,
    )
    report_batch(settled)
    report_rerated(list({id(piece): piece for piece in settled.accepted}.values()))
    return settled.response()
