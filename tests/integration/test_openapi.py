"""The API as it is documented, and as it answers to whatever schemathesis thinks of."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from perminute.api.endpoints import ENDPOINTS
from perminute_local.openapi import document, text
from perminute_local.replay.lambda_runtime import LoadedFunction
from perminute_local.replay.run import publish_rate_card
from perminute_local.stack import ApiTrigger, Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from schemathesis.specs.openapi.schemas import OpenApiSchema

    from perminute.api.endpoints import Endpoint

ROOT = Path(__file__).parents[2]
RATES = ROOT / "examples" / "day" / "rates.csv"


def test_the_document_is_what_the_code_makes_of_it() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text() == text(), "run: make openapi"


class Gateway:
    """API Gateway in front of the function, as a WSGI application."""

    def __init__(self, stack: Stack) -> None:
        (function,) = (f for f in stack.functions if isinstance(f.trigger, ApiTrigger))
        self._function = LoadedFunction(function)
        self._routes = [
            (endpoint, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint.path)))
            for endpoint in ENDPOINTS
        ]

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/openapi.json":
            return _respond(start_response, 200, json.dumps(document()))
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        for endpoint, pattern in self._routes:
            match = pattern.fullmatch(path)
            if match and endpoint.method == environ["REQUEST_METHOD"]:
                return self._ask(endpoint.route_key, match.groupdict(), environ, start_response)
        return _respond(start_response, 404, '{"message": "Not Found"}')

    def _ask(
        self,
        route_key: str,
        path: dict[str, str],
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        at = datetime(2026, 11, 2, 9, tzinfo=UTC)
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        answer = self._function.call(
            {
                "version": "2.0",
                "routeKey": route_key,
                "pathParameters": path,
                **({"queryStringParameters": query} if query else {}),
                "requestContext": {
                    "timeEpoch": int(at.timestamp()) * 1000,
                    "authorizer": {"iam": {}},
                },
                "body": environ["wsgi.input"].read(length).decode("utf-8", errors="replace"),
                "isBase64Encoded": False,
            }
        )
        if answer is None:
            return _respond(start_response, 500, '{"message": "Internal Server Error"}')
        return _respond(start_response, answer["statusCode"], answer["body"])


def _respond(start_response: Callable[..., Any], status: int, body: str) -> Iterable[bytes]:
    start_response(f"{status} -", [("content-type", "application/json")])
    return [body.encode()]


@pytest.fixture
def api(moto_stack: Stack) -> OpenApiSchema:
    publish_rate_card(RATES.read_bytes(), moto_stack)
    return schemathesis.openapi.from_wsgi("/openapi.json", Gateway(moto_stack))


load_all_checks()
# What API Gateway does and not the function: other methods, missing signatures. Two fields of a
# leg depend on each other, which a schema does not say; and a conflict is no fault.
WITHOUT = {"unsupported_method", "ignored_auth", "positive_data_acceptance"}
OURS: list[Any] = [CHECKS.get_one(n) for n in CHECKS.get_all_names() if n not in WITHOUT]


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_every_answer_is_one_that_the_document_names(
    api: OpenApiSchema, endpoint: Endpoint, mode: GenerationMode
) -> None:
    operation = api[endpoint.path][endpoint.method]

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(checks=OURS)

    ask()
