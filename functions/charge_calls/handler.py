"""Charges the calls that telephony reports (template.yaml: ChargeCallsFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.charge_calls import charge_calls
from perminute.bootstrap.content_keys import content_keys
from perminute.bootstrap.queues import calls_queue, redeliveries, rejections
from perminute.events.calls_ended import DivideCalls
from perminute.events.telephony import parse_ended_call
from perminute.reports import report_charged, report_queued_calls
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
handler = sqs_handler(
    divide=DivideCalls(calls_queue(aws), report_queued_calls),
    parse=parse_ended_call,
    use_case=charge_calls(aws, content_keys(aws)),
    rejections=rejections(aws),
    redeliveries=redeliveries(aws),
    report=report_charged,
)
