"""The nightly check of all books (template.yaml: ReconcileBooksFunction)."""

import os

from perminute.bootstrap import Application
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_reconciled

application = Application(os.environ)
handler = daily_run_handler(
    application.reconciliation(), application.rejections(), report_reconciled
)
