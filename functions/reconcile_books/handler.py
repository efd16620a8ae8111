"""The nightly check of all books (template.yaml: ReconcileBooksFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.retry import Deadline
from perminute.batches import BatchResponse, settle_batch
from perminute.bootstrap import Application
from perminute.events.daily_runs import names_of, work_of
from perminute.observability import (
    logger,
    metrics,
    report_begun,
    report_listed,
    report_reconciled,
    report_work,
)
from perminute.schedules import scheduled_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.daily_runs import Listed
    from perminute.application.results import Result
    from perminute.ports import RunOrganization, RunPage

application = Application(os.environ)
daily_run = application.reconciliation()
rejections = application.rejections()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> BatchResponse:
    """Begin the run of the scheduled time, or do some of its work, which stands in messages.

    What differs is reported with the batch in which it is found; nothing is changed.
    """
    if "Records" not in event:
        at = scheduled_time(event)
        daily_run.organizations.begin(at)
        report_begun(at)
        return {"batchItemFailures": []}

    def use_case(
        work: Sequence[RunPage | RunOrganization], deadline: Deadline
    ) -> Sequence[Result[Listed | RunOrganization]]:
        worked = daily_run(work, deadline)
        report_listed(worked.listed)
        report_reconciled(worked.done)
        return worked.results

    settled = settle_batch(
        event,
        open_message=lambda body, _: work_of(body),
        use_case=use_case,
        rejections=rejections,
        names_of=names_of,
        deadline=Deadline.in_milliseconds(context.get_remaining_time_in_millis()),
    )
    report_work(settled)
    return settled.response()
