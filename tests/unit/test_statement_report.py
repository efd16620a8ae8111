"""The reports `statement` and `pstn-usage`, asked for over HTTP and by invocation."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import (
    ENDED,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    holds,
    processed_event,
    purchase,
)
from reports import asked, by_token, http_request, invoked, reader_of

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.api.http import invocation_response
from perminute.api.reports.serving import serve_invocation
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.reporting import pstn_usage
from perminute.application.retry import Deadline
from perminute.domain.errors import Contended
from perminute.domain.licensing.licensing import Licensing, LicensingChange
from perminute.formats.csv_output import BYTE_ORDER_MARK
from perminute.formats.pstn_usage import COLUMNS
from perminute.observability import metrics

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.application.reporting.reader import ReportReader

HOSTILE = "=cmd|' /C calc'!A0"
NOVEMBER: dict[str, Any] = {"month": "2026-11"}


@pytest.fixture
def store() -> InMemoryStore:
    """Three calls of the month, and the purchase that pays them."""
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase("@po", 50, purchased_at=ENDED - timedelta(1))])
    parts = InMemoryCalls(store), LicensingCache(store), PublishedRateCards(card())
    ChargeCalls(store, *parts, WITHOUT_WAITING)(
        [
            ended(meeting_id=HOSTILE),
            ended(call_id="-call", remote_number="+442079460100"),
            ended(call_id="a,b", organizer_id="nobody"),
        ]
    )
    return store


@pytest.fixture
def reader(store: InMemoryStore) -> ReportReader:
    return reader_of(store)


def read(text: str) -> list[dict[str, str]]:
    assert text.startswith(BYTE_ORDER_MARK)
    return list(csv.DictReader(io.StringIO(text[1:], newline=""), strict=True))


def test_a_statement_says_what_moved_the_credit_and_what_calls_cost(reader: ReportReader) -> None:
    status, _, statement = asked(reader, http_request("statement", **NOVEMBER))
    assert status == 200
    figures = {
        "calls": 3,
        "connectedSeconds": 1800,
        "billedSeconds": 1800,
        "poolMinutes": 0,
        "charge": "0.3",
        "retailCost": "0.45",
    }
    of_two = {**figures, "calls": 2, "connectedSeconds": 1200, "billedSeconds": 1200}
    of_one = {**figures, "calls": 1, "connectedSeconds": 600, "billedSeconds": 600}
    assert statement == {
        "asOf": {"at": "2026-11-02T09:00:00Z", "version": 3},
        "month": "2026-11",
        "basis": "now",
        "statedAt": "2026-12-04T00:00:00Z",
        "currency": "USD",
        "opening": "0",
        "closing": "49.7",
        "sums": {"purchase": "50", "charge": "-0.3", "expiry": "0", "adjustment": "0"},
        "usage": figures,
        "byLegType": [{"legType": "dialOut", **figures}],
        "byCountry": [
            {"country": "DE", **of_two, "charge": "0.15", "retailCost": "0.3"},
            {"country": "GB", **of_one, "charge": "0.15", "retailCost": "0.15"},
        ],
        "byOrganizer": [
            {"organizerId": "adele", **of_two, "charge": "0.3", "retailCost": "0.3"},
            {"organizerId": "nobody", **of_one, "charge": "0", "retailCost": "0.15"},
        ],
        "bridge": {"charged": "0.3", "forOtherMonths": "0", "bookedLater": "0", "usage": "0.3"},
        "lots": [
            {
                "purchaseId": "@po",
                "bought": "50",
                "used": "0.3",
                "expired": "0",
                "adjusted": "0",
            }
        ],
        "debt": "0",
        "changedCalls": 0,
        "changed": [],
        "agrees": True,
        "differences": [],
    }
    body = {"operation": "statement", "organizationId": ORGANIZATION, **NOVEMBER}
    assert invoked(reader, body) == statement
    stated = invoked(reader, {**body, "basis": "stated"})
    assert stated == {**statement, "basis": "stated"}


def test_a_statement_as_csv_has_a_line_for_each_entry(reader: ReportReader) -> None:
    _, headers, text = asked(reader, http_request("statement", **NOVEMBER, format="csv"))
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert read(text) == [
        {
            "entry": "000000000001",
            "at": "2026-11-01T09:10:00Z",
            "type": "purchase",
            "cause": "purchase#@po",
            "description": "Purchase @po",
            "calls": "0",
            "amount": "50",
            "balance": "50",
            "currency": "USD",
            "lots": "'@po 50",
            "earlierMonth": "",
        },
        {
            "entry": "000000000002",
            "at": "2026-11-02T09:10:00Z",
            "type": "charge",
            "cause": "",
            "description": "Calls",
            "calls": "2",
            "amount": "-0.3",
            "balance": "49.7",
            "currency": "USD",
            "lots": "'@po -0.3",
            "earlierMonth": "",
        },
    ]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "month: is required"),
        ({"month": "2026-13"}, 'month: "2026-13" must be a month such as 2026-11'),
        ({"month": "2026-12"}, 'month: "2026-12" lies in the future: it is 2026-11 now'),
        ({**NOVEMBER, "basis": "then"}, 'basis: "then" must be one of now, stated'),
        (
            {**NOVEMBER, "format": "html"},
            'format: "html" must be json, csv or pdf; perminute statement --format html writes a '
            "page to print",
        ),
        (
            {**NOVEMBER, "format": "pdf"},
            "format: pdf is not available here, since the parameter Statements is off; "
            "perminute statement --format pdf makes it on your machine",
        ),
    ],
)
def test_a_statement_that_cannot_be_made_is_refused(
    reader: ReportReader, query: dict[str, Any], message: str
) -> None:
    status, _, answer = asked(reader, http_request("statement", **query))
    assert (status, answer) == (400, {"error": "invalid", "message": message})


def test_a_statement_that_does_not_agree_says_so_and_is_counted(
    store: InMemoryStore, reader: ReportReader
) -> None:
    account = store.accounts[ORGANIZATION]
    store.accounts[ORGANIZATION] = account._replace(balance_micros=1)
    metrics.clear_metrics()
    statement = asked(reader, http_request("statement", **NOVEMBER))[2]
    assert (statement["agrees"], statement["differences"]) == (
        False,
        ["the balance is 0.000001, but the entries make 49.7"],
    )
    assert "StatementsDiffering" in metrics.metric_set
    metrics.clear_metrics()


def test_an_unknown_organization_has_an_empty_statement(reader: ReportReader) -> None:
    event = http_request("statement", organization_id="nobody", **NOVEMBER)
    status, _, statement = asked(reader, event)
    assert (status, statement["opening"], statement["closing"]) == (200, "0", "0")
    assert (statement["currency"], statement["lots"], statement["agrees"]) == (None, [], True)


@pytest.mark.parametrize("report", ["statement", "pstn-usage"])
def test_a_report_that_takes_too_long_is_not_made(reader: ReportReader, report: str) -> None:
    event = {"operation": report, "organizationId": ORGANIZATION, **NOVEMBER}
    served = serve_invocation(reader, event, Deadline(0, clock=lambda: 1), ENDED)
    assert invocation_response(served.outcome)["error"] == "unavailable"


def test_calls_are_exported_as_microsofts_20_columns(reader: ReportReader) -> None:
    _, headers, text = asked(reader, http_request("pstn-usage", **NOVEMBER))
    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert text[1:].partition("\r\n")[0] == ",".join(COLUMNS)
    rows = read(text)
    shown = ("Call ID", "Conference ID", "User Location", "Caller ID", "Charge", "Capability")
    assert [[row[column] for column in shown] for row in rows] == [
        ["'-call", "meeting-1", "DE", "+442079460100", "0.15", "MCOMEETACPEA"],
        ["a,b", "meeting-1", "", "+493023125042", "0", ""],
        ["call-1", f"'{HOSTILE}", "DE", "+493023125042", "0.15", "MCOMEETACPEA"],
    ]
    body = {"operation": "pstn-usage", "organizationId": ORGANIZATION, **NOVEMBER}
    assert invoked(reader, body) == {"asOf": as_of(3), "csv": text}


def test_the_licenses_of_the_answer_say_what_paid(
    store: InMemoryStore, reader: ReportReader
) -> None:
    subscriber = tuple(holds("subscription", "communicationsCredits").facts)
    change = LicensingChange(ORGANIZATION, "carol", subscriber)
    store.record(ORGANIZATION, [(change, processed_event("carol"))])
    parts = InMemoryCalls(store), LicensingCache(store), PublishedRateCards(card())
    ChargeCalls(store, *parts, WITHOUT_WAITING)([ended(call_id="hers", organizer_id="carol")])
    (row,) = [
        one
        for one in read(asked(reader, http_request("pstn-usage", **NOVEMBER))[2])
        if one["Call ID"] == "hers"
    ]
    assert (row["Capability"], row["Charge"]) == ("MCOPSTNPP", "0.15")


def as_of(version: int) -> dict[str, Any]:
    return {"at": "2026-11-02T09:00:00Z", "version": version}


def test_numbers_are_masked_for_a_token_without_that_role(reader: ReportReader) -> None:
    event = by_token(http_request("pstn-usage", **NOVEMBER), role="reader")
    rows = read(asked(reader, event)[2])
    assert {row["Caller ID"] for row in rows} == {"+44207946****", "+49302312****"}
    assert {row["Destination Number"] for row in rows} == {"+44207946****", "+49302312****"}


def test_parts_of_a_month_are_of_the_version_that_is_asked_for(
    store: InMemoryStore, reader: ReportReader
) -> None:
    day: dict[str, Any] = {"from": "2026-11-02", "to": "2026-11-03"}
    whole = asked(reader, http_request("pstn-usage", **NOVEMBER))[2]
    assert asked(reader, http_request("pstn-usage", **day))[2] == whole
    parts = InMemoryCalls(store), LicensingCache(store), PublishedRateCards(card())
    ChargeCalls(store, *parts, WITHOUT_WAITING)([ended(call_id="later")])
    assert len(read(asked(reader, http_request("pstn-usage", **day))[2])) == 4
    assert asked(reader, http_request("pstn-usage", **day, version="3"))[2] == whole
    none: dict[str, Any] = {"from": "2026-11-03", "to": "2026-11-04"}
    assert read(asked(reader, http_request("pstn-usage", **none))[2]) == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "month: is required, such as 2026-11, or else both from and to"),
        ({"from": "2026-11-02"}, "month: is required, such as 2026-11, or else both from and to"),
        (
            {**NOVEMBER, "from": "2026-11-02", "to": "2026-11-03"},
            "month: names a period, and so do from and to; leave out one",
        ),
        (
            {"from": "2026-11-03", "to": "2026-11-02"},
            'from: "2026-11-03" lies after to, which is "2026-11-02"',
        ),
        ({"month": "2027-01"}, 'month: "2027-01" lies in the future: it is 2026-11 now'),
        ({**NOVEMBER, "version": "4"}, "version: 4 is not reached: it is 3 now"),
        (
            {**NOVEMBER, "version": "-1"},
            'version: "-1" must be a whole number from 0 to 9007199254740991',
        ),
    ],
)
def test_an_export_that_cannot_be_made_is_refused(
    reader: ReportReader, query: dict[str, Any], message: str
) -> None:
    status, _, answer = asked(reader, http_request("pstn-usage", **query))
    assert (status, answer) == (400, {"error": "invalid", "message": message})


def test_more_calls_than_one_answer_contains_are_to_be_asked_for_in_parts(
    reader: ReportReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pstn_usage, "MAX_CALLS", 2)
    status, _, answer = asked(reader, http_request("pstn-usage", **NOVEMBER))
    assert (status, answer["error"]) == (413, "tooLarge")
    assert "ask for parts by from and to, or use perminute pstn-usage" in answer["message"]


def test_licenses_that_are_just_being_changed_are_read_again(
    store: InMemoryStore, reader: ReportReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_licensing, first = store.licensing, iter([Contended("licenses are just being changed")])

    def licensing(organization_id: str, user_ids: Collection[str]) -> Licensing:
        for contended in first:
            raise contended
        return read_licensing(organization_id, user_ids)

    monkeypatch.setattr(store, "licensing", licensing)
    status, _, text = asked(reader, http_request("pstn-usage", **NOVEMBER))
    assert status == 200
    assert len(read(text)) == 3
