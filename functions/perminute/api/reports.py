"""What is logged and counted of the charging API: no line holds a phone number.

Who is let in is counted; a line of their own have calls that are denied and requests that fail,
for somebody will ask why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from perminute.api.messages import AnswerDocument, ErrorDocument
from perminute.application.correlation import correlation_id
from perminute.domain.authorization.reservations import Decision
from perminute.observability import logger, metrics

if TYPE_CHECKING:
    from perminute.api.http import Served

_COUNTED = {
    "invalid": "RequestsInvalid",
    "forbidden": "RequestsForbidden",
    "notFound": "RequestsInvalid",
    "conflict": "RequestsInConflict",
    "tooLarge": "RequestsInvalid",
    "unavailable": "RequestsUnavailable",
}


def report_served(served: Served) -> None:
    """Count what became of a request, and name it if it was not granted."""
    endpoint, organization_id, call_id, outcome, why = served
    said = {
        "endpoint": endpoint,
        "organizationId": organization_id,
        "callId": call_id,
        "correlationId": correlation_id(),
    }
    match outcome:
        case ErrorDocument(error=error, message=message):
            metrics.add_metric(_COUNTED[error], MetricUnit.Count, 1)
            extra = {**said, "error": error, "reason": why or message}
            logger.warning("request not answered", extra=extra)
        case AnswerDocument(decision=Decision.DENY, reason=reason, limit=limit):
            metrics.add_metric("CallsDenied", MetricUnit.Count, 1)
            logger.info("call denied", extra={**said, "reason": reason, "limit": limit})
        case AnswerDocument():
            metrics.add_metric("CallsAllowed", MetricUnit.Count, 1)
        case _:
            metrics.add_metric("QuestionsAnswered", MetricUnit.Count, 1)
