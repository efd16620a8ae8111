"""Reports over HTTP and by invocation: who may read them, and how they are sent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, holding, lot
from reports import asked, by_token, http_request, invoked, reader_of

from perminute.adapters.memory import InMemoryStore
from perminute.api.reports import responses
from perminute.api.reports.documents import AsOf, CsvDocument
from perminute.api.reports.responses import response_of
from perminute.domain.errors import Refused, Unavailable
from perminute.settings import TokenSettings

if TYPE_CHECKING:
    from perminute.application.reporting.reader import ReportReader

OVERVIEW = http_request("overview")


@pytest.fixture
def store() -> InMemoryStore:
    store = InMemoryStore()
    store.accounts["contoso"] = holding(lot("1", 5_000_000))
    return store


@pytest.fixture
def reader(store: InMemoryStore) -> ReportReader:
    return reader_of(store)


def test_a_report_is_the_same_over_http_and_by_invocation(reader: ReportReader) -> None:
    status, headers, document = asked(reader, OVERVIEW)
    assert (status, document["asOf"]) == (200, {"at": "2026-11-02T09:00:00Z", "version": 7})
    assert json.loads(headers["perminute-as-of"]) == document["asOf"]
    assert headers["cache-control"] == "private, no-cache"
    assert invoked(reader, {"operation": "overview", "organizationId": "contoso"}) == document


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("reader", 200),
        ("[reader numbers]", 200),
        ("numbers reader", 200),
        ("admin,reader", 200),
        (["reader"], 200),
        ('["reader","numbers"]', 200),
        ("readers", 403),
        ("numbers", 403),
        ("", 403),
        (None, 403),
        (["proofreader"], 403),
        ({"reader": True}, 403),
    ],
)
def test_a_token_must_have_the_role_of_a_reader(
    reader: ReportReader, role: Any, status: int
) -> None:
    assert asked(reader, by_token(OVERVIEW, role=role))[0] == status
    assert asked(reader, by_token(OVERVIEW, role=role, organizationId="fabrikam"))[0] == 403


def test_a_token_without_the_claim_is_told_what_it_lacks(reader: ReportReader) -> None:
    _, headers, answer = asked(reader, by_token(OVERVIEW))
    message = "the token may not read reports: its claim role must contain reader"
    assert answer == {"error": "forbidden", "message": message}
    assert headers["cache-control"] == "no-store"


def test_where_tokens_are_required_a_signature_is_none(reader: ReportReader) -> None:
    required = TokenSettings("organizationId", required=True)
    assert asked(reader, OVERVIEW, required)[0] == 403
    assert asked(reader, by_token(OVERVIEW, role="reader"), required)[0] == 200


def test_an_unknown_organization_has_an_empty_answer(reader: ReportReader) -> None:
    status, _, answer = asked(reader, http_request("overview", organization_id="nobody"))
    assert (status, answer["asOf"]["version"], answer["balance"]) == (200, 0, "0")
    assert (answer["lots"], answer["currency"], answer["autoRecharge"]) == ([], None, None)


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (http_request("sales"), 404, 'there is no report "sales"; there are overview'),
        ({**OVERVIEW, "routeKey": "$default"}, 404, 'there is no report ""'),
        ({**OVERVIEW, "requestContext": {}}, 400, "requestContext.timeEpoch: is required"),
        (http_request("overview", organization_id=""), 400, "organizationId: must have 1 to 250"),
        (http_request("overview", organization_id="a/b"), 400, "organizationId: must have no sl"),
        ({**OVERVIEW, "queryStringParameters": {"\ud800": ""}}, 400, "body: has a name or a value"),
    ],
)
def test_a_request_that_asks_for_no_report_is_refused(
    reader: ReportReader, event: dict[str, Any], status: int, message: str
) -> None:
    refused, _, answer = asked(reader, event)
    assert (refused, answer["message"][: len(message)]) == (status, message)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (5, "event: must be a JSON object"),
        ({}, "operation: is required; organizationId: is required"),
        ({"operation": "sales", "organizationId": "x"}, 'there is no report "sales"'),
        ({"operation": "overview", "organizationId": ""}, "organizationId: must not be empty"),
    ],
)
def test_an_invocation_that_asks_for_no_report_is_refused(
    reader: ReportReader, event: object, message: str
) -> None:
    assert invoked(reader, event)["message"].startswith(message)


def test_what_fails_behind_us_is_not_shown(
    reader: ReportReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise Unavailable("reading table-123: it is full")

    monkeypatch.setattr(InMemoryStore, "account_state", broken)
    status, headers, answer = asked(reader, OVERVIEW)
    assert (status, answer["error"], headers["retry-after"]) == (503, "unavailable", "1")
    assert "table-123" not in answer["message"]


def test_who_has_what_has_not_changed_is_told_so(
    store: InMemoryStore, reader: ReportReader
) -> None:
    tag = asked(reader, OVERVIEW)[1]["etag"]
    later = http_request("overview", at=ANSWERED + timedelta(minutes=5))
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        event = {**later, "headers": {"if-none-match": known}}
        status, headers, content = asked(reader, event)
        assert (status, content, headers["etag"]) == (304, "", tag)
        assert json.loads(headers["perminute-as-of"])["at"] == "2026-11-02T09:05:00Z"
    store.accounts["contoso"] = holding(lot("1", 4_000_000), version=8)
    status, headers, _ = asked(reader, {**later, "headers": {"if-none-match": tag}})
    assert status == 200
    assert headers["etag"] != tag


CSV = CsvDocument(as_of=AsOf(at="2026-11-02T09:00:00Z", version=7), csv="a,b\r\n" * 1_000)


@pytest.mark.parametrize(
    ("accepts", "compressed"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("GZIP", True),
        ("*", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("x-gzip-not", False),
        ("", False),
    ],
)
def test_a_long_answer_is_compressed_for_who_accepts_it(
    accepts: str,
    compressed: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    response = response_of(CSV, {"accept-encoding": accepts})
    assert response.is_base64_encoded is compressed
    assert ("content-encoding" in response.headers) is compressed
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["etag"] == response_of(CSV, {}).headers["etag"]
    short = CsvDocument(as_of=CSV.as_of, csv="a\r\n")
    assert response_of(short, {"accept-encoding": "gzip"}).body == "a\r\n"


def test_an_answer_that_a_function_cannot_send_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_ANSWER_BYTES", 4_000)
    with pytest.raises(Refused, match="ask for a shorter period or for fewer groups"):
        response_of(CSV, {})
    assert response_of(CSV, {"accept-encoding": "gzip"}).is_base64_encoded


def test_nothing_that_was_sent_ends_the_function(reader: ReportReader) -> None:
    nonsense: tuple[Any, ...] = (None, 5, [], "x")
    for claims in nonsense:
        context = {"timeEpoch": 0, "authorizer": {"jwt": {"claims": claims}}}
        required = TokenSettings("org", required=True)
        assert asked(reader, {**OVERVIEW, "requestContext": context}, required)[0] == 403
