"""The OpenAPI document of the charging API and reports, made from the types that functions read.

`make documents` writes it; a test compares docs/openapi.json with it.
"""

from __future__ import annotations

import json
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec.json import schema_components
from msgspec.structs import fields

from perminute.api.endpoints import ENDPOINTS
from perminute.api.messages import AuthorizeBody, ReportBody
from perminute.api.reports.documents import CsvDocument, ReportDocument
from perminute.api.reports.endpoint import REPORTS, endpoint_of
from perminute.api.reports.statement import StatementDocument
from perminute.api.serving import MAX_BODY_BYTES
from perminute.api.values import ErrorDocument
from perminute.fields import Id, OrganizationId
from perminute_local.documents.event_documents import (
    numbers_by_leg_type,
    schema_of_text,
    without_references,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.api.http import Endpoint
    from perminute.fields import Message

_REF = "#/components/schemas/{name}"
_CALL = "{callId}"
_DESCRIPTION = (
    "Online charging by the model of RFC 8506 and 3GPP TS 32.291, as plain JSON. A call is "
    "authorized, updated and released under sequence numbers from 0: the next number is "
    "processed, the last one again gets the same answer, any other is a conflict. A grant is "
    "reserved on the organization's credit until it lapses or the call's `Call Ended` is charged. "
    "docs/charging-api.md describes how to use it, and what reports have in common."
)
_FAILURES = {
    HTTPStatus.BAD_REQUEST: "A field is missing or wrong; the message says what to do.",
    HTTPStatus.FORBIDDEN: "The caller may not use this organization.",
    HTTPStatus.NOT_FOUND: "Nothing is recorded about this call.",
    HTTPStatus.CONFLICT: "Another sequence number is due, or this one had other content.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"The body has more than {MAX_BODY_BYTES} bytes.",
    HTTPStatus.SERVICE_UNAVAILABLE: "It could not be processed now: send it again unchanged.",
}
_OF_BODIES = (HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
_TOO_MANY_CALLS = "There are more calls than one answer contains: ask for a shorter period."
_ELSEWHERE = "With `format=pdf`: the header `location` has an address of the PDF, which expires."
_NOT_MODIFIED = "It is what `If-None-Match` names: nothing has changed but `asOf.at`."


CHARGE, READ = "perminute/charge", "perminute/read"
SCOPES = {
    "authorize": (CHARGE,),
    "update": (CHARGE,),
    "release": (CHARGE,),
    "price": (READ,),
    "balance": (READ,),
    # A bridge that has forgotten its calls looks for them.
    "call": (CHARGE, READ),
    "callsUnderWay": (CHARGE, READ),
}
"""One of these a token must have, by operation; as the routes of the template ask for them."""


def document() -> dict[str, Any]:
    """Make the document (OpenAPI 3.1)."""
    endpoints = [*ENDPOINTS, *reports()]
    types = {ErrorDocument, *(t for e in endpoints for t in (e.reads, e.answers))} - {CsvDocument}
    _, components = schema_components(types, ref_template=_REF, schema_hook=schema_of_text)
    components[AuthorizeBody.__name__]["allOf"] = numbers_by_leg_type()
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        if issubclass(endpoint.reads, ReportBody):
            body = components[endpoint.reads.__name__]
            body["oneOf"] = [_whole_number(name) for name in _USED]
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(
            endpoint, components
        )
    read = {endpoint.reads.__name__ for endpoint in endpoints if endpoint.method == "GET"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "perminute charging API", "version": "1", "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": {name: s for name, s in sorted(components.items()) if name not in read},
            "securitySchemes": {
                "iam": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "description": "AWS Signature Version 4, unless the deployment takes tokens.",
                },
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
        "security": [{"iam": []}, {"token": []}],
    }


def reports() -> list[Endpoint[ReportDocument]]:
    """Return all reports, each with a path of its own."""
    found = {name: endpoint_of(name) for name in REPORTS}
    return [
        endpoint._replace(path=endpoint.path.replace("{report}", name))
        for name, endpoint in found.items()
        if endpoint is not None
    ]


_USED = ("usedSeconds", "totalUsedSeconds")
"""What a call has used is said by one of these figures."""


def _whole_number(name: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "integer"}}}


def _operation(endpoint: Endpoint[Message], components: dict[str, Any]) -> dict[str, Any]:
    asks = endpoint.method == "GET"
    ids = {"organizationId": OrganizationId, **({"callId": Id} if _CALL in endpoint.path else {})}
    path = [
        {"name": name, "in": "path", "required": True, "schema": schema_of_text(text_type)}
        for name, text_type in ids.items()
    ]
    is_report = issubclass(endpoint.answers, ReportDocument)
    is_one_call = asks and (_CALL in endpoint.path or "callId" in _names_of(endpoint.reads))
    query = _query(components[endpoint.reads.__name__]) if asks else []
    failures = [
        status
        for status in _FAILURES
        if not (asks and status in _OF_BODIES)
        and (is_one_call or status is not HTTPStatus.NOT_FOUND)
    ]
    scopes = [[]] if is_report else [[scope] for scope in SCOPES[endpoint.name]]
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "security": [{"iam": []}, *({"token": scope} for scope in scopes)],
        "parameters": [*path, *query],
        "responses": _responses(endpoint, failures),
    }
    if is_report:
        operation["responses"]["304"] = {"description": _NOT_MODIFIED}
    if endpoint.answers is StatementDocument:
        operation["responses"]["303"] = {"description": _ELSEWHERE}
    if endpoint.answers is CsvDocument:
        too_many = {"description": _TOO_MANY_CALLS, "content": _json(ErrorDocument)}
        operation["responses"]["413"] = too_many
    if not asks:
        operation["requestBody"] = {"required": True, "content": _json(endpoint.reads)}
    return operation


def _query(reads: dict[str, Any]) -> list[dict[str, Any]]:
    # A parameter that may be left out is not null, as a field may be.
    required = reads.get("required", ())
    parameters = []
    for name, of_field in reads.get("properties", {}).items():
        kinds = [kind for kind in of_field.get("anyOf", ()) if kind != {"type": "null"}]
        kind = kinds[0] if kinds else of_field
        parameter = {"name": name, "in": "query", "required": name in required, "schema": kind}
        if kind.get("type") == "array":
            parameter |= {"style": "form", "explode": False}  # with commas
        parameters.append(parameter)
    return parameters


def _responses(endpoint: Endpoint[Message], failures: Sequence[HTTPStatus]) -> dict[str, Any]:
    content = {} if endpoint.answers is CsvDocument else _json(endpoint.answers)
    if endpoint.answers is CsvDocument or "format" in _names_of(endpoint.reads):
        content["text/csv"] = {"schema": {"type": "string"}}
    answer = {"description": "The answer.", "content": content}
    return {
        "200": answer,
        **{
            str(int(status)): {"description": _FAILURES[status], "content": _json(ErrorDocument)}
            for status in failures
        },
        "429": {"description": "Too many requests: API Gateway refused this one."},
    }


def _names_of(message: type[Message]) -> list[str]:
    return [field.encode_name for field in fields(message)]


def _json(message: type) -> dict[str, Any]:
    reference = {"$ref": _REF.format(name=message.__name__)}
    return {"application/json": {"schema": reference}}


def text() -> str:
    """Write it as the file has it."""
    return without_references(json.dumps(document(), indent=2, ensure_ascii=False)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
