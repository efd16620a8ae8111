"""What fuzzing found at the door of the charging API: each is refused in words, and answered."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import card
from charging import sample

from perminute.adapters.memory import PublishedRateCards
from perminute.api.call_documents import cursor_of, read_cursor
from perminute.api.endpoints import BY_NAME
from perminute.api.messages import MAX_CURSOR_LENGTH
from perminute.api.serving import MAX_BODY_BYTES
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.ports.stores import CallPlace
from perminute_local.replay.lambda_runtime import SQSMessage
from perminute_local.replay.links import http_event
from perminute_local.simulation.backends.twin_functions import SharedTwins, load_twins
from perminute_local.stack import load_template

if TYPE_CHECKING:
    from perminute_local.replay.lambda_runtime import LoadedFunction

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
IDS = {"organizationId": "contoso", "callId": "c-1"}
NO_TEXT = {"error": "invalid", "message": "body: has a name or a value that is not Unicode text"}


@pytest.fixture(scope="module")
def api() -> LoadedFunction:
    return load_twins(load_template(), SharedTwins(PublishedRateCards(card())))[
        "AuthorizeCallsFunction"
    ]


NOT_E164 = (
    "must be an E.164 number of 7 to 15 digits such as +14255550100 "
    "(a masked tail such as **** is accepted)"
)


def asked(api: LoadedFunction, endpoint: str, **event: Any) -> tuple[int, dict[str, Any]]:
    answer = api.call(http_event(BY_NAME[endpoint], IDS, {}, AT) | event)
    assert answer is not None
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("event", [{"\ud800": 1}, {"x": ["\ud800"]}])
def test_half_a_surrogate_pair_in_a_field_that_nobody_reads_is_ignored(
    functions: dict[str, LoadedFunction], event: dict[str, Any]
) -> None:
    api = functions["AuthorizeCallsFunction"]
    status, answer = asked(api, "authorize", body=json.dumps({**CALL, **event}))
    assert (status, answer["decision"]) == (200, "allow")
    invoked = api.call({"operation": "balance", "organizationId": "contoso", **event})
    assert invoked is not None
    assert invoked["organizationId"] == "contoso"


@pytest.mark.parametrize("field", ["organizerId", "meetingId", "legType", "callId"])
def test_half_a_surrogate_pair_in_a_field_that_is_read_is_refused_by_name(
    api: LoadedFunction, field: str
) -> None:
    said = {**IDS, **CALL, field: "\ud800"}
    message = f"{field}: is not Unicode text: it has half of a surrogate pair"
    refused = {"error": "invalid", "message": message}
    assert asked(api, "authorize", body=json.dumps(said)) == (400, refused)
    assert api.call({"operation": "authorize", **said}) == refused


@pytest.mark.parametrize("body", ["NaN", '{"x": NaN}', "[" * 3_000, '{"sequence": 0', "\ufeff{}"])
def test_what_is_no_json_is_refused_however_leniently_it_is_read(
    api: LoadedFunction, body: str
) -> None:
    status, answer = asked(api, "authorize", body=body)
    assert (status, answer["message"].split(":")[0]) == (400, "body")


def test_nor_is_it_one_in_what_pretends_to_come_over_http(api: LoadedFunction) -> None:
    assert asked(api, "balance", pathParameters={"organizationId": "\ud800"}) == (400, NO_TEXT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"requestContext": {}}, "requestContext.timeEpoch: is required"),
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


GUID = "9F4FE8EA-7E6E-486E-B8F4-8B3B2F6A5D21"
CALL = {
    "sequence": 0,
    "organizerId": "adele@contoso.com",
    "meetingId": "weekly",
    "meetingType": "scheduled",
    "legType": "dialOut",
    "remoteNumber": "+493023125042",
}


@pytest.fixture
def shared() -> SharedTwins:
    return SharedTwins(PublishedRateCards(card()))


@pytest.fixture
def functions(shared: SharedTwins) -> dict[str, LoadedFunction]:
    """Functions of an organization with credit; events and requests spell its user differently."""
    functions = load_twins(load_template(), shared)
    user = {"userId": "Adele@Contoso.com"}
    told = {
        "ApplyLicensingFunction": [
            sample("organization-changed"),
            json.dumps({**json.loads(sample("user-changed", **user)), "id": "e-1"}),
            json.dumps({**json.loads(sample("license-assigned", **user)), "id": "e-2"}),
            json.dumps(
                {
                    **json.loads(
                        sample("license-assigned", **user, license="communicationsCredits")
                    ),
                    "id": "e-3",
                }
            ),
        ],
        "BookCreditFunction": [sample("credit-purchased")],
    }
    for name, bodies in told.items():
        assert functions[name].invoke([SQSMessage(body) for body in bodies], "arn") == []
    return functions


@pytest.mark.parametrize("organizer", ["adele@contoso.com", "ADELE@contoso.com"])
def test_a_user_of_events_is_the_same_user_at_the_api(
    functions: dict[str, LoadedFunction], organizer: str
) -> None:
    api = functions["AuthorizeCallsFunction"]
    body = {**CALL, "organizerId": organizer}
    status, answer = asked(api, "authorize", body=json.dumps(body))
    assert (status, answer["decision"], answer["reason"]) == (200, "allow", None)
    invoked = api.call({"operation": "authorize", **IDS, "callId": "c-2", **body})
    assert invoked is not None
    assert invoked["decision"] == "allow"
    query = {"legType": "dialOut", "number": "+493023125042", "organizerId": organizer}
    assert asked(api, "price", queryStringParameters=query)[1]["outcome"] == "charged"


def test_a_call_is_the_same_call_in_either_case(
    functions: dict[str, LoadedFunction], shared: SharedTwins
) -> None:
    """The last request again, with its organizer and its call in another case, is a repeat."""
    api = functions["AuthorizeCallsFunction"]
    path = {**IDS, "callId": GUID}
    first = asked(api, "authorize", pathParameters=path, body=json.dumps(CALL))
    body = {**CALL, "callId": GUID, "organizerId": "Adele@Contoso.com"}
    lower = {**IDS, "callId": GUID.lower()}
    assert asked(api, "authorize", pathParameters=lower, body=json.dumps(body)) == first
    # An invocation comes now, long after the grant: it is the same request all the same.
    invoked = api.call({"operation": "authorize", **path, **body})
    assert invoked is not None
    assert invoked["reason"] == "grantLapsed"
    assert shared.store.account("contoso").reserved.calls_at(AT) == 1
    ended = sample("call-ended", callId=GUID, organizerId="Adele@contoso.com")
    functions["ChargeCallsFunction"].invoke([SQSMessage(ended)], "arn")
    assert list(shared.store.usages) == [("contoso", GUID.lower())]
    assert shared.store.account("contoso").reserved.calls_at(AT) == 0


@pytest.mark.parametrize("field", ["organizationId", "callId"])
def test_a_body_may_spell_only_ids_without_case_as_it_likes(
    functions: dict[str, LoadedFunction], field: str
) -> None:
    api = functions["AuthorizeCallsFunction"]
    status, answer = asked(api, "authorize", body=json.dumps({**CALL, field: IDS[field].upper()}))
    message = f"{field}: is another one than in the path; leave it out of the body"
    assert (status, answer["message"]) == (400, message)


@pytest.mark.parametrize("field", ["callId", "organizationId", "organizerId", "meetingId"])
def test_surrounding_spaces_are_refused_at_every_door(
    functions: dict[str, LoadedFunction], field: str
) -> None:
    api = functions["AuthorizeCallsFunction"]
    refused = {"error": "invalid", "message": f"{field}: must not begin or end with a space"}
    spaced = {**IDS, **CALL, field: f"{({**IDS, **CALL})[field]} "}
    assert api.call({"operation": "authorize", **spaced}) == refused
    assert asked(api, "authorize", body=json.dumps(spaced)) == (400, refused)
    if field in IDS:
        path = {**IDS, field: f" {IDS[field]}"}
        assert asked(api, "authorize", pathParameters=path) == (400, refused)
    if field == "organizerId":
        query = {"legType": "dialOut", "number": "+493023125042", "organizerId": " adele"}
        assert asked(api, "price", queryStringParameters=query) == (400, refused)


DIAL_IN = {**CALL, "legType": "tollDialIn", "serviceNumber": "+14255550100"}


@pytest.mark.parametrize(
    "caller",
    [
        *("anonymous", "", "sip:anonymous@anonymous.invalid", "104", "+1206555*****", None),
        *(14255550199, 10**400, True, ["+14255550199"], {"number": None}, "\ud800"),
    ],
)
def test_a_caller_who_withholds_the_number_is_put_through_and_charged(
    functions: dict[str, LoadedFunction], shared: SharedTwins, caller: object
) -> None:
    """Another spelling of withheld is the same request, and the same call."""
    api = functions["AuthorizeCallsFunction"]
    status, answer = asked(api, "authorize", body=json.dumps({**DIAL_IN, "remoteNumber": caller}))
    assert (status, answer["decision"], answer["ratePerMinute"]) == (200, "allow", "0.0085")
    again = {**DIAL_IN, "remoteNumber": "Restricted"}
    assert asked(api, "authorize", body=json.dumps(again)) == (200, answer)
    known = {k: DIAL_IN[k] for k in ("legType", "organizerId", "serviceNumber")}
    for spelled in (caller, "Unavailable"):
        ended = sample("call-ended", callId="c-1", **known, remoteNumber=spelled)
        functions["ChargeCallsFunction"].invoke([SQSMessage(ended)], "arn")
    (usage,) = shared.store.usages.values()
    assert (usage.outcome, usage.call.remote_number) == ("charged", None)
    assert shared.refused["CallsDeadLetters"].stored == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"remoteNumber": "anonymous"}, f"remoteNumber: {NOT_E164}"),
        ({"remoteNumber": "+493023"}, f"remoteNumber: {NOT_E164}"),
        ({"remoteNumber": ""}, f"remoteNumber: {NOT_E164}"),
        ({"legType": "tollDialIn", "serviceNumber": "104"}, f"serviceNumber: {NOT_E164}"),
        (
            {"legType": "tollDialIn", "serviceNumber": None},
            "serviceNumber: is required for tollDialIn: it sets the rate",
        ),
        ({"remoteNumber": 493023125042}, f"remoteNumber: {NOT_E164}"),
        ({"remoteNumber": "+493023125042\ud800"}, f"remoteNumber: {NOT_E164}"),
    ],
)
def test_a_number_that_sets_the_price_and_is_none_is_refused(
    functions: dict[str, LoadedFunction], changed: dict[str, Any], message: str
) -> None:
    api = functions["AuthorizeCallsFunction"]
    refused = {"error": "invalid", "message": message}
    assert asked(api, "authorize", body=json.dumps({**CALL, **changed})) == (400, refused)
    assert api.call({"operation": "authorize", **IDS, **CALL, **changed}) == refused


def test_a_price_is_asked_for_by_a_whole_number(api: LoadedFunction) -> None:
    query = {"legType": "dialOut", "number": "+493023"}
    status, answer = asked(api, "price", queryStringParameters=query)
    message = "number: must be an E.164 number of 7 to 15 digits such as +14255550100"
    assert (status, answer["message"].startswith(message)) == (400, True)


def test_a_whole_number_may_have_a_fraction_of_zero(functions: dict[str, LoadedFunction]) -> None:
    api = functions["AuthorizeCallsFunction"]
    first = asked(api, "authorize", body=json.dumps({**CALL, "requestedSeconds": 60}))
    again = {**CALL, "sequence": 0.0, "requestedSeconds": 60.0}
    assert asked(api, "authorize", body=json.dumps(again)) == first
    invoked = api.call({"operation": "authorize", **IDS, **again})
    assert invoked is not None
    assert invoked["reason"] == "grantLapsed"
    assert (first[0], first[1]["grantedSeconds"]) == (200, 60)
    query = {"legType": "dialOut", "number": "+493023125042", "seconds": "61.0"}
    status, price = asked(api, "price", queryStringParameters=query)
    assert (status, price["seconds"]) == (200, 61)


@pytest.mark.parametrize("written", ["60.5", "true", '"60"', "[60.0]", "1e400"])
def test_what_is_no_whole_number_is_refused(api: LoadedFunction, written: str) -> None:
    body = json.dumps(CALL).replace('"sequence": 0', f'"sequence": {written}')
    status, answer = asked(api, "authorize", body=body)
    assert (status, answer["message"]) == (
        400,
        "sequence: must be a whole number from 0 to 1000000",
    )


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("letter", ["x", "é"])
@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_bytes_of_a_body_are_counted_as_they_were_sent(
    functions: dict[str, LoadedFunction], letter: str, size: int, status: int, *, packed: bool
) -> None:
    """Neither letters count, nor the base64 that API Gateway may make of them."""
    api, sound = functions["AuthorizeCallsFunction"], json.dumps({**CALL, "note": ""})
    note = letter * ((size - len(sound)) // len(letter.encode()))
    note += "x" * (size - len(sound) - len(note.encode()))
    body = sound.replace('"note": ""', f'"note": "{note}"')
    assert len(body.encode()) == size
    sent = base64.b64encode(body.encode()).decode() if packed else body
    answered, answer = asked(api, "authorize", body=sent, isBase64Encoded=packed)
    assert answered == status
    if status == 413:
        message = f"the body must not have more than {MAX_BODY_BYTES} bytes"
        assert answer == {"error": "tooLarge", "message": message}


TOKEN = {"jwt": {"claims": {"organizationId": "contoso"}}}


WITHOUT = "a token is required: this API serves nobody without one"
FOR_ANOTHER = "the token is not for this organization: its claim organizationId must name it"
SIGNED = {"iam": {"accountId": "000000000000"}}


@pytest.mark.parametrize(
    ("authorizer", "required", "refusal"),
    [
        (TOKEN, True, None),
        ({"jwt": {"claims": {"organizationId": "fabrikam"}}}, True, FOR_ANOTHER),
        ({"jwt": {}}, True, FOR_ANOTHER),
        (SIGNED, True, WITHOUT),
        ({}, True, WITHOUT),
        (None, True, WITHOUT),
        (TOKEN, False, None),
        (SIGNED, False, None),
    ],
)
def test_where_tokens_are_required_nobody_is_served_over_http_without_one(
    shared: SharedTwins, authorizer: dict[str, Any] | None, refusal: str | None, *, required: bool
) -> None:
    template = load_template()
    settings = template["Resources"]["AuthorizeCallsFunction"]["Properties"]["Environment"]
    settings["Variables"] |= {
        "ORGANIZATION_CLAIM": "organizationId",
        "TOKENS_REQUIRED": "true" if required else "false",
    }
    api = load_twins(template, shared)["AuthorizeCallsFunction"]
    event = http_event(BY_NAME["balance"], IDS, {}, AT)
    event["requestContext"]["authorizer"] = authorizer
    status, answer = asked(api, "balance", **event)
    if refusal is None:
        assert (status, answer["organizationId"]) == (200, "contoso")
    else:
        assert (status, answer) == (403, {"error": "forbidden", "message": refusal})
    invoked = api.call({"operation": "balance", **IDS})
    assert invoked is not None
    assert invoked["organizationId"] == "contoso"


@pytest.mark.parametrize("call_id", ["c", "a b", "\N{GRINNING FACE}" * MAX_ID_LENGTH])
@pytest.mark.parametrize("since", [AT, AT + timedelta(microseconds=1)])
def test_a_cursor_is_read_back_as_the_place_that_it_names(call_id: str, since: datetime) -> None:
    place = CallPlace(since, call_id)
    cursor = cursor_of("contoso", place)
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it would be escaped in a query"
    assert len(cursor) <= MAX_CURSOR_LENGTH
    assert read_cursor("contoso", cursor) == place
    with pytest.raises(Refused, match="cursor: is none"):
        read_cursor("fabrikam", cursor)


@pytest.mark.parametrize("call_id", ["", "x" * (MAX_ID_LENGTH + 1)])
def test_a_cursor_that_somebody_made_up_asks_dynamodb_for_no_impossible_key(call_id: str) -> None:
    with pytest.raises(Refused, match="cursor: is none"):
        read_cursor("contoso", cursor_of("contoso", CallPlace(AT, call_id)))
