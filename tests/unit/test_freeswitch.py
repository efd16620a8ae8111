"""How channels of FreeSWITCH arrive, and what becomes of them."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from stated_calls import converted, directory

from perminute.sources.outcomes import Leg, Result
from perminute.sources.stated_call import SourceOptions

DIRECTORY = directory(
    "number,+12065550100,contoso,tollDialIn,adele,,",
    "number,+18005550120,contoso,tollFreeDialIn,alex,,",
    "conference,board,contoso,,bianca,board,adHoc",
)
VARIABLES = {
    "uuid": "2F6D3C1A-0000-4000-8000-000000000001",
    "direction": "inbound",
    "answer_uepoch": "1793703605954373",
    "end_uepoch": "1793703673494269",
    "billsec": "68",
    "duration": "75",
    "sip_req_user": "+12065550100",
    "conference_uuid": "conference-1",
    "sip_user_agent": "Example>>>~~~ 100% ü",
}
PROFILES = [
    {"caller_profile": {"caller_id_number": "1000", "destination_number": "conf-board"}},
    {"caller_profile": {"caller_id_number": "+4930901820", "destination_number": "+18005550120"}},
]
ANSWERED = datetime(2026, 11, 3, 11, 0, 5, 954373, tzinfo=UTC)


def document(callflow: object = PROFILES, *, encoded: bool = True, **changes: Any) -> bytes:
    variables = {
        name: quote(value, safe="") if encoded and isinstance(value, str) else value
        for name, value in (VARIABLES | changes).items()
        if value is not None
    }
    channel = {"variables": variables, "callflow": callflow}
    return json.dumps(channel, separators=(",", ":")).encode()


def result_of(body: bytes, **options: Any) -> Result:
    [outcome] = converted("freeswitch-json", body, of=DIRECTORY, options=SourceOptions(**options))
    return outcome.result


def leg(body: bytes, **options: Any) -> Leg:
    result = result_of(body, **options)
    assert isinstance(result, Leg), result
    return result


def reason(body: bytes) -> str:
    result = result_of(body)
    assert not isinstance(result, Leg)
    return result.reason


LEG = leg(document())


def test_a_channel_has_the_seconds_of_billsec_and_times_of_microseconds() -> None:
    assert LEG.call_id == "2f6d3c1a-0000-4000-8000-000000000001"
    assert (LEG.answered_at, LEG.billable_seconds) == (ANSWERED, 68)
    assert LEG.ended_at == datetime(2026, 11, 3, 11, 1, 13, 494269, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"\r\n" + document() + b"\n",
        b"cdr=" + document(),
        b"cdr=" + quote(document()).encode(),
        quote(document()).encode(),
        b"cdr=" + quote(document(), safe=",/:").lower().encode(),
        b"cdr=" + b64encode(document()),
        b64encode(document()) + b"\n",
        # As a parser of forms, and one of mails, leave it.
        b"cdr=" + b64encode(document()).replace(b"+", b" "),
        b"\r\n".join([b64encode(document())[:76], b64encode(document())[76:]]),
        b"[" + document() + b"]",
    ],
)
def test_a_body_is_read_in_each_form(body: bytes) -> None:
    assert b"+" in b64encode(document()), "the base64 has a plus sign"
    assert leg(body) == LEG


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"cdr=",
        b"cdr=%7B",
        b"no base64!",
        b64encode(document())[:-9],
        document()[:-2],
        b"{}",
        b'{"variables": []}',
        document(uuid=""),
        document(uuid=["x"]),
    ],
)
def test_what_is_cut_or_something_else_is_no_record(body: bytes) -> None:
    assert reason(body) == "notACallRecord"


def test_values_are_decoded_by_percent_signs_only() -> None:
    assert leg(document(perminute_meeting="a+b%20c")).meeting_id == "a+b%20c"
    assert leg(document(encoded=False, perminute_meeting="a+b%20c")).meeting_id == "a+b c"


def test_values_that_are_not_encoded_are_left_as_they_are() -> None:
    body = document(encoded=False, perminute_meeting="a+b%20c")
    assert leg(body, encoded_values=False).meeting_id == "a+b%20c"


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, "+12065550100"),
        ({"perminute_service_number": "001 800-555-0120"}, "+18005550120"),
        ({"sip_req_user": None}, "+18005550120"),
        ({"sip_req_user": ""}, "+18005550120"),
    ],
)
def test_the_number_dialed_is_ours_or_that_of_the_first_profile(
    changes: dict[str, Any], number: str
) -> None:
    call = leg(document(**changes))
    assert (call.service_number, call.remote_number) == (number, "+4930901820")


def test_of_a_dial_out_both_numbers_are_those_of_the_first_profile() -> None:
    profile = {"caller_id_number": "+12065550100", "destination_number": "004930901820"}
    call = leg(document([PROFILES[0], {"caller_profile": profile}], direction="outbound"))
    assert call.leg_type == "dialOut"
    assert (call.service_number, call.remote_number) == ("+12065550100", "+4930901820")


@pytest.mark.parametrize("callflow", [None, [], [None], [{"caller_profile": []}], {"a": 1}])
def test_a_channel_without_profiles_withholds_the_caller(callflow: object) -> None:
    assert leg(document(callflow)).remote_number is None


@pytest.mark.parametrize("never", ["0", "", None, 0])
def test_a_channel_that_was_never_answered_has_no_seconds(never: object) -> None:
    call = leg(document(answer_uepoch=never, billsec="0"))
    assert (call.answered_at, call.billable_seconds) == (None, 0)


def test_an_answer_of_less_than_a_second_is_one() -> None:
    assert leg(document(billsec="0")).answered_at == ANSWERED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"conference_uuid": None}, "notConference"),
        ({"conference_uuid": None, "perminute_organizer": "", "direction": "?"}, "notConference"),
        ({"direction": None}, "unknownCallType"),
        ({"perminute_meeting_type": "weekly"}, "unknownCallType"),
        ({"answer_uepoch": "0"}, "invalidTime"),
        ({"end_uepoch": None}, "invalidTime"),
        ({"end_uepoch": "2026-11-03 11:00:00"}, "invalidTime"),
        ({"billsec": "-1"}, "invalidDuration"),
        ({"end_uepoch": "1793703605954372"}, "endBeforeStart"),
        ({"sip_req_user": "1002"}, "unknownServiceNumber"),
    ],
)
def test_a_channel_that_is_no_call_says_why(changes: dict[str, Any], expected: str) -> None:
    assert reason(document(**changes)) == expected


@pytest.mark.parametrize("name", ["conference_name", "conference_member_id", "perminute_organizer"])
def test_one_variable_of_a_conference_or_of_ours_is_enough(name: str) -> None:
    changes: dict[str, Any] = {"conference_uuid": None, name: "1"}
    assert leg(document(**changes)).call_id == LEG.call_id


def test_the_direction_may_be_that_of_the_channel() -> None:
    channel = json.loads(document(direction=None)) | {"channel_data": {"direction": "inbound"}}
    assert leg(json.dumps(channel).encode()) == LEG


def test_the_room_completes_what_our_variables_do_not_say() -> None:
    call = leg(document(conference_name="board"))
    assert (call.organizer_id, call.meeting_id, call.meeting_type) == ("bianca", "board", "adHoc")
    call = leg(document(conference_name="board", perminute_organizer="lee", perminute_meeting="m"))
    assert (call.organizer_id, call.meeting_id) == ("lee", "m")


def test_a_meeting_that_nobody_names_is_the_conference() -> None:
    assert LEG.meeting_id == "conference-1"
