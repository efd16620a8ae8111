"""Requests of a replay to the charging API: each becomes the event that API Gateway would make."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.api.endpoints import BY_NAME, Endpoint
from perminute.domain.values.identifiers import canonical_id
from perminute_local.replay.results import Response

if TYPE_CHECKING:
    from perminute_local.replay.deliveries import Delivery
    from perminute_local.replay.lambda_runtime import LambdaFunction

Ask = Callable[[Endpoint, dict[str, str], dict[str, Any], datetime], str | None]
"""Makes a request: its route, what the path names, body or query, and when. Gives the body of the
answer, or None if the function failed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDS = ("organizationId", "callId")


class ChargingRequests:
    """Requests by the routes of the template, and what is answered before they are made."""

    def __init__(self, routes: tuple[str, ...], ask: Ask) -> None:
        """Ask by these routes only: what the template does not route would not get there."""
        self._routes = routes
        self._ask = ask

    def response(self, request: Delivery) -> Response:
        """Ask, and say what was asked."""
        body = json.loads(request.body)
        call_id = body.get("callId") if isinstance(body, dict) else None
        answer = self._answer(request, body)
        name = canonical_id(str(call_id or ""))
        return Response(request.at, request.request or "", name, answer)

    def _answer(self, request: Delivery, body: object) -> dict[str, Any]:
        """Give the answer, or `{"error": …, "message": …}`."""
        endpoint = BY_NAME.get(request.request or "")
        if endpoint is None or endpoint.route_key not in self._routes:
            return _error(f"request: must be one of {', '.join(BY_NAME)}")
        if request.fault is not None or request.at is None:
            return _error(request.fault or "time: is required")
        if not isinstance(body, dict):
            return _error("body: must be a JSON object")
        path = {
            name: body[name] for name in _IDS if f"{{{name}}}" in endpoint.path and name in body
        }
        for name in _IDS:
            if f"{{{name}}}" in endpoint.path and not isinstance(path.get(name), str):
                return _error(f"body.{name}: is required, as text")
        text = self._ask(endpoint, path, body, request.at)
        if text is None:
            return {"error": "internal", "message": "the function failed; see its log above"}
        answer: dict[str, Any] = json.loads(text)
        return answer


def ask_function(function: LambdaFunction) -> Ask:
    """Have a function asked as API Gateway does."""

    def ask(
        endpoint: Endpoint, path: dict[str, str], content: dict[str, Any], at: datetime
    ) -> str | None:
        response = function.call(http_event(endpoint, path, content, at))
        return None if response is None else str(response["body"])

    return ask


def http_event(
    endpoint: Endpoint, path: dict[str, str], content: dict[str, Any], at: datetime
) -> dict[str, Any]:
    """Shape a request as an HTTP API does (payload format 2.0), let in by IAM."""
    raw_path = endpoint.path.format(**path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": endpoint.route_key,
        "rawPath": raw_path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "pathParameters": path,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "replay",
            "authorizer": {"iam": {"accountId": "000000000000"}},
            "http": {"method": endpoint.method, "path": raw_path, "protocol": "HTTP/1.1"},
            "routeKey": endpoint.route_key,
            "stage": "$default",
            "timeEpoch": (at - _EPOCH) // timedelta(milliseconds=1),
        },
        "isBase64Encoded": False,
    }
    if endpoint.method == "GET":
        query = {name: str(value) for name, value in content.items() if name not in _IDS}
        return event | {"queryStringParameters": query}
    return event | {"body": json.dumps(content)}


def _error(message: str) -> dict[str, Any]:
    return {"error": "invalid", "message": message}
