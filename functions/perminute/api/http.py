"""What API Gateway's HTTP events (payload 2.0) and direct invocations have in common.

A caller that comes with a token reaches only the organization that its token names. One that
signs with IAM reaches what its own policy allows: every path begins with the organization
(docs/charging-api.md shows such a policy). Where tokens are required, nobody is served over HTTP
without one, whatever the routes say. A direct invocation carries no token: who may invoke the
function reaches all organizations.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Generic, NamedTuple, TypeVar

from aws_lambda_powertools.metrics import MetricUnit
from msgspec import Meta, to_builtins
from msgspec.json import encode

from perminute.api.values import ErrorDocument
from perminute.application.correlation import caused_by, correlation_id
from perminute.application.retry import Deadline
from perminute.domain.errors import Conflict, NotFound, Refused, Unavailable
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.identifiers import canonical_id, check_spaces
from perminute.domain.values.printable import one_line
from perminute.domain.values.times import EPOCH
from perminute.fields import Message
from perminute.observability import logger, metrics
from perminute.parsing import check_text, is_text, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from perminute.api.values import Error
    from perminute.settings import TokenSettings

_MILLISECOND = timedelta(milliseconds=1)
_LAST_MILLISECOND = 253_402_300_799_999

_ERRORS: dict[Error, tuple[HTTPStatus, str]] = {
    "invalid": (HTTPStatus.BAD_REQUEST, "RequestsInvalid"),
    "forbidden": (HTTPStatus.FORBIDDEN, "RequestsForbidden"),
    "notFound": (HTTPStatus.NOT_FOUND, "RequestsInvalid"),
    "conflict": (HTTPStatus.CONFLICT, "RequestsInConflict"),
    "tooLarge": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestsInvalid"),
    "unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "RequestsUnavailable"),
}
"""The status of each error, and the metric that counts it."""


D_co = TypeVar("D_co", bound=Message, covariant=True)


class Endpoint(NamedTuple, Generic[D_co]):
    """One operation, and what serves it."""

    name: str
    method: str
    path: str
    reads: type[Message]
    answers: type[D_co]
    serve: Callable[[Any, Any, Any], D_co]  # from the API, the target of a request, and its content
    summary: str  # for the OpenAPI document

    @property
    def route_key(self) -> str:
        """The route as API Gateway names it."""
        return f"{self.method} {self.path}"


class Served(NamedTuple):
    """The answer to a request, or the error."""

    endpoint: str
    organization_id: str
    call_id: str
    outcome: Message
    # For our own log: the caller does not see what fails behind us.
    why: str | None = None


class _Context(Message, frozen=True, kw_only=True):
    time_epoch: Annotated[int, Meta(ge=0, le=_LAST_MILLISECOND)]
    authorizer: dict[str, Any] | None = None


class HttpRequest(Message, frozen=True, kw_only=True):
    """What API Gateway sends; a direct invocation may send anything instead."""

    route_key: str
    request_context: _Context
    path_parameters: dict[str, str] | None = None
    query_string_parameters: dict[str, str] | None = None
    body: str | None = None
    is_base64_encoded: bool = False

    @property
    def path(self) -> dict[str, str]:
        """The parameters of the path."""
        return self.path_parameters or {}

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return self.query_string_parameters or {}

    @property
    def at(self) -> datetime:
        """The instant at which API Gateway took the request: not when a cold start was over."""
        return EPOCH + _MILLISECOND * self.request_context.time_epoch

    @property
    def organization_id(self) -> str:
        """The organization that the path names; empty if it names none."""
        return self.path.get("organizationId", "")

    @property
    def call_id(self) -> str:
        """The call that the path names, in its canonical spelling; empty if it names none."""
        return canonical_id(self.path.get("callId", ""))


H = TypeVar("H", bound=HttpRequest)


class NotServed(Exception):  # noqa: N818 - a caller turned away, not a malfunction
    """A request is not answered, whatever its content says."""

    def __init__(self, error: Error, message: str) -> None:
        super().__init__(message)
        self.error = error


def read_request(event: Mapping[str, Any], kind: type[H]) -> H:
    """Read the event of a request. Raises `Refused`."""
    request = read_message(event, kind)
    check_text(*request.path, *request.path.values(), *request.query, *request.query.values())
    return request


def serve(name: str, organization_id: str, call_id: str, answer: Callable[[], Message]) -> Served:
    """Answer a request, or say why not."""
    try:
        return Served(name, organization_id, call_id, answer())
    except (NotServed, Refused, Unavailable) as error:
        shown = organization_id[:MAX_ID_LENGTH], call_id[:MAX_ID_LENGTH]
        return Served(name, *shown, error_document(error), str(error))


def not_read(error: Refused) -> Served:
    """Say why an event is no request at all."""
    return Served("none", "", "", error_document(error), str(error))


def text_of(event: Mapping[str, Any], field: str) -> str:
    """Return a field of an invocation as it can be logged; empty if it is no text."""
    value = event.get(field)
    return value[:MAX_ID_LENGTH] if isinstance(value, str) and is_text(value) else ""


def error_document(error: Exception) -> ErrorDocument:
    """Return why a request is not answered; of what is broken behind us only that it is."""
    message = one_line(str(error))
    match error:
        case NotServed():
            return ErrorDocument(error=error.error, message=message)
        case Conflict():
            return ErrorDocument(error="conflict", message=message)
        case NotFound():
            return ErrorDocument(error="notFound", message=message)
        case Refused():
            return ErrorDocument(error="invalid", message=message)
        case _:
            again = "the request could not be carried out just now; send it again, as it is"
            return ErrorDocument(error="unavailable", message=again)


class ApiFunction(NamedTuple):
    """How a function serves requests over HTTP and direct invocations."""

    over_http: Callable[[dict[str, Any], Deadline], Served]
    invoked: Callable[[object, Deadline, datetime], Served]
    response: Callable[[Message], dict[str, Any]]  # to API Gateway
    metric_of: Callable[[Served, dict[str, Any]], str]

    def answer(self, event: Any, context: LambdaContext) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
        """Answer a request that came over HTTP, or an invocation by its operation."""
        deadline = Deadline.in_milliseconds(context.get_remaining_time_in_millis())
        if isinstance(event, dict) and "routeKey" in event:
            with caused_by(request_id_of(event)):
                served = self.over_http(event, deadline)
                report_served(served, self.metric_of)
            return self.response(served.outcome)
        served = self.invoked(event, deadline, datetime.now(UTC))
        report_served(served, self.metric_of)
        return invocation_response(served.outcome)


def request_id_of(event: Mapping[str, Any]) -> str:
    """Return the id by which API Gateway's access log names a request; empty if it has none."""
    context = event.get("requestContext")
    request_id = context.get("requestId") if isinstance(context, dict) else None
    return request_id if isinstance(request_id, str) else ""


