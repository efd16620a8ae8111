"""The handler of a daily run, and the messages by which a run queues its work to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from perminute.application.daily_runs import OrganizationReport
from perminute.domain.values.printable import one_line
from perminute.fields import Instant, Message, OrganizationId
from perminute.observability import lambda_handler, named_run
from perminute.parsing import parse, read_message
from perminute.ports.messaging import RunOrganization, RunPage
from perminute.reports import report_begun, report_listed, report_work
from perminute.sqs import sqs_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.application.daily_runs import DailyRun
    from perminute.application.results import Result
    from perminute.application.retry import Deadline
    from perminute.ports.messaging import Rejections
    from perminute.sqs import BatchResponse

D = TypeVar("D", bound=OrganizationReport)


class ScheduledRun(Message, frozen=True, kw_only=True):
    """What begins a run."""

    # The time for which it is scheduled, however late it starts: the schedule fills it in.
    time: Instant
    # Days that are over by then have their digests sent. Stated if a run is started by hand.
    days_until: Instant | None = None


class WorkMessage(Message, frozen=True, kw_only=True):
    """A message of `SQSWork`: an organization, or a page of organizations to list."""

    at: Instant
    days_until: Instant | None = None
    organization_id: OrganizationId | None = None
    after: str | None = None
    listed: int = 0


def daily_run_handler(
    daily_run: DailyRun[D], rejections: Rejections, report: Callable[[Sequence[D]], None]
) -> Callable[[dict[str, Any], LambdaContext], BatchResponse]:
    """Return a Lambda handler that begins a run, or does some of its work, which is in messages.

    `report` reports what was done for the organizations of a batch.
    """

    def do_work(
        work: Sequence[RunPage | RunOrganization], deadline: Deadline
    ) -> Sequence[Result[RunPage | RunOrganization]]:
        worked = daily_run(work, deadline)
        report_listed(worked.pages)
        report(worked.reports)
        return worked.results

    work_handler = sqs_handler(
        parse=lambda body, _: work_of(body),
        use_case=do_work,
        rejections=rejections,
        report=report_work,
        names_of=_names_of,
    )

    @lambda_handler
    @named_run
    def begin(event: dict[str, Any], _context: LambdaContext) -> BatchResponse:
        run = read_message(event, ScheduledRun, called="event")
        daily_run.organizations.begin(run.time, run.days_until)
        report_begun(run.time)
        return {"batchItemFailures": []}

    return lambda event, context: (work_handler if "Records" in event else begin)(event, context)


def work_of(body: str) -> RunPage | RunOrganization:
    """Parse a message of a run to itself. Raises `Refused`."""
    work = parse(body, WorkMessage)
    if work.organization_id is None:
        return RunPage(work.at, work.after, work.listed, work.days_until)
    return RunOrganization(work.at, work.organization_id, work.days_until, work.after)


def _names_of(work: RunPage | RunOrganization) -> dict[str, str]:
    if isinstance(work, RunOrganization):
        return {"organizationId": one_line(work.organization_id)}
    return {} if work.after is None else {"after": one_line(work.after)}
