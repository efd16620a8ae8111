"""The charging API's own handler on moto, asked over HTTP and by invocation."""

from __future__ import annotations

import io
import json
import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from charging import ROOT, System, sample

from perminute.api.serving import MAX_BODY_BYTES
from perminute.observability import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack

CALL = "b6c1a0f4-7a3e-4a5f-8f0a-0c2d1e3f4a5b"
NUMBER = "+493023125042"


@pytest.fixture
def system(ready_stack: Stack) -> System:
    return System(ready_stack)


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
            'operation: must be "authorize", "balance", "call", "callsUnderWay", "price", '
            '"release" or "update"',
        ),
        ({**event, "callId": None}, "callId: is required"),
        ({**event, "organizationId": ""}, "organizationId: must not be empty"),
        ({**update, "usedSeconds": -1}, "usedSeconds: must be a whole number from 0 to 86400"),
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
    ("organizer", "outcome", "reason", "amounts"),
    [
        ({}, None, "currencyMismatch", (60, "0.05", "0", "0.05", "EUR", None)),
        (
            {"organizerId": "nobody"},
            "notEntitled",
            "noLicense",
            (60, "0.05", "0", "0.05", "EUR", "0"),
        ),
        (
            {"organizerId": "adele"},
            "unrated",
            "currencyMismatch",
            (0, None, None, None, "EUR", "0"),
        ),
    ],
)
def test_a_price_in_another_currency_is_stated_unless_credit_has_to_pay_it(
    system: System,
    organizer: dict[str, str],
    outcome: str | None,
    reason: str,
    amounts: tuple[int | str | None, ...],
) -> None:
    query = {"legType": "dialOut", "number": "+39061234567", "seconds": "60", **organizer}
    status, price = system.ask("price", method="GET", queryStringParameters=query)
    assert (status, price["outcome"], price["reason"]) == (200, outcome, reason)
    names = ("billedSeconds", "ratePerMinute", "connectionFee", "retailCost", "currency", "charge")
    assert tuple(price[name] for name in names) == amounts


def test_an_answer_about_a_call_in_another_currency_states_no_rate_that_credit_cannot_pay(
    system: System,
) -> None:
    status, answer = system.authorize(remoteNumber="+39061234567")
    assert (status, answer["reason"]) == (200, "currencyMismatch")
    assert (answer["ratePerMinute"], answer["connectionFee"], answer["currency"]) == (
        None,
        None,
        "EUR",
    )
    system.send("CallsQueue", sample("call-ended", callId=CALL, remoteNumber="+39061234567"))
    status, answer = system.ask("release", {"sequence": 1, "usedSeconds": 60})
    assert (status, answer["ratePerMinute"], answer["currency"]) == (200, None, "EUR")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sequence": ...}, "sequence: is required"),
        ({"sequence": "0"}, "sequence: must be a whole number"),
        ({"sequence": True}, "sequence: must be a whole number"),
        ({"sequence": -1}, "sequence: must be a whole number from 0 to 1000000"),
        (
            {"legType": "satellite"},
            'legType: must be "tollDialIn", "tollFreeDialIn", "dialOut" or "app"',
        ),
        ({"remoteNumber": "030 23125042"}, "remoteNumber: must be an E.164 number"),
        ({"remoteNumber": ...}, "remoteNumber: is required for dialOut"),
        ({"organizerId": ""}, "organizerId: must not be empty"),
        ({"requestedSeconds": 0}, "requestedSeconds: must be a whole number from 1 to 86400"),
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


ASKED_AT_NINE = {
    "callId": CALL,
    "state": "underWay",
    "sequence": 0,
    "operation": "authorize",
    "requestedSeconds": 600,
    "usedSeconds": None,
    "totalUsedSeconds": 0,
    "grantedSeconds": 600,
    "validUntil": "2026-11-02T09:11:00Z",
    "reportBefore": "2026-11-02T09:10:00Z",
    "hangUpAfterSeconds": 598,
    "finalUnit": False,
    "reason": None,
    "limit": None,
    "authorizedAt": "2026-11-02T09:00:00Z",
    "organizerId": "adele",
    "legType": "dialOut",
}
"""What is known of the sample's call."""


