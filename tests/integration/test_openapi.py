"""The API as it is documented, and as it answers to whatever schemathesis thinks of."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from charging import ROOT, System, make_ready
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from perminute.api.endpoints import ENDPOINTS
from perminute.api.reports.endpoint import PATH
from perminute_local.documents.openapi import document, reports, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemathesis.specs.openapi.schemas import OpenApiSchema
    from stacks_on_moto import StacksOnMoto

    from perminute.api.http import Endpoint
    from perminute.fields import Message


def test_the_document_is_what_the_code_makes_of_it() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text() == text(), "run: make documents"


def test_every_schema_has_a_name_of_its_own_by_which_it_is_found() -> None:
    made = document()
    names = set(made["components"]["schemas"])
    assert {name for name in names if "." in name} == set(), "two types have one name"
    referred = re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(made))
    assert set(referred) == names


ALL = [*ENDPOINTS, *reports()]
QUICK = ("authorize", "balance", "usage")
"""A route that changes something, one that only answers, and a report."""


class Gateway:
    """API Gateway in front of the function, as a WSGI application."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._routes = [
            (endpoint, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint.path)))
            for endpoint in ALL
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
                of_report = endpoint.path.startswith("/reports/")
                route = f"GET {PATH}" if of_report else endpoint.route_key
                path_parameters = match.groupdict() | {"report": endpoint.name}
                return self._ask(route, path_parameters, environ, start_response)
        return _respond(start_response, 404, '{"message": "Not Found"}')

    def _ask(
        self,
        route_key: str,
        path: dict[str, str],
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        # What a call has used cannot be more than the time since it was authorized.
        day = 2 if route_key.endswith("/authorize") else 3
        at = datetime(2026, 11, day, 9, tzinfo=UTC)
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        answer = self._system.raw(
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
        kind = answer["headers"]["content-type"]
        return _respond(start_response, answer["statusCode"], answer["body"], kind)


def _respond(
    start_response: Callable[..., Any], status: int, body: str, kind: str = "application/json"
) -> Iterable[bytes]:
    start_response(f"{status} -", [("content-type", kind)])
    return [body.encode()]


@pytest.fixture(scope="module")
def system(stacks_on_moto: StacksOnMoto) -> Iterator[System]:
    """One for all that is asked here: whatever it comes to is what a system may come to."""
    with stacks_on_moto.new(make_ready) as stack:
        yield System(stack)


@pytest.fixture(scope="module")
def api(system: System) -> OpenApiSchema:
    return schemathesis.openapi.from_wsgi("/openapi.json", Gateway(system))


load_all_checks()
# What API Gateway does and not the function: other methods, missing signatures. A conflict is no
# fault.
WITHOUT = {"unsupported_method", "ignored_auth", "positive_data_acceptance"}
CALLS = count()
OURS: list[Any] = [CHECKS.get_one(n) for n in CHECKS.get_all_names() if n not in WITHOUT]


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(one, id=one.name, marks=() if one.name in QUICK else pytest.mark.thorough)
        for one in ALL
    ],
)
def test_every_answer_is_one_that_the_document_names(
    api: OpenApiSchema, endpoint: Endpoint[Message], mode: GenerationMode
) -> None:
    operation = api[endpoint.path][endpoint.method]

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        response = case.call()
        # What is too large is refused before anybody looks at what it says.
        if response.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            case.validate_response(response, checks=OURS)

    ask()


@pytest.mark.parametrize("endpoint", ENDPOINTS[:3], ids=lambda endpoint: endpoint.name)
def test_what_is_asked_of_a_call_in_its_turn_is_answered_as_documented(
    system: System, api: OpenApiSchema, endpoint: Endpoint[Message]
) -> None:
    """Whatever is asked for, with what a schema cannot say set right."""
    operation = api[endpoint.path][endpoint.method]

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def ask(case: schemathesis.Case[Any]) -> None:
        path = {"organizationId": "contoso", "callId": f"call-{next(CALLS)}"}
        assert isinstance(case.body, dict)
        body = {name: value for name, value in case.body.items() if name not in path}
        numbers = {"serviceNumber": "+18005550100", "remoteNumber": "+493023125042"}
        case.path_parameters, case.body = path, {**body, **numbers, "sequence": 0}
        if endpoint.name != "authorize":
            first = json.loads(system.http["body"])
            assert system.ask("authorize", first, pathParameters=path)[0] == HTTPStatus.OK
            case.body["sequence"] = 1
        assert case.call_and_validate(checks=OURS).status_code == HTTPStatus.OK

    ask()
