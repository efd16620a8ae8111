"""Serve the charging API to bridges (template.yaml: AuthorizeCallsFunction)."""

from __future__ import annotations

import gc
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perminute.api.bootstrap import charging_api
from perminute.api.http import (
    http_response,
    invocation_response,
    report_served,
    request_id_of,
    serve_http,
    serve_invocation,
)
from perminute.application.correlation import caused_by
from perminute.application.retry import Deadline
from perminute.observability import logger, metrics, named_run
from perminute.settings import TokenSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

api = charging_api(os.environ)
tokens = TokenSettings.from_environment(os.environ)
# Collection was off while modules were imported (`__init__.py`). What exists by now stays until the
# instance ends, so no later collection needs to look at it.
gc.freeze()
gc.enable()


@logger.inject_lambda_context
@metrics.log_metrics
@named_run
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
    """Answer a request that came over HTTP, or an invocation by its operation."""
    deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
    if isinstance(event, dict) and "routeKey" in event:
        with caused_by(request_id_of(event)):
            served = serve_http(api, event, deadline, tokens)
            report_served(served)
        return http_response(served.outcome)
    served = serve_invocation(api, event, deadline, datetime.now(UTC))
    report_served(served)
    return invocation_response(served.outcome)
