"""Pulls the phone calls of Microsoft Graph each day (template.yaml: PullGraphCallsFunction)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from perminute.application.compare_records import raise_failed
from perminute.application.pull_graph_calls import graph_records, raise_failures
from perminute.application.retry import Deadline
from perminute.aws import AwsResources
from perminute.bootstrap import pull_graph_calls as bootstrap
from perminute.daily_runs import ScheduledRun
from perminute.domain.errors import Unavailable
from perminute.observability import lambda_handler, named_run
from perminute.parsing import read_message
from perminute.reports import report_compared, report_pull_failed, report_pulled

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_aws = AwsResources(os.environ)
pull_graph_calls = bootstrap.pull_graph_calls(_aws)
compare_records = bootstrap.compare_records(_aws)


@lambda_handler
@named_run
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Pull the calls until the time for which the run is scheduled."""
    run = read_message(event, ScheduledRun, called="event")
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    try:
        records = graph_records(run.time)
        pulls = pull_graph_calls(run.time, deadline, records)
    except Unavailable as error:
        report_pull_failed(str(error))
        raise
    report_pulled(pulls)
    compared = compare_records(records, pull_graph_calls.directories.current(), run.time, deadline)
    report_compared(compared)
    raise_failures(pulls)
    raise_failed(compared)
