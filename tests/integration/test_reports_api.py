"""The reports' own handler on moto, asked over HTTP and by invocation."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from botocore.client import BaseClient
from charging import ROOT, System, sample

from perminute.api.endpoints import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack

BY_TOKEN = json.loads((ROOT / "events" / "read-report.http.v1.json").read_text())
INVOKED = json.loads((ROOT / "events" / "read-report.invocation.v1.json").read_text())


@pytest.fixture
def system(ready_stack: Stack) -> System:
    return System(ready_stack)


def read(system: System, report: str = "overview", **changed: Any) -> dict[str, Any]:
    path = {"organizationId": "contoso", "report": report}
    answer = system.raw({**BY_TOKEN, "pathParameters": path, **changed})
    assert answer["statusCode"] == 200
    document: dict[str, Any] = json.loads(answer["body"])
    return document


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the requests to DynamoDB, by operation."""
    requests, make = Counter[str](), vars(BaseClient)["_make_api_call"]

    def recorded(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        requests[operation] += 1
        return make(client, operation, request)

    with patch.object(BaseClient, "_make_api_call", recorded):
        yield requests


def test_the_overview_agrees_with_what_bridges_are_told_of_the_balance(system: System) -> None:
    system.authorize()
    overview, balance = read(system), system.balance()
    same = ("balance", "reserved", "available", "currency", "calls", "spentToday")
    assert [overview[name] for name in same] == [balance[name] for name in same]
    assert (overview["balance"], overview["reserved"]) == ("250", "0.15")
    assert overview["lots"] == [
        {"purchaseId": "po-1001", "remaining": "250", "expiresAt": "2027-10-30T12:02:00Z"}
    ]
    function = system.loaded(system.stack.serving(BY_TOKEN["routeKey"]))
    invoked = function.call(INVOKED)
    assert invoked is not None
    assert invoked.keys() == overview.keys()
    assert (invoked["asOf"]["version"], invoked["lots"]) == (
        overview["asOf"]["version"],
        overview["lots"],
    )


def test_an_overview_takes_two_requests_and_a_third_for_further_lots(system: System) -> None:
    read(system)
    with counted() as requests:
        read(system)
    assert requests == {"TransactGetItems": 1, "Query": 1}
    for number in range(9):
        bought = json.loads(sample("credit-purchased", purchaseId=f"po-{number}"))
        system.send("CreditQueue", json.dumps({**bought, "id": f"e-{number}"}))
    with counted() as requests:
        overview = read(system)
    assert requests == {"TransactGetItems": 1, "Query": 2}
    assert len(overview["lots"]) == 10


def test_a_page_of_calls_reads_their_numbers_in_one_request(system: System) -> None:
    system.send("CallsQueue", *(sample("call-ended", callId=f"call-{n}") for n in range(30)))
    query = {"queryStringParameters": {"from": "2026-11-02", "to": "2026-11-03"}, "headers": {}}
    with counted() as requests:
        page = read(system, "calls", **query)
    # The account, lists, revisions, and all records together.
    assert requests == {"GetItem": 1, "Query": 2, "BatchGetItem": 1}
    assert len(page["calls"]) == 30
    assert all(call["number"] for call in page["calls"])


def test_whether_another_organization_exists_is_not_told(system: System) -> None:
    bought = json.loads(sample("credit-purchased", organizationId="fabrikam"))
    system.send("CreditQueue", json.dumps({**bought, "id": "e-fabrikam"}))
    known, unknown = (
        system.raw({**BY_TOKEN, "pathParameters": {"organizationId": name, "report": "overview"}})
        for name in ("fabrikam", "nobody-has-heard-of-it")
    )
    assert known["statusCode"] == 403
    assert known == unknown


def test_a_token_of_a_bridge_reads_no_report_and_that_of_a_reader_charges_nothing(
    system: System,
) -> None:
    context = json.loads(json.dumps(BY_TOKEN["requestContext"]))
    del context["authorizer"]["jwt"]["claims"]["role"]
    assert system.raw({**BY_TOKEN, "requestContext": context})["statusCode"] == 403
    # By the charging function there is no such route, nor one of charging by the other.
    path = {"organizationId": "contoso"}
    other = {**BY_TOKEN, "routeKey": BY_NAME["balance"].route_key, "pathParameters": path}
    function = system.loaded(system.stack.serving(BY_TOKEN["routeKey"]))
    answer = function.call(other)
    assert answer is not None
    assert answer["statusCode"] == 404


def test_a_call_that_was_charged_is_explained_in_four_requests(system: System) -> None:
    system.send("CallsQueue", sample("call-ended", callId="call-1"))
    query = {"queryStringParameters": {"callId": "call-1"}, "headers": {}}
    read(system, "explanation", **query)
    with counted() as requests:
        explanation = read(system, "explanation", **query)
    # The account, the call, its list and waiting re-ratings; licenses and card are known by now.
    assert requests == {"GetItem": 1, "TransactGetItems": 1, "Query": 2}
    assert (explanation["agrees"], explanation["charge"]["amount"]) == (True, "0.435")
    assert explanation["movements"][0]["at"] == "2026-11-02T09:31:00Z"
    function = system.loaded(system.stack.serving(BY_TOKEN["routeKey"]))
    asked = {"operation": "explanation", "organizationId": "contoso", "callId": "call-1"}
    invoked = function.call(asked)
    assert invoked is not None
    assert invoked["sentences"] == explanation["sentences"]