def call_at(system: System, hours: int, minutes: int = 0) -> dict[str, Any]:
    """Ask what is known of the call, at a time of the day."""
    midnight = system.http["requestContext"]["timeEpoch"] - 9 * 3_600_000
    at = midnight + (hours * 60 + minutes) * 60_000
    context = {**system.http["requestContext"], "timeEpoch": at}
    status, document = system.ask("calls/{callId}", method="GET", requestContext=context)
    assert status == 200
    return document


def test_a_bridge_that_has_restarted_is_told_what_it_had_known(system: System) -> None:
    system.authorize()
    assert call_at(system, 9) == ASKED_AT_NINE
    _, calls = system.ask("calls", method="GET")
    assert calls == {"calls": [ASKED_AT_NINE], "next": None}
    system.ask("update", {"sequence": 1, "usedSeconds": 540}, after_seconds=540)
    last = {"sequence": 2, "usedSeconds": 5, "requestedSeconds": 60}
    system.ask("update", last, after_seconds=545)
    document = call_at(system, 9, 10)
    assert document == ASKED_AT_NINE | {
        "sequence": 2,
        "operation": "update",
        "requestedSeconds": 60,
        "usedSeconds": 5,
        "totalUsedSeconds": 545,
        "grantedSeconds": 115,
        "validUntil": "2026-11-02T09:14:32.500000Z",
        "reportBefore": "2026-11-02T09:11:00Z",
        "hangUpAfterSeconds": 658,
    }
    # It is the last request once more, and what comes next.
    again = {name: document[name] for name in ("sequence", "usedSeconds", "requestedSeconds")}
    assert system.ask("update", again, after_seconds=546)[1]["grantedSeconds"] == 115
    release = {"sequence": 3, "usedSeconds": 55}
    assert system.ask("release", release, after_seconds=600)[0] == 200
    released = call_at(system, 9, 10)
    assert (released["state"], released["totalUsedSeconds"]) == ("released", 600)
    assert system.ask("calls", method="GET")[1] == {"calls": [], "next": None}


def test_a_call_whose_bridge_died_is_listed_as_lapsed_until_it_is_charged(system: System) -> None:
    system.authorize()
    assert call_at(system, 9, 21)["state"] == "underWay"
    assert call_at(system, 9, 22)["state"] == "lapsed"
    (listed,) = system.ask("calls", method="GET")[1]["calls"]
    assert listed["callId"] == CALL
    system.send("CallsQueue", sample("call-ended", callId=CALL))
    assert system.ask("calls", method="GET")[1]["calls"] == []
    assert call_at(system, 9) == dict.fromkeys(ASKED_AT_NINE) | {
        "callId": CALL,
        "state": "ended",
        "totalUsedSeconds": 1_728,
        "grantedSeconds": 0,
        "finalUnit": True,
        "authorizedAt": "2026-11-02T09:00:00Z",
        "organizerId": "adele",
        "legType": "dialOut",
    }


def test_a_call_that_was_denied_says_why(system: System) -> None:
    system.send("CreditQueue", sample("credits-configured", dailySpendLimit="0.03"))
    system.authorize()
    system.ask("update", {"sequence": 1, "usedSeconds": 120}, after_seconds=120)
    denied = call_at(system, 9)
    assert (denied["state"], denied["reason"]) == ("denied", "spendLimit")
    assert (denied["limit"], denied["grantedSeconds"]) == ("dailySpendLimit", 0)
    assert system.ask("calls", method="GET")[1]["calls"] == [denied]


