"""Pulls the phone calls of Microsoft Graph each day (template.yaml: PullGraphCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.pull_graph_calls import raise_failures
from perminute.application.retry import Deadline
from perminute.aws import AwsResources
from perminute.bootstrap import pull_graph_calls as bootstrap
from perminute.daily_runs import ScheduledRun
from perminute.domain.errors import Unavailable
from perminute.observability import lambda_handler, named_run
from perminute.parsing import read_message
from perminute.reports import report_pull_failed, report_pulled

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

pull_graph_calls = bootstrap.pull_graph_calls(AwsResources(os.environ))


@lambda_handler
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Pull the calls until the time for which the run is scheduled."""
    run = read_message(event, ScheduledRun, called="event")
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    try:
        pulls = pull_graph_calls(run.time, deadline)
    except Unavailable as error:
        report_pull_failed(str(error))
        raise
    report_pulled(pulls)
    raise_failures(pulls)
