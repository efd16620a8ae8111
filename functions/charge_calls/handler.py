"""Charges the calls that `Call Ended` events report (template.yaml: ChargeCallsFunction)."""

import os

from perminute.bootstrap import Application
from perminute.events.telephony import parse_ended_call
from perminute.reports import report_charged
from perminute.sqs import sqs_handler

application = Application(os.environ)
handler = sqs_handler(
    parse=parse_ended_call,
    use_case=application.charge_calls(),
    rejections=application.rejections(),
    report=report_charged,
)
