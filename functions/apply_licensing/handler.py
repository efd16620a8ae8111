"""Licensing events become facts on timelines (template.yaml: ApplyLicensingFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap import apply_licensing as bootstrap
from perminute.bootstrap.queues import redeliveries, rejections
from perminute.events.licensing import parse_licensing_event
from perminute.reports import report_batch
from perminute.sqs import sqs_handler

aws = AwsResources(os.environ)
apply_licensing = bootstrap.apply_licensing(aws)
handler = sqs_handler(
    parse=lambda body, received: parse_licensing_event(body, received, apply_licensing.horizon),
    use_case=apply_licensing,
    rejections=rejections(aws),
    redeliveries=redeliveries(aws),
    report=report_batch,
)