def http_response(outcome: Message) -> dict[str, Any]:
    """Return the response to API Gateway."""
    status = _ERRORS[outcome.error][0] if isinstance(outcome, ErrorDocument) else HTTPStatus.OK
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return {"statusCode": int(status), "headers": headers, "body": encode(outcome).decode()}


def invocation_response(outcome: Message) -> dict[str, Any]:
    """Return the response to a direct invocation."""
    document: dict[str, Any] = to_builtins(outcome)
    return document


def report_served(served: Served, count: Callable[[Served, dict[str, Any]], str]) -> None:
    """Count a request; log it if it failed, for support will be asked why.

    `count` returns the metric of an answer; it is called with what a line of the log says of each
    request. No line shows a phone number.
    """
    endpoint, organization_id, call_id, outcome, why = served
    request = {
        "endpoint": endpoint,
        "organizationId": organization_id,
        "callId": call_id,
        "correlationId": correlation_id(),
    }
    if isinstance(outcome, ErrorDocument):
        metric, error = _ERRORS[outcome.error][1], outcome.error
        logger.warning("request not answered", extra={**request, "error": error, "reason": why})
    else:
        metric = count(served, request)
    metrics.add_metric(metric, MetricUnit.Count, 1)


def check_token(request: HttpRequest, tokens: TokenSettings) -> Mapping[str, Any] | None:
    """Return the claims of a token for the organization of the path; None: let in by IAM.

    Raises `NotServed` for any other token, and where one is required and there is none.
    """
    token = (request.request_context.authorizer or {}).get("jwt")
    if token is None:
        if tokens.required:
            raise NotServed("forbidden", "a token is required: this API serves nobody without one")
        return None
    claim = tokens.organization_claim
    claims = token.get("claims") if isinstance(token, dict) else None
    if not isinstance(claims, dict) or claims.get(claim) != request.organization_id:
        why = f"the token is not for this organization: its claim {claim} must name it"
        raise NotServed("forbidden", why)
    return claims


def check_ids(request: HttpRequest, route: str) -> None:
    """Raise `Refused` if an id that the path of the route has cannot be one."""
    for field in ("organizationId", "callId"):
        if f"{{{field}}}" not in route:
            continue
        value = request.path.get(field, "")
        if not 1 <= len(value) <= MAX_ID_LENGTH:
            raise Refused(field, f"must have 1 to {MAX_ID_LENGTH} characters")
        # A policy names an organization by its path: nothing in a path may look like another one.
        if "/" in value:
            raise Refused(field, "must have no slash in a path; invoke the function instead")
        try:
            check_spaces(value)
        except ValueError as error:
            raise Refused(field, str(error)) from None
