"""Billing events become entries of the ledger (template.yaml: BookCreditFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.book_credit import book_credit
from perminute.bootstrap.queues import redeliveries, rejections
from perminute.events.billing import parse_credit_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
handler = sqs_handler(
    parse=parse_credit_event,
    use_case=book_credit(aws),
    rejections=rejections(aws),
    redeliveries=redeliveries(aws),
    report=report_batch,
)
