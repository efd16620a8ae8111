"""Between API Gateway's HTTP events (payload 2.0) and the endpoints, and direct invocations.

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

from msgspec import Meta, to_builtins
from msgspec.json import encode

from perminute.api.endpoints import BY_NAME, BY_ROUTE, Endpoint, Target, check_target
from perminute.api.messages import ErrorDocument, Invocation
from perminute.domain.errors import Conflict, NotFound, Refused, Unavailable
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.values.identifiers import canonical_id, check_spaces
from perminute.domain.values.printable import one_line
from perminute.fields import Message
from perminute.parsing import check_text, is_text, parse, read_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.api.endpoints import ChargingApi
    from perminute.api.messages import Error
    from perminute.application.retry import Deadline
    from perminute.settings import TokenSettings

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_LAST_MILLISECOND = 253_402_300_799_999
MAX_BODY_BYTES = 8_192
"""More than the longest request takes, were each of its ids 250 letters of four bytes."""

_STATUS: dict[Error, HTTPStatus] = {
    "invalid": HTTPStatus.BAD_REQUEST,
    "forbidden": HTTPStatus.FORBIDDEN,
    "notFound": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "tooLarge": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}


class Served(NamedTuple):
    """What became of a request: an answer, or why there is none.

    `why` is for our own log: what is broken behind us, of which the caller is not told.
    """

    endpoint: str
    organization_id: str
    call_id: str
    outcome: Message
    why: str | None = None


class _Context(Message, frozen=True, kw_only=True):
    time_epoch: Annotated[int, Meta(ge=0, le=_LAST_MILLISECOND)]
    authorizer: dict[str, Any] | None = None


class _Request(Message, frozen=True, kw_only=True):
    """What API Gateway hands over; somebody who invokes the function may send anything instead."""

    route_key: str
    request_context: _Context
    path_parameters: dict[str, str] | None = None
    query_string_parameters: dict[str, str] | None = None
    body: str | None = None
    is_base64_encoded: bool = False


class _Turned(Exception):  # noqa: N818 - a caller turned away, not a malfunction
    """A request that is not let in."""

    def __init__(self, error: Error, message: str) -> None:
        super().__init__(message)
        self.document = ErrorDocument(error=error, message=message)


def serve_http(
    api: ChargingApi, event: Mapping[str, Any], deadline: Deadline, tokens: TokenSettings
) -> Served:
    """Serve a request that API Gateway let through."""
    try:
        request = read_message(event, _Request)
        check_text((request.path_parameters, request.query_string_parameters))
    except Refused as error:
        return Served("none", "", "", error_document(error), str(error))
    endpoint = BY_ROUTE.get(request.route_key)
    path = request.path_parameters or {}
    organization_id = path.get("organizationId", "")
    call_id = canonical_id(path.get("callId", ""))
    if endpoint is None:
        document = ErrorDocument(error="notFound", message="there is no such route")
        return Served("none", organization_id[:MAX_ID_LENGTH], call_id[:MAX_ID_LENGTH], document)
    context = request.request_context
    # The instant at which API Gateway took the request: not when a cold start was over.
    at = _EPOCH + _MILLISECOND * context.time_epoch
    target = Target(organization_id, call_id, at, deadline)
    outcome: Message
    try:
        _check_token(context, organization_id, tokens)
        _check_ids(path, endpoint)
        outcome = endpoint.serve(api, target, _read(request, endpoint, target))
    except _Turned as turned:
        outcome = turned.document
    except (Refused, Unavailable) as error:
        document = error_document(error)
        return Served(endpoint.name, organization_id, call_id, document, str(error))
    return Served(endpoint.name, organization_id, call_id, outcome)


def request_id_of(event: Mapping[str, Any]) -> str:
    """Return the id of a request, which stands in API Gateway's access log; or nothing."""
    context = event.get("requestContext")
    request_id = context.get("requestId") if isinstance(context, dict) else None
    return request_id if isinstance(request_id, str) else ""


def http_response(outcome: Message) -> dict[str, Any]:
    """Answer API Gateway."""
    status = _STATUS[outcome.error] if isinstance(outcome, ErrorDocument) else HTTPStatus.OK
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return {"statusCode": int(status), "headers": headers, "body": encode(outcome).decode()}


def serve_invocation(api: ChargingApi, event: object, deadline: Deadline, now: datetime) -> Served:
    """Serve a direct invocation: the fields of body or query, and which operation on which call."""
    if not isinstance(event, dict):
        document = error_document(Refused("event", "must be a JSON object"))
        return Served("none", "", "", document)
    organization_id = _text(event.get("organizationId"))
    call_id = canonical_id(_text(event.get("callId")))
    outcome: Message
    try:
        invocation = read_message(event, Invocation)
        endpoint = BY_NAME[invocation.operation]
        _check_call(endpoint, invocation)
        target = Target(organization_id, call_id, now, deadline)
        outcome = endpoint.serve(api, target, read_message(event, endpoint.reads))
    except (Refused, Unavailable) as error:
        document, name = error_document(error), _text(event.get("operation"))
        name = name if name in BY_NAME else "none"
        return Served(name, organization_id, call_id, document, str(error))
    return Served(endpoint.name, organization_id, call_id, outcome)


def _check_call(endpoint: Endpoint, invocation: Invocation) -> None:
    if "{callId}" in endpoint.path and invocation.call_id is None:
        raise Refused("callId", "is required")


def _text(value: object) -> str:
    return value[:MAX_ID_LENGTH] if isinstance(value, str) and is_text(value) else ""


def plain(outcome: Message) -> dict[str, Any]:
    """Give an outcome to who invoked the function."""
    document: dict[str, Any] = to_builtins(outcome)
    return document


def error_document(error: Refused | Unavailable) -> ErrorDocument:
    """Say why a request is not answered; of what is broken behind us only that it is."""
    if isinstance(error, Conflict):
        return ErrorDocument(error="conflict", message=one_line(str(error)))
    if isinstance(error, NotFound):
        return ErrorDocument(error="notFound", message=one_line(str(error)))
    if isinstance(error, Refused):
        return ErrorDocument(error="invalid", message=one_line(str(error)))
    message = "the request could not be carried out just now; send it again, as it is"
    return ErrorDocument(error="unavailable", message=message)


def _check_token(context: _Context, organization_id: str, tokens: TokenSettings) -> None:
    token = (context.authorizer or {}).get("jwt")
    if token is None:
        if tokens.required:
            raise _Turned("forbidden", "a token is required: this API serves nobody without one")
        return
    claim = tokens.organization_claim
    claims = token.get("claims") if isinstance(token, dict) else None
    if not isinstance(claims, dict) or claims.get(claim) != organization_id:
        raise _Turned(
            "forbidden", f"the token is not for this organization: its claim {claim} must name it"
        )


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


def _read(request: _Request, endpoint: Endpoint, target: Target) -> Message:
    if endpoint.method == "GET":
        query = request.query_string_parameters or {}
        return read_message(query, endpoint.reads, from_text=True)
    message = parse(_body_of(request), endpoint.reads)
    check_target(message, target)
    return message


def _body_of(request: _Request) -> bytes:
    """Return the bytes that the caller sent, and that count: base64 is API Gateway's."""
    text = request.body or ""
    check_text(text)
    body = _unpacked(text) if request.is_base64_encoded else text.encode()
    if len(body) > MAX_BODY_BYTES:
        raise _Turned("tooLarge", f"the body must not have more than {MAX_BODY_BYTES} bytes")
    return body


def _unpacked(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        # Not `binascii.Error`: a letter beyond ASCII is another error.
        raise Refused("body", "is not base64, although the event says so") from None
