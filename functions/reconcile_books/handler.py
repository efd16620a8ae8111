"""The nightly check of all books (template.yaml: ReconcileBooksFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.patience import Deadline
from perminute.bootstrap import Application
from perminute.observability import logger, metrics, report_reconciled

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

application = Application(os.environ)
reconcile_books = application.reconcile_books()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Hold every account, ledger and usage against each other; report, and change nothing."""
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    reconciled = list(reconcile_books(deadline=deadline))
    report_reconciled(reconciled)
    return {
        "organizations": len(reconciled),
        "differences": sum(len(books.differences) for books in reconciled),
    }
