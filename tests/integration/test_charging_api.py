"""The charging API's own handler on moto, asked over HTTP and by invocation."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from charging import ROOT, System, ready_system, sample

from perminute.api.http import MAX_BODY_BYTES
from perminute.observability import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack

CALL = "b6c1a0f4-7a3e-4a5f-8f0a-0c2d1e3f4a5b"
NUMBER = "+493023125042"


@pytest.fixture
def system(moto_stack: Stack) -> System:
    return ready_system(moto_stack)


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """What the functions log meanwhile, at every level."""
    log = io.StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before, level = handler.setStream(log), logger.log_level
    logger.setLevel("DEBUG")
    try:
        yield log
    finally:
        logger.setLevel(level)
        handler.setStream(before or sys.stderr)


def test_a_call_from_its_authorization_to_its_charge(system: System) -> None:
    status, answer = system.authorize()
    assert status == 200
    assert answer == {
        "sequence": 0,
        "decision": "allow",
        "reason": None,
        "grantedSeconds": 600,
        "validUntil": "2026-11-02T09:11:00Z",
        "reportBefore": "2026-11-02T09:10:00Z",
        "hangUpAfterSeconds": 598,
        "remainingSeconds": 86_400,
        "finalUnit": False,
        "paidBy": "credits",
        "ratePerMinute": "0.015",
        "connectionFee": "0",
        "currency": "USD",
        "limit": None,
        "failureHandling": "closed",
    }
    assert (system.balance()["balance"], system.balance()["reserved"]) == ("250", "0.15")
    status, answer = system.ask("update", {"sequence": 1, "usedSeconds": 540}, after_seconds=540)
    assert (status, answer["grantedSeconds"]) == (200, 600)
    release = {"sequence": 2, "totalUsedSeconds": 605}
    status, answer = system.ask("release", release, after_seconds=605)
    assert (status, answer["grantedSeconds"]) == (200, 0)
    assert system.balance()["reserved"] == "0.165"
    ended = sample(
        "call-ended",
        callId=CALL,
        answeredAt="2026-11-02T09:00:00Z",
        endedAt="2026-11-02T09:10:05Z",
        billableSeconds=605,
    )
    system.send("CallsQueue", ended, ended)
    assert system.balance() == {
        "organizationId": "contoso",
        "at": "2026-11-02T09:00:00Z",
        "currency": "USD",
        "balance": "249.835",
        "reserved": "0",
        "available": "249.835",
        "calls": 0,
        "spentToday": "0.165",
        "dailySpendLimit": None,
        "maxConcurrentCalls": None,
    }


def test_the_end_of_a_call_gives_back_what_it_has_reserved_without_a_release(
    system: System,
) -> None:
    system.authorize()
    system.send("CallsQueue", sample("call-ended", callId=CALL))
    assert system.balance()["reserved"] == "0"
    assert system.ask("update", {"sequence": 1, "usedSeconds": 60})[1]["reason"] == "callEnded"
    status, answer = system.ask("release", {"sequence": 1, "usedSeconds": 60})
    assert (status, answer["ratePerMinute"], answer["currency"]) == (200, "0.015", "USD")
    status, answer = system.authorize(sequence=1)
    assert (status, answer["error"]) == (409, "conflict")


def test_the_same_request_again_has_the_same_answer_and_another_is_a_conflict(
    system: System,
) -> None:
    first = system.authorize()
    assert system.authorize() == first
    assert system.balance()["reserved"] == "0.15"
    status, answer = system.authorize(requestedSeconds=60)
    assert (status, answer["error"]) == (409, "conflict")
    assert answer["message"].startswith("sequence: 0 was used for another request")


def test_the_same_by_invoking_the_function(system: System) -> None:
    event = json.loads((ROOT / "events" / "authorize-call.invocation.v1.json").read_text())
    answer = system.raw(event)
    assert (answer["decision"], answer["grantedSeconds"]) == ("allow", 600)
    assert system.raw({**event, "operation": "balance"})["reserved"] == "0.15"
    update = {**event, "operation": "update", "sequence": 1, "usedSeconds": 0}
    assert system.raw(update)["decision"] == "allow"
    for wrong, message in (
        (
            {**event, "operation": "refund"},
            "operation: must be one of authorize, update, release",
        ),
        ({**event, "callId": None}, "callId: is required"),
        ({**event, "organizationId": ""}, "organizationId: must not be empty"),
        ({**update, "usedSeconds": -1}, "usedSeconds: must be at least 0"),
    ):
        answer = system.raw(wrong)
        assert answer["error"] == "invalid"
        assert answer["message"].startswith(message), answer
    for nonsense in ([1], "x", None, 5):
        answer = system.raw(nonsense)
        assert answer == {"error": "invalid", "message": "event: must be a JSON object"}


def test_what_a_call_would_cost_touches_nothing(system: System) -> None:
    before = system.balance()
    query = {"legType": "dialOut", "number": NUMBER, "seconds": "90", "organizerId": "adele"}
    status, price = system.ask("price", method="GET", queryStringParameters=query)
    assert status == 200
    assert price == {
        "legType": "dialOut",
        "seconds": 90,
        "at": "2026-11-02T09:00:00Z",
        "billedSeconds": 120,
        "prefix": "49",
        "country": "DE",
        "ratePerMinute": "0.015",
        "connectionFee": "0",
        "retailCost": "0.03",
        "currency": "USD",
        "outcome": "charged",
        "reason": None,
        "poolMinutes": 0,
        "charge": "0.03",
        "flags": [],
    }
    nobody = {"legType": "dialOut", "number": "+19005550100"}
    _, price = system.ask("price", method="GET", queryStringParameters=nobody)
    assert (price["retailCost"], price["reason"], price["outcome"], price["charge"]) == (
        None,
        "blockedNumber",
        None,
        None,
    )
    stranger = {**query, "organizerId": "nobody"}
    _, price = system.ask("price", method="GET", queryStringParameters=stranger)
    assert (price["outcome"], price["reason"], price["charge"]) == (
        "notEntitled",
        "noLicense",
        "0",
    )
    assert system.balance() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sequence": ...}, "sequence: is required"),
        ({"sequence": "0"}, "sequence: must be a whole number"),
        ({"sequence": True}, "sequence: must be a whole number"),
        ({"sequence": -1}, "sequence: must be at least 0"),
        (
            {"legType": "satellite"},
            "legType: must be one of tollDialIn, tollFreeDialIn, dialOut",
        ),
        ({"remoteNumber": "030 23125042"}, "remoteNumber: must be an E.164 number"),
        ({"remoteNumber": ...}, "remoteNumber: is required for dialOut"),
        ({"organizerId": ""}, "organizerId: must not be empty"),
        ({"requestedSeconds": 0}, "requestedSeconds: must be at least 1"),
        ({"organizationId": "fabrikam"}, "organizationId: is another one than in the path"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_by_field(
    system: System, changed: dict[str, Any], message: str
) -> None:
    status, answer = system.authorize(**changed)
    assert (status, answer["error"]) == (400, "invalid")
    assert answer["message"].startswith(message), answer


@pytest.mark.parametrize(
    ("event", "status", "error"),
    [
        ({"body": "not JSON"}, 400, "invalid"),
        ({"body": "[]"}, 400, "invalid"),
        ({"body": None}, 400, "invalid"),
        ({"body": "\ud800"}, 400, "invalid"),
        ({"body": "e30=!", "isBase64Encoded": True}, 400, "invalid"),
        ({"body": '"' + "x" * MAX_BODY_BYTES + '"'}, 413, "tooLarge"),
        ({"pathParameters": {"organizationId": "contoso", "callId": "x" * 251}}, 400, "invalid"),
        ({"routeKey": "$default"}, 404, "notFound"),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(
    system: System, event: dict[str, Any], status: int, error: str
) -> None:
    answer = system.raw({**system.http, **event})
    assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (status, error)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"organizationId": "contoso"}, 200),
        ({"organizationId": "fabrikam"}, 403),
        ({"organizationId": "Contoso"}, 403),
        ({"organizationId": ["contoso"]}, 403),
        ({"sub": "contoso"}, 403),
        ({}, 403),
        (None, 403),
    ],
)
def test_a_token_opens_the_path_of_its_own_organization_only(
    system: System, claims: dict[str, Any] | None, status: int
) -> None:
    context = {**system.http["requestContext"], "authorizer": {"jwt": {"claims": claims}}}
    answer = system.raw({**system.http, "requestContext": context})
    assert answer["statusCode"] == status
    if status == 403:
        assert system.balance()["reserved"] == "0"


def test_no_line_of_the_log_holds_a_phone_number(system: System) -> None:
    national = NUMBER[3:]
    with logged() as log:
        system.authorize()
        system.authorize(requestedSeconds=60)
        system.authorize(sequence=1, remoteNumber=f"0049{national}")
        system.ask("authorize", json.dumps({"remoteNumber": NUMBER}))
        system.ask("authorize", f"{{{NUMBER}")
        query = {"legType": "dialOut", "number": NUMBER, "seconds": NUMBER}
        system.ask("price", method="GET", queryStringParameters=query)
        denied = {**system.http["pathParameters"], "callId": "other"}
        body = {**json.loads(system.http["body"]), "organizerId": "nobody"}
        system.ask("authorize", body, pathParameters=denied)
        system.raw({"operation": "price", "organizationId": "contoso", "number": NUMBER})
        system.authorize(legType=NUMBER)
        system.raw({"operation": NUMBER[3:], "organizationId": "contoso"})
    lines = log.getvalue()
    assert "call denied" in lines
    assert lines.count("request not answered") >= 5
    assert national not in lines


def test_limits_are_configured_by_events_and_told(system: System) -> None:
    configured = sample("credits-configured", dailySpendLimit="0.03", maxConcurrentCalls=5)
    system.send("CreditQueue", configured)
    assert system.authorize()[1]["grantedSeconds"] == 120
    assert system.balance()["dailySpendLimit"] == "0.03"
    other = {**system.http["pathParameters"], "callId": "other"}
    body = json.loads(system.http["body"])
    _, answer = system.ask("authorize", body, pathParameters=other)
    assert (answer["reason"], answer["limit"]) == ("spendLimit", "dailySpendLimit")
