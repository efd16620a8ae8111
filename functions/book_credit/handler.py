"""Billing events become entries of the ledger (template.yaml: BookCreditFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from perminute.bootstrap import Application
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

if TYPE_CHECKING:
    from perminute.application.book_credit import CreditEvent
    from perminute.sqs import Received

application = Application(os.environ)


def parse(body: str, received: Received) -> CreditEvent:
    """Parse a billing event. Raises `Refused`."""
    return credit_event(read_event(body, BILLING, received), received.heard_at)


handler = sqs_handler(
    parse=parse,
    use_case=application.book_credit(),
    rejections=application.rejections(),
    report=report_batch,
)
