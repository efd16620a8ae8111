"""From API Gateway's HTTP events (payload 2.0), or direct invocations, to the endpoints and back.

A caller that comes with a token reaches only the organization that its token names. One that
signs with IAM reaches what its own policy allows: every path begins with the organization
(docs/charging-api.md shows such a policy). Where tokens are required, nobody is served over HTTP
without one, whatever the routes say. A direct invocation carries no token: who may invoke the
function reaches all organizations.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from aws_lambda_powertools.metrics import MetricUnit
from msgspec import Meta, to_builtins
from msgspec.json import encode

from perminute.api.endpoints import BY_NAME, BY_ROUTE, Target
from perminute.api.messages import AnswerDocument, ErrorDocument, Invocation
from perminute.application.correlation import correlation_id
from perminute.domain.authorization.reservations import Decision
from perminute.domain.errors import Conflict, NotFound, Refused, Unavailable
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.identifiers import canonical_id, check_spaces
from perminute.domain.values.printable import one_line
from perminute.fields import Message
from perminute.observability import logger, metrics
from perminute.parsing import check_text, is_text, parse, read_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perminute.api.endpoints import ChargingApi, Endpoint
    from perminute.api.messages import Error
    from perminute.application.retry import Deadline
    from perminute.settings import TokenSettings

MAX_BODY_BYTES = 8_192
"""More than the longest request takes, were each of its ids 250 letters of four bytes."""

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
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


class _Request(Message, frozen=True, kw_only=True):
    # What API Gateway sends; a direct invocation may send anything instead.
    route_key: str
    request_context: _Context
    path_parameters: dict[str, str] | None = None
    query_string_parameters: dict[str, str] | None = None
    body: str | None = None
    is_base64_encoded: bool = False


class _NotServed(Exception):  # noqa: N818 - a caller turned away, not a malfunction
    def __init__(self, error: Error, message: str) -> None:
        super().__init__(message)
        self.error = error


def serve_http(
    api: ChargingApi, event: Mapping[str, Any], deadline: Deadline, tokens: TokenSettings
) -> Served:
    """Serve a request that API Gateway let through."""
    try:
        request = read_message(event, _Request)
        path, query = request.path_parameters or {}, request.query_string_parameters or {}
        check_text(*path, *path.values(), *query, *query.values())
    except Refused as error:
        return Served("none", "", "", error_document(error), str(error))
    context = request.request_context
    # The instant at which API Gateway took the request: not when a cold start was over.
    at = _EPOCH + _MILLISECOND * context.time_epoch
    organization_id, call_id = path.get("organizationId", ""), canonical_id(path.get("callId", ""))
    target = Target(organization_id, call_id, at, deadline)
    endpoint = BY_ROUTE.get(request.route_key)

    def read() -> tuple[Endpoint, Message]:
        if endpoint is None:
            raise _NotServed("notFound", "there is no such route")
        _check_token(context, organization_id, tokens)
        _check_ids(path, endpoint)
        return endpoint, _message_of(request, endpoint, target)

    return _serve(api, endpoint.name if endpoint else "none", target, read)


def serve_invocation(api: ChargingApi, event: object, deadline: Deadline, now: datetime) -> Served:
    """Serve a direct invocation: the fields of body or query, and which operation on which call."""
    if not isinstance(event, dict):
        error = Refused("event", "must be a JSON object")
        return Served("none", "", "", error_document(error), str(error))
    organization_id, call_id = _text(event, "organizationId"), canonical_id(_text(event, "callId"))
    target = Target(organization_id, call_id, now, deadline)
    name = _text(event, "operation")

    def read() -> tuple[Endpoint, Message]:
        invocation = read_message(event, Invocation)
        endpoint = BY_NAME[invocation.operation]
        if "{callId}" in endpoint.path and invocation.call_id is None:
            raise Refused("callId", "is required")
        return endpoint, read_message(event, endpoint.reads)

    return _serve(api, name if name in BY_NAME else "none", target, read)


def _text(event: Mapping[str, Any], field: str) -> str:
    value = event.get(field)
    return value[:MAX_ID_LENGTH] if isinstance(value, str) and is_text(value) else ""


def _serve(
    api: ChargingApi, name: str, target: Target, read: Callable[[], tuple[Endpoint, Message]]
) -> Served:
    organization_id, call_id, *_ = target
    try:
        endpoint, message = read()
        return Served(name, organization_id, call_id, endpoint.serve(api, target, message))
    except (_NotServed, Refused, Unavailable) as error:
        shown = organization_id[:MAX_ID_LENGTH], call_id[:MAX_ID_LENGTH]
        return Served(name, *shown, error_document(error), str(error))


def error_document(error: Exception) -> ErrorDocument:
    """Return why a request is not answered; of what is broken behind us only that it is."""
    message = one_line(str(error))
    match error:
        case _NotServed():
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


def request_id_of(event: Mapping[str, Any]) -> str:
    """Return the id of a request, which API Gateway's access log names; empty if there is none."""
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


