"""Late changes reach the calls that they concern (template.yaml: RerateCallsFunction)."""

import os

from perminute.bootstrap import Application
from perminute.events.reratings import rerating_request_of
from perminute.reports import report_rerated
from perminute.sqs import sqs_handler

application = Application(os.environ)
handler = sqs_handler(
    parse=lambda body, received: rerating_request_of(body, received.heard_at),
    use_case=application.rerate_calls(),
    rejections=application.rejections(),
    report=report_rerated,
)
