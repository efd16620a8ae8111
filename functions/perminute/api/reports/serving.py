"""From requests, over HTTP or by invocation, to the reports and back.

A token needs the role `reader` in its claim `role`, and `numbers` to see phone numbers. A caller
that signs with IAM, or invokes the function, sees them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from msgspec.json import encode

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
from perminute.api.reports.endpoint import PATH, REPORTS, ReportTarget, endpoint_of
from perminute.api.reports.parameters import quoted, read_parameters
from perminute.api.reports.responses import check_size, response_of
from perminute.domain.errors import Refused
from perminute.fields import Message, OrganizationId
from perminute.parsing import read_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.api.http import Endpoint
    from perminute.api.reports.documents import ReportDocument
    from perminute.application.reporting.reader import ReportReader
    from perminute.application.retry import Deadline
    from perminute.settings import TokenSettings

ROLE_CLAIM = "role"
READER, NUMBERS = "reader", "numbers"


class ReportRequest(HttpRequest, frozen=True, kw_only=True):
    """A request for a report; names of headers are in lower case."""

    headers: dict[str, str] | None = None


class ReportInvocation(Message, frozen=True, kw_only=True):
    """Which report a direct invocation asks for; its other fields are the report's parameters."""

    operation: str
    organization_id: OrganizationId


def serve_http(
    reader: ReportReader, event: Mapping[str, Any], deadline: Deadline, tokens: TokenSettings
) -> Served:
    """Serve a request that API Gateway let through; its outcome is a `Response`, or an error."""
    try:
        request = read_request(event, ReportRequest)
    except Refused as error:
        return not_read(error)
    name = request.path.get("report", "") if request.route_key == f"GET {PATH}" else ""

    def answer() -> Message:
        roles = _roles(check_token(request, tokens))
        check_ids(request, PATH)
        endpoint = _endpoint(name)
        query = read_parameters(request.query, endpoint.reads, from_text=True)
        target = ReportTarget(request.organization_id, request.at, deadline, NUMBERS in roles)
        return response_of(endpoint.serve(reader, target, query), request.headers or {})

    return serve(name if name in REPORTS else "none", request.organization_id, "", answer)


def serve_invocation(
    reader: ReportReader, event: object, deadline: Deadline, now: datetime
) -> Served:
    """Serve a direct invocation: the name of a report, an organization, and parameters."""
    if not isinstance(event, dict):
        return not_read(Refused("event", "must be a JSON object"))
    name, organization_id = text_of(event, "operation"), text_of(event, "organizationId")

    def answer() -> Message:
        read_message(event, ReportInvocation)
        endpoint = _endpoint(name)
        query = read_parameters(event, endpoint.reads)
        target = ReportTarget(organization_id, now, deadline, shows_numbers=True)
        document = endpoint.serve(reader, target, query)
        check_size(len(encode(document)))
        return document

    return serve(name if name in REPORTS else "none", organization_id, "", answer)


def metric_of(_served: Served, _request: Mapping[str, Any]) -> str:
    """Return the metric that counts a report."""
    return "ReportsRead"


def _endpoint(name: str) -> Endpoint[ReportDocument]:
    endpoint = endpoint_of(name)
    if endpoint is None:
        msg = f"there is no report {quoted(name)}; there are {', '.join(REPORTS)}"
        raise NotServed("notFound", msg)
    return endpoint


def _roles(claims: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the roles of a token; one without the role of a reader is turned away."""
    if claims is None:
        return frozenset((READER, NUMBERS))
    claim = claims.get(ROLE_CLAIM)
    # API Gateway writes a list as `[reader numbers]`; others separate roles by commas or spaces.
    texts = claim if isinstance(claim, list) else [claim]
    roles = frozenset(
        role for text in texts if isinstance(text, str) for role in re.split(r'[][\s,"]+', text)
    )
    if READER not in roles:
        msg = f"the token may not read reports: its claim {ROLE_CLAIM} must contain {READER}"
        raise NotServed("forbidden", msg)
    return roles
