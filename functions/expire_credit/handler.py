"""The daily run over the credit of all organizations (template.yaml: ExpireCreditFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.expire_credit import daily_expiry
from perminute.bootstrap.queues import rejections
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_updated_accounts

aws = AwsResources(os.environ)
handler = daily_run_handler(daily_expiry(aws), rejections(aws), report_updated_accounts)
