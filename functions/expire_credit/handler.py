"""The daily run over the credit of all organizations (template.yaml: ExpireCreditFunction)."""

import os

from perminute.bootstrap import Application
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_updated_accounts

application = Application(os.environ)
handler = daily_run_handler(
    application.daily_expiry(), application.rejections(), report_updated_accounts
)
