"""The nightly masking of phone numbers (template.yaml: MaskNumbersFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.mask_numbers import masking
from perminute.bootstrap.queues import rejections
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_masked

aws = AwsResources(os.environ)
handler = daily_run_handler(masking(aws), rejections(aws), report_masked)
