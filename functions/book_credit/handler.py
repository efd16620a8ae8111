"""Billing events become entries of the ledger (template.yaml: BookCreditFunction)."""

import os

from perminute.bootstrap import Application
from perminute.events.billing import parse_credit_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

application = Application(os.environ)
handler = sqs_handler(
    parse=parse_credit_event,
    use_case=application.book_credit(),
    rejections=application.rejections(),
    report=report_batch,
)
