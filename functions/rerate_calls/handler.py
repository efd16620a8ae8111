"""Late changes reach the calls that they concern (template.yaml: RerateCallsFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.queues import redeliveries, rejections
from perminute.bootstrap.rerate_calls import rerate_calls
from perminute.events.reratings import rerating_request_of
from perminute.reports import report_rerated
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
handler = sqs_handler(
    parse=lambda body, received: rerating_request_of(body, received.heard_at),
    use_case=rerate_calls(aws),
    rejections=rejections(aws),
    redeliveries=redeliveries(aws),
    report=report_rerated,
)
