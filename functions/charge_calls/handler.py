"""Telephony's `Call Ended` events become charges (template.yaml: ChargeCallsFunction)."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from perminute.application.retry import Deadline
from perminute.batches import BatchResponse, settle_batch
from perminute.bootstrap import Application
from perminute.domain.rating.usage import Outcome
from perminute.events.event import read_event
from perminute.events.telephony import TELEPHONY, ended_call
from perminute.observability import (
    UNCHARGED,
    logger,
    metrics,
    named_run,
    report_batch,
    report_uncharged,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.charge_calls import EndedCall
    from perminute.arrivals import Arrival

_METRICS = {
    Outcome.CHARGED: "CallsCharged",
    Outcome.POOLED: "CallsPooled",
    Outcome.INCLUDED: "CallsIncluded",
    Outcome.FREE: "CallsFree",
    Outcome.NOT_ENTITLED: "CallsNotEntitled",
    Outcome.UNRATED: "CallsUnrated",
}

application = Application(os.environ)
charge_calls = application.charge_calls()
rejections = application.rejections()


def _open(body: str, arrival: Arrival) -> EndedCall:
    return ended_call(read_event(body, TELEPHONY, arrival), arrival.heard_at)


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Charge a batch of ended calls; only what must come again is reported as failed."""
    settled = settle_batch(
        event,
        open_message=_open,
        use_case=charge_calls,
        rejections=rejections,
        deadline=Deadline.in_milliseconds(context.get_remaining_time_in_millis()),
        names_of=lambda one: one.names,
    )
    outcomes = Counter(_METRICS[usage.outcome] for usage in settled.accepted)
    report_batch(settled, outcomes)
    for usage, names in zip(settled.accepted, settled.accepted_names, strict=True):
        if usage.outcome in UNCHARGED:
            report_uncharged(usage, names["eventId"])
    return settled.response()
