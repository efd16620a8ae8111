"""Reports over the twins of the stores, asked for as API Gateway and callers ask."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

from builders import ANSWERED, ORGANIZATION, WITHOUT_WAITING, card

from perminute.adapters.memory import (
    InMemoryCalls,
    InMemoryPostings,
    InMemoryStore,
    PublishedRateCards,
)
from perminute.api.http import invocation_response
from perminute.api.reports.endpoint import PATH
from perminute.api.reports.responses import http_response
from perminute.api.reports.serving import serve_http, serve_invocation
from perminute.application.licensing_cache import LicensingCache
from perminute.application.reporting.reader import ReportReader
from perminute.application.retry import NEVER
from perminute.settings import TokenSettings

if TYPE_CHECKING:
    from datetime import datetime

IAM = TokenSettings("organizationId", required=False)


def reader_of(store: InMemoryStore) -> ReportReader:
    """Everything that reports read, in memory."""
    return ReportReader(
        accounts=store,
        postings=InMemoryPostings(store),
        credit=store,
        calls=InMemoryCalls(store),
        licensing=LicensingCache(store),
        rate_cards=PublishedRateCards(card()),
        reratings=store,
        retry=WITHOUT_WAITING,
    )


def http_request(
    report: str, *, at: datetime = ANSWERED, organization_id: str = ORGANIZATION, **query: str
) -> dict[str, Any]:
    """A request as API Gateway passes it on, let in by IAM."""
    return {
        "version": "2.0",
        "routeKey": f"GET {PATH}",
        "headers": {},
        "pathParameters": {"organizationId": organization_id, "report": report},
        "queryStringParameters": query,
        "requestContext": {
            "timeEpoch": int(at.timestamp()) * 1000,
            "authorizer": {"iam": {"userArn": "arn:aws:iam::123456789012:user/admin"}},
        },
    }


def by_token(event: dict[str, Any], **claims: Any) -> dict[str, Any]:
    """The same request with a token of the organization."""
    token = {"claims": {"organizationId": ORGANIZATION, **claims}}
    context = {**event["requestContext"], "authorizer": {"jwt": token}}
    return {**event, "requestContext": context}


def asked(
    reader: ReportReader, event: dict[str, Any], tokens: TokenSettings = IAM
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and content of the response."""
    response = http_response(serve_http(reader, event, NEVER, tokens).outcome)
    text = response["body"]
    if response.get("isBase64Encoded"):
        text = gzip.decompress(base64.b64decode(text)).decode()
    headers = response["headers"]
    is_json = text and headers["content-type"] == "application/json"
    return response["statusCode"], headers, json.loads(text) if is_json else text


def invoked(reader: ReportReader, event: object, *, at: datetime = ANSWERED) -> dict[str, Any]:
    """What a direct invocation answers."""
    return invocation_response(serve_invocation(reader, event, NEVER, at).outcome)
