"""Answer with reports on usage and credit (template.yaml: ReadReportsFunction)."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perminute.api.http import invocation_response, report_served, request_id_of
from perminute.api.reports.responses import http_response
from perminute.api.reports.serving import metric_of, serve_http, serve_invocation
from perminute.application.correlation import caused_by
from perminute.application.retry import Deadline
from perminute.aws import AwsResources
from perminute.bootstrap.read_reports import report_reader
from perminute.observability import lambda_handler, named_run
from perminute.settings import TokenSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

aws = AwsResources(os.environ)
reader = report_reader(aws)
tokens = TokenSettings.from_environment(os.environ)


@lambda_handler
@named_run
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
    """Answer a request that came over HTTP, or an invocation by its operation."""
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    if isinstance(event, dict) and "routeKey" in event:
        with caused_by(request_id_of(event)):
            served = serve_http(reader, event, deadline, tokens)
            report_served(served, metric_of)
        return http_response(served.outcome)
    served = serve_invocation(reader, event, deadline, datetime.now(UTC))
    report_served(served, metric_of)
    return invocation_response(served.outcome)
