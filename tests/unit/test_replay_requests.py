"""Requests of a replay, as a function gets them, and answers as a replay shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from perminute.api.endpoints import BY_NAME
from perminute.api.reports.endpoint import PATH, REPORTS, endpoint_of
from perminute_local.replay.links import answer_in, http_event, query_of, response_to
from perminute_local.replay.plan import Delivery

if TYPE_CHECKING:
    from perminute.api.http import Endpoint
    from perminute.fields import Message

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
ROUTES = {f"GET {PATH}"}


def requested(name: str, **body: Any) -> Delivery:
    return Delivery("events.jsonl:1", "", "request", json.dumps(body), AT, request=name)


def test_a_list_is_written_with_commas_and_what_is_null_or_empty_not_at_all() -> None:
    content = {"organizationId": "contoso", "groupBy": ["day", "legType"], "limit": 5, "to": None}
    assert query_of(content, {}) == {"groupBy": "day,legType", "limit": "5"}
    assert query_of({**content, "groupBy": []}, {}) == {"limit": "5"}


def test_a_report_is_asked_for_on_the_route_of_all_reports() -> None:
    def ask(
        endpoint: Endpoint[Message], path: dict[str, str], content: dict[str, Any], at: datetime
    ) -> dict[str, Any]:
        return http_event(endpoint, path, content, at)

    event = response_to(requested("overview", organizationId="contoso"), ROUTES, ask).answer
    assert event["routeKey"] == f"GET {PATH}"
    assert event["rawPath"] == "/reports/organizations/contoso/overview"
    assert event["pathParameters"] == {"organizationId": "contoso", "report": "overview"}
    assert event["queryStringParameters"] == {}


def test_what_is_no_request_is_refused_with_the_names_of_all() -> None:
    answer = response_to(requested("sales"), ROUTES, lambda *_: {}).answer
    assert answer["message"] == f"request: must be one of {', '.join((*BY_NAME, *REPORTS))}"
    answer = response_to(requested("overview"), ROUTES, lambda *_: {}).answer
    assert answer["message"] == "body.organizationId: is required, as text"
    # Where nobody serves reports there are none.
    answer = response_to(requested("overview", organizationId="x"), (), lambda *_: {}).answer
    assert answer["error"] == "invalid"


def test_csv_is_shown_as_an_invocation_answers_it() -> None:
    as_of = {"at": "2026-11-02T09:00:00Z", "version": 7}
    headers = {"content-type": "text/csv; charset=utf-8", "perminute-as-of": json.dumps(as_of)}
    assert answer_in(headers, "a,b\r\n") == {"asOf": as_of, "csv": "a,b\r\n"}
    assert answer_in({"content-type": "application/json"}, "{}") == {}


def test_every_report_is_found_by_its_name() -> None:
    for name in REPORTS:
        endpoint = endpoint_of(name)
        assert endpoint is not None
        assert (endpoint.name, endpoint.method, endpoint.path) == (name, "GET", PATH)
        assert endpoint.summary
        assert name not in BY_NAME
    assert endpoint_of("sales") is None
