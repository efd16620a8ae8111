"""Billing events become entries of the ledger (template.yaml: BookCreditFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.retry import Deadline
from perminute.batches import BatchResponse, settle_batch
from perminute.bootstrap import Application
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.observability import logger, metrics, named_run, report_batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.book_credit import CreditEvent
    from perminute.arrivals import Arrival

application = Application(os.environ)
book_credit = application.book_credit()
rejections = application.rejections()


def _open(body: str, arrival: Arrival) -> CreditEvent:
    return credit_event(read_event(body, BILLING, arrival), arrival.heard_at)


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Book a batch of billing events; only what must come again is reported as failed."""
    settled = settle_batch(
        event,
        open_message=_open,
        use_case=book_credit,
        rejections=rejections,
        deadline=Deadline.in_milliseconds(context.get_remaining_time_in_millis()),
        names_of=lambda one: one.names,
    )
    report_batch(settled)
    return settled.response()
