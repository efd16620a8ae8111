"""What fuzzing found at the door of the charging API: each is refused in words, and answered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from builders import card

from perminute.adapters.memory import PublishedRateCards
from perminute.api.endpoints import BY_NAME
from perminute_local.replay.requests import http_event
from perminute_local.simulation.twin_functions import Shared, twinned_functions
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from perminute_local.replay.lambda_runtime import LoadedFunction

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
IDS = {"organizationId": "contoso", "callId": "c-1"}
NO_TEXT = {"error": "invalid", "message": "body: has a name or a value that is no Unicode text"}


@pytest.fixture(scope="module")
def api() -> LoadedFunction:
    return twinned_functions(load_template(), Shared(PublishedRateCards(card())))[
        "AuthorizeCallsFunction"
    ]


def asked(api: LoadedFunction, endpoint: str, **event: Any) -> tuple[int, dict[str, Any]]:
    answer = api.call(http_event(BY_NAME[endpoint], IDS, {}, AT) | event)
    assert answer is not None
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("event", [{"\ud800": 1}, {"operation": "balance", "x": ["\ud800"]}])
def test_half_a_surrogate_pair_is_no_text(api: LoadedFunction, event: dict[str, Any]) -> None:
    assert api.call(event) == NO_TEXT


def test_nor_is_it_one_in_what_pretends_to_come_over_http(api: LoadedFunction) -> None:
    assert asked(api, "balance", pathParameters={"organizationId": "\ud800"}) == (400, NO_TEXT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requestContext": {}}, "timeEpoch: is required"),
        ({"requestContext": {"timeEpoch": 10**30}}, None),
        ({"pathParameters": ["contoso"]}, None),
        ({"body": {"sequence": 0}}, "body: must be text"),
    ],
)
def test_what_api_gateway_would_not_send_is_refused(
    api: LoadedFunction, change: dict[str, Any], message: str | None
) -> None:
    status, answer = asked(api, "authorize", **change)
    assert (status, answer["error"]) == (400, "invalid")
    assert message is None or answer["message"] == message


def test_base64_is_ascii(api: LoadedFunction) -> None:
    status, answer = asked(api, "authorize", isBase64Encoded=True, body="é")
    assert status == 400
    assert answer["message"] == "body: is not base64, although the event says so"


def test_an_organization_that_the_path_does_not_name_is_none(api: LoadedFunction) -> None:
    status, answer = asked(api, "balance", pathParameters={})
    assert status == 400
    assert answer["message"].startswith("organizationId: must have 1 to")
