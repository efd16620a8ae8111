"""From requests, over HTTP or by invocation, to the endpoints of the charging API and back."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from perminute.api.endpoints import BY_NAME, BY_ROUTE, Target
from perminute.api.http import (
    HttpRequest,
    NotServed,
    Served,
    check_ids,
    check_token,
    not_read,
    read_request,
    serve,
    text_of,
)
from perminute.api.messages import AnswerDocument, Invocation
from perminute.domain.authorization.reservations import Decision
from perminute.domain.errors import Refused
from perminute.domain.values.identifiers import canonical_id
from perminute.observability import logger
from perminute.parsing import check_text, parse, read_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.api.endpoints import ChargingApi
    from perminute.api.http import Endpoint
    from perminute.application.retry import Deadline
    from perminute.fields import Message
    from perminute.settings import TokenSettings

MAX_BODY_BYTES = 8_192
"""More than the longest request takes, were each of its ids 250 letters of four bytes."""


def serve_http(
    api: ChargingApi, event: Mapping[str, Any], deadline: Deadline, tokens: TokenSettings
) -> Served:
    """Serve a request that API Gateway let through."""
    try:
        request = read_request(event, HttpRequest)
    except Refused as error:
        return not_read(error)
    target = Target(request.organization_id, request.call_id, request.at, deadline)
    endpoint = BY_ROUTE.get(request.route_key)

    def answer() -> Message:
        if endpoint is None:
            raise NotServed("notFound", "there is no such route")
        check_token(request, tokens)
        check_ids(request, endpoint.path)
        return endpoint.serve(api, target, _message_of(request, endpoint, target))

    return serve(endpoint.name if endpoint else "none", *target[:2], answer)


def serve_invocation(api: ChargingApi, event: object, deadline: Deadline, now: datetime) -> Served:
    """Serve a direct invocation: the fields of body or query, and which operation on which call."""
    if not isinstance(event, dict):
        return not_read(Refused("event", "must be a JSON object"))
    organization_id, call_id = text_of(event, "organizationId"), text_of(event, "callId")
    target = Target(organization_id, canonical_id(call_id), now, deadline)
    name = text_of(event, "operation")

    def answer() -> Message:
        invocation = read_message(event, Invocation)
        endpoint = BY_NAME[invocation.operation]
        if "{callId}" in endpoint.path and invocation.call_id is None:
            raise Refused("callId", "is required")
        return endpoint.serve(api, target, read_message(event, endpoint.reads))

    return serve(name if name in BY_NAME else "none", *target[:2], answer)


def metric_of(served: Served, request: Mapping[str, Any]) -> str:
    """Return the metric that counts an answer; log a call that was denied."""
    match served.outcome:
        case AnswerDocument(decision=Decision.DENY, reason=reason, limit=limit):
            logger.info("call denied", extra={**request, "reason": reason, "limit": limit})
            return "CallsDenied"
        case AnswerDocument():
            return "CallsAllowed"
        case _:
            return "QuestionsAnswered"


def _message_of(request: HttpRequest, endpoint: Endpoint[Message], target: Target) -> Message:
    if endpoint.method == "GET":
        return read_message(request.query, endpoint.reads, from_text=True)
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


def _bytes_sent(request: HttpRequest) -> bytes:
    text = request.body or ""
    check_text(text)
    body = _from_base64(text) if request.is_base64_encoded else text.encode()
    # The bytes that the caller sent count: base64 is API Gateway's.
    if len(body) > MAX_BODY_BYTES:
        raise NotServed("tooLarge", f"the body must not have more than {MAX_BODY_BYTES} bytes")
    return body


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        # Not `binascii.Error`: a letter beyond ASCII is another error.
        raise Refused("body", "is not base64, although the event says so") from None
