"""The nightly check of all books (template.yaml: ReconcileBooksFunction)."""

import os

from perminute.aws import AwsResources
from perminute.bootstrap.queues import rejections
from perminute.bootstrap.reconcile_books import reconciliation
from perminute.daily_runs import daily_run_handler
from perminute.reports import report_reconciled

aws = AwsResources(os.environ)
handler = daily_run_handler(reconciliation(aws), rejections(aws), report_reconciled)
