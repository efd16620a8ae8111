"""Licensing events become facts on timelines (template.yaml: ApplyLicensingFunction)."""

import os

from perminute.bootstrap import Application
from perminute.events.licensing import parse_licensing_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

application = Application(os.environ)
apply_licensing = application.apply_licensing()
handler = sqs_handler(
    parse=lambda body, received: parse_licensing_event(body, received, apply_licensing.horizon),
    use_case=apply_licensing,
    rejections=application.rejections(),
    report=report_batch,
)