def test_of_a_call_that_nobody_asked_for_nothing_is_known(system: System) -> None:
    status, answer = system.ask("calls/{callId}", method="GET")
    assert (status, answer["error"]) == (404, "notFound")
    assert answer["message"].startswith("callId: is not known: nobody has asked to authorize it")
    invoked = {"operation": "call", "organizationId": "contoso", "callId": CALL}
    assert system.raw(invoked) == answer
    system.authorize()
    assert system.raw(invoked)["sequence"] == 0
    del invoked["callId"]
    assert system.raw(invoked)["message"] == "callId: is required"
    # Another organization's calls are its own.
    other = {"organizationId": "fabrikam", "callId": CALL}
    assert system.ask("calls/{callId}", method="GET", pathParameters=other)[0] == 404


def authorize_at_once(system: System, count: int) -> list[str]:
    calls = [f"call-{number}" for number in range(count)]
    for number, call_id in enumerate(calls):
        path = {**system.http["pathParameters"], "callId": call_id}
        context = dict(system.http["requestContext"])
        context["timeEpoch"] += number
        body = json.loads(system.http["body"])
        system.ask("authorize", body, pathParameters=path, requestContext=context)
    return calls


def test_calls_under_way_come_page_by_page_while_some_end_and_others_begin(
    system: System,
) -> None:
    calls = authorize_at_once(system, 5)
    query = {"limit": "2"}
    _, page = system.ask("calls", method="GET", queryStringParameters=query)
    assert [call["callId"] for call in page["calls"]] == calls[:2]
    for call_id in calls[1:3]:
        path = {**system.http["pathParameters"], "callId": call_id}
        system.ask("release", {"sequence": 1, "usedSeconds": 0}, pathParameters=path)
    query["cursor"] = page["next"]
    _, page = system.ask("calls", method="GET", queryStringParameters=query)
    assert [call["callId"] for call in page["calls"]] == calls[3:]
    assert page["next"] is None
    invoked = {"operation": "callsUnderWay", "organizationId": "contoso"}
    found = system.raw(invoked)
    assert [call["callId"] for call in found["calls"]] == [calls[0], *calls[3:]]
    assert found["next"] is None
    found = system.raw(invoked | query | {"limit": 2})
    assert [call["callId"] for call in found["calls"]] == calls[3:]


def test_a_cursor_is_one_of_this_list_or_refused(system: System) -> None:
    authorize_at_once(system, 2)
    query = {"limit": "1"}
    cursor = system.ask("calls", method="GET", queryStringParameters=query)[1]["next"]
    whole = "is none that the list of this organization's calls has answered with"
    for wrong, message in (
        (cursor[:-1], whole),
        (cursor[1:], whole),
        (f"{cursor}=", whole),
        ("é", whole),
        ("AAAA", whole),
        ("", "must be text of 1 to 2048 characters"),
        ("A" * 2_049, "must be text of 1 to 2048 characters"),
    ):
        query["cursor"] = wrong
        status, answer = system.ask("calls", method="GET", queryStringParameters=query)
        assert (status, answer["error"]) == (400, "invalid")
        assert answer["message"].startswith(f"cursor: {message}"), answer
    query["cursor"] = cursor
    other = {"organizationId": "fabrikam"}
    status, answer = system.ask(
        "calls", method="GET", queryStringParameters=query, pathParameters=other
    )
    assert (status, answer["message"][:7]) == (400, "cursor:")
    for limit in ("0", "101", "many"):
        wrong_limit = {"limit": limit}
        status, answer = system.ask("calls", method="GET", queryStringParameters=wrong_limit)
        assert (status, answer["message"].split(":")[0]) == (400, "limit")


def test_the_documents_show_the_list_as_it_is(system: System) -> None:
    text = (ROOT / "docs" / "charging-api.md").read_text()
    _, _, section = text.partition("## After a bridge restarts")
    shown = json.loads(section.partition("```json")[2].partition("```")[0])
    path = {**system.http["pathParameters"], "callId": "c1"}
    body = {**json.loads(system.http["body"]), "requestedSeconds": None}
    assert system.ask("authorize", body, pathParameters=path)[0] == 200
    context = dict(system.http["requestContext"])
    context["timeEpoch"] += 300_000
    report = {"sequence": 1, "usedSeconds": 300}
    system.ask("update", report, pathParameters=path, requestContext=context)
    assert system.ask("calls", method="GET")[1] == shown
