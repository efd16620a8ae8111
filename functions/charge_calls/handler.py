"""Charges the calls that `Call Ended` events report (template.yaml: ChargeCallsFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.charge_calls import charge_calls
from perminute.bootstrap.queues import redeliveries, rejections
from perminute.events.telephony import parse_ended_call
from perminute.reports import report_charged
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
handler = sqs_handler(
    parse=parse_ended_call,
    use_case=charge_calls(aws),
    rejections=rejections(aws),
    redeliveries=redeliveries(aws),
    report=report_charged,
)
