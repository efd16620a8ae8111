"""Pulls license changes from Microsoft Graph (template.yaml: PullGraphLicensesFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.pull_graph_licenses import raise_failures
from perminute.application.retry import Deadline
from perminute.aws import AwsResources
from perminute.bootstrap import pull_graph_licenses as bootstrap
from perminute.domain.errors import Unavailable
from perminute.fields import Message
from perminute.observability import lambda_handler, named_run
from perminute.parsing import read_message
from perminute.reports import report_licenses_not_pulled, report_pulled_licenses

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

pull_graph_licenses = bootstrap.pull_graph_licenses(AwsResources(os.environ))


class Run(Message, frozen=True, kw_only=True):
    """What begins a run; an operator may name tenants that have lost most of their licenses."""

    accept_removals: tuple[str, ...] = ()


@lambda_handler
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Send what has changed since the run before."""
    run = read_message(event, Run, called="event")
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    try:
        pulls = pull_graph_licenses(deadline, run.accept_removals)
    except Unavailable as error:
        report_licenses_not_pulled(str(error))
        raise
    report_pulled_licenses(pulls)
    raise_failures(pulls)
