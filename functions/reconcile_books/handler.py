"""The nightly check of all books (template.yaml: ReconcileBooksFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.patience import Deadline
from perminute.bootstrap import Application
from perminute.domain.errors import Unavailable
from perminute.observability import logger, metrics, report_reconciled, report_woken

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.reconcile_books import Reconciled

application = Application(os.environ)
reconcile_books = application.reconcile_books()
wake_forgotten = application.wake_forgotten()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Hold every account, ledger and usage against each other; report, and change nothing.

    What was found is reported even if the rest cannot be read; then the run fails, to run again.
    Who still has calls waiting to be looked at again is woken: in the books all seems well then.
    """
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    reconciled: list[Reconciled] = []
    try:
        reconciled.extend(reconcile_books(deadline=deadline))
    finally:
        report_reconciled(reconciled)
    report_woken(wake_forgotten((books.organization_id for books in reconciled), deadline))
    unread = [books for books in reconciled if books.unavailable]
    if unread:
        first = unread[0]
        msg = f"{len(unread)} organizations: {first.organization_id}: {first.unavailable}"
        raise Unavailable(msg)
    return {
        "organizations": len(reconciled),
        "differences": sum(len(books.differences) for books in reconciled),
    }