def report_served(served: Served) -> None:
    """Count a request; log it if it was denied or failed, for support will be asked why.

    No line shows a phone number.
    """
    endpoint, organization_id, call_id, outcome, why = served
    request = {
        "endpoint": endpoint,
        "organizationId": organization_id,
        "callId": call_id,
        "correlationId": correlation_id(),
    }
    match outcome:
        case ErrorDocument(error=error):
            metrics.add_metric(_ERRORS[error][1], MetricUnit.Count, 1)
            logger.warning("request not answered", extra={**request, "error": error, "reason": why})
        case AnswerDocument(decision=Decision.DENY, reason=reason, limit=limit):
            metrics.add_metric("CallsDenied", MetricUnit.Count, 1)
            logger.info("call denied", extra={**request, "reason": reason, "limit": limit})
        case AnswerDocument():
            metrics.add_metric("CallsAllowed", MetricUnit.Count, 1)
        case _:
            metrics.add_metric("QuestionsAnswered", MetricUnit.Count, 1)


def _check_token(context: _Context, organization_id: str, tokens: TokenSettings) -> None:
    token = (context.authorizer or {}).get("jwt")
    if token is None:
        if tokens.required:
            raise _NotServed("forbidden", "a token is required: this API serves nobody without one")
        return
    claim = tokens.organization_claim
    claims = token.get("claims") if isinstance(token, dict) else None
    if not isinstance(claims, dict) or claims.get(claim) != organization_id:
        why = f"the token is not for this organization: its claim {claim} must name it"
        raise _NotServed("forbidden", why)


def _check_ids(path: Mapping[str, str], endpoint: Endpoint) -> None:
    for field in ("organizationId", "callId"):
        if f"{{{field}}}" not in endpoint.path:
            continue
        value = path.get(field, "")
        if not 1 <= len(value) <= MAX_ID_LENGTH:
            raise Refused(field, f"must have 1 to {MAX_ID_LENGTH} characters")
        # A policy names an organization by its path: nothing in a path may look like another one.
        if "/" in value:
            raise Refused(field, "must have no slash in a path; invoke the function instead")
        try:
            check_spaces(value)
        except ValueError as error:
            raise Refused(field, str(error)) from None


def _message_of(request: _Request, endpoint: Endpoint, target: Target) -> Message:
    if endpoint.method == "GET":
        return read_message(request.query_string_parameters or {}, endpoint.reads, from_text=True)
    body = parse(_bytes_sent(request), endpoint.reads)
    _check_same_ids(body, target)
    return body


def _check_same_ids(body: Message, target: Target) -> None:
    for field, in_body, in_path in (
        ("organizationId", getattr(body, "organization_id", None), target.organization_id),
        ("callId", getattr(body, "call_id", None), target.call_id),
    ):
        if in_body is not None and in_body != in_path:
            raise Refused(field, "is another one than in the path; leave it out of the body")


def _bytes_sent(request: _Request) -> bytes:
    text = request.body or ""
    check_text(text)
    body = _from_base64(text) if request.is_base64_encoded else text.encode()
    # The bytes that the caller sent count: base64 is API Gateway's.
    if len(body) > MAX_BODY_BYTES:
        raise _NotServed("tooLarge", f"the body must not have more than {MAX_BODY_BYTES} bytes")
    return body


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        # Not `binascii.Error`: a letter beyond ASCII is another error.
        raise Refused("body", "is not base64, although the event says so") from None
