"""What requests of Twilio are signed by, and what becomes of its records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from stated_calls import converted, directory

from perminute.sources.outcomes import Leg, Result
from perminute.sources.stated_call import SourceOptions
from perminute.sources.twilio_signature import is_signed

TOKEN = "12345"  # noqa: S105 - of the examples in Twilio's own tests
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
BODY = urlencode(FORM).encode()
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
JSON_BODY = b'{"property": "value", "boolean": true}'
JSON_URL = f"{URL}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
JSON_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="


def test_a_form_is_signed_with_its_url() -> None:
    assert is_signed(SIGNATURE, TOKEN, URL, BODY)


def test_a_json_body_is_signed_by_its_hash_in_the_url() -> None:
    assert is_signed(JSON_SIGNATURE, TOKEN, JSON_URL, JSON_BODY)


@pytest.mark.parametrize(
    ("token", "url", "body", "signature"),
    [
        ("54321", URL, BODY, SIGNATURE),
        (TOKEN, URL.replace("bar=2", "bar=3"), BODY, SIGNATURE),
        (TOKEN, URL, BODY.replace(b"1234", b"1235", 1), SIGNATURE),
        (TOKEN, URL, BODY + b"&More=", SIGNATURE),
        (TOKEN, URL, BODY, ""),
        (TOKEN, URL, BODY, "é\ud800"),
        (TOKEN, JSON_URL, JSON_BODY + b" ", JSON_SIGNATURE),
        (TOKEN, JSON_URL.replace("0a1", "0a2"), JSON_BODY, JSON_SIGNATURE),
        # A body that no hash in the URL names is a form.
        (TOKEN, URL, JSON_BODY, JSON_SIGNATURE),
        ("", "no url", b"\xff=%ff", SIGNATURE),
    ],
)
def test_what_differs_from_what_was_signed_is_refused(
    token: str, url: str, body: bytes, signature: str
) -> None:
    assert not is_signed(signature, token, url, body)


WITH_PORT = URL.replace(".com/", ".com:443/")


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        (WITH_PORT, SIGNATURE),
        (WITH_PORT, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace(".com/", ".com:8443/"), "ZOaJEsozlsUyzk5k5fpaCxTxXDA="),
        (URL.replace(".com/", ".com:8443/"), SIGNATURE),
    ],
)
def test_a_url_is_signed_with_or_without_its_port(url: str, signature: str) -> None:
    assert is_signed(signature, TOKEN, url, BODY)


def test_of_several_values_of_a_name_each_is_signed_once_and_empty_ones_count() -> None:
    # As Twilio's library signs them.
    body = urlencode([("B", "b"), ("B", "a"), ("a", "ü"), ("B", "b"), ("B", "")]).encode()
    assert is_signed("fhL5GsmnkTbTJY5dHyfeOweemgE=", TOKEN, URL, body)


DIRECTORY = directory(
    "tenant,AC1,contoso,,,,",
    "number,+12065550100,contoso,tollDialIn,adele,,",
    "number,+12065550199,,tollDialIn,,,",
)
CALL = {
    "CallSid": "CA1",
    "AccountSid": "AC1",
    "From": "+4930901820",
    "To": "+12065550100",
    "Direction": "inbound",
    "CallStatus": "completed",
    "Timestamp": "Tue, 03 Nov 2026 09:02:05 +0000",
    "CallDuration": "125",
    "Duration": "3",
}


def posted(url: str = "https://example.com/", **changes: Any) -> Result:
    form = {name: value for name, value in (CALL | changes).items() if value is not None}
    request = {"method": "POST", "url": url, "headers": {}, "body": urlencode(form)}
    return result_of("twilio-callback", request)


def result_of(source: str, record: object, **options: Any) -> Result:
    content = json.dumps(record).encode()
    [outcome] = converted(source, content, of=DIRECTORY, options=SourceOptions(**options))
    return outcome.result


def leg(result: Result) -> Leg:
    assert isinstance(result, Leg), result
    return result


def reason(result: Result) -> str:
    assert not isinstance(result, Leg)
    return result.reason


def test_seconds_are_those_of_call_duration_and_end_at_the_timestamp() -> None:
    call = leg(posted())
    assert call.billable_seconds == 125
    assert call.answered_at == datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
    assert call.ended_at == datetime(2026, 11, 3, 9, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize("status", ["busy", "failed", "no-answer", "canceled"])
@pytest.mark.parametrize("seconds", ["0", "", None])
def test_a_call_that_was_not_answered_is_a_call_of_no_seconds(
    status: str, seconds: str | None
) -> None:
    call = leg(posted(CallStatus=status, CallDuration=seconds))
    assert (call.answered_at, call.billable_seconds) == (None, 0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"CallSid": ""}, "notACallRecord"),
        ({"CallStatus": None}, "notACallRecord"),
        ({"CallStatus": "ringing"}, "notEnded"),
        ({"Direction": "outbound-dial", "To": "client:lee"}, "notConference"),
        ({"Direction": "trunking-originating", "From": "sip:lee@example.com"}, "trunkLeg"),
        ({"From": "whatsapp:+4930901820"}, "notPhone"),
        ({"To": "client:lee", "CallStatus": "ringing"}, "notPhone"),
        ({"Direction": None}, "unknownCallType"),
        ({"Direction": "sideways"}, "unknownCallType"),
        ({"Timestamp": None}, "invalidTime"),
        ({"Timestamp": "Tue, 03 Nov 2026 09:02:05"}, "invalidTime"),
        ({"Timestamp": "Tue, 31 Nov 2026 09:02:05 +0000"}, "invalidTime"),
        ({"CallDuration": None}, "invalidDuration"),
        ({"CallDuration": "86401"}, "tooLong"),
        ({"AccountSid": "AC2"}, "unknownTenant"),
        ({"Direction": "outbound-api", "To": "911"}, "invalidNumber"),
    ],
)
def test_a_callback_that_is_no_call_says_why(changes: dict[str, Any], expected: str) -> None:
    assert reason(posted(**changes)) == expected


@pytest.mark.parametrize(
    "written",
    ["3 Nov 2026 09:02:05 +0000", "Tue, 03 Nov 2026 10:02:05 +0100", "2026-11-03 09:02:05Z"],
)
def test_times_are_rfc_2822_or_iso_8601(written: str) -> None:
    assert leg(posted(Timestamp=written)) == leg(posted())


def test_the_query_of_the_url_names_organization_organizer_and_meeting() -> None:
    query = "organizationId=Fab&organizerId=Lee%40Example.com&meetingId=m%2B1&meetingType=adHoc"
    call = leg(posted(f"https://example.com/?{query}", To="+12065550199", AccountSid="AC2"))
    assert call.organizer_id == "lee@example.com"
    assert (call.organization_id, call.meeting_id, call.meeting_type) == ("Fab", "m+1", "adHoc")


def test_a_meeting_type_that_does_not_exist_is_not_guessed() -> None:
    assert reason(posted("https://example.com/?meetingType=adhoc")) == "unknownCallType"


def test_bytes_that_are_no_text_are_not_replaced() -> None:
    assert reason(posted("https://example.com/?meetingId=%ff")) == "notACallRecord"


def test_of_a_request_by_get_all_is_in_the_query() -> None:
    url = f"https://example.com/?{urlencode(CALL)}&meetingId=m1"
    request = {"method": "GET", "url": url, "headers": {}}
    assert leg(result_of("twilio-callback", request)).meeting_id == "m1"


def test_with_a_token_only_signed_requests_are_calls_and_any_may_be_skipped() -> None:
    request = {"method": "POST", "url": URL, "body": urlencode(CALL)}
    assert reason(result_of("twilio-callback", request, auth_token=TOKEN)) == "invalidSignature"
    request["body"] = urlencode(CALL | {"CallStatus": "ringing"})
    assert reason(result_of("twilio-callback", request, auth_token=TOKEN)) == "notEnded"


@pytest.mark.parametrize("header", ["X-Twilio-Signature", "x-twilio-signature"])
def test_a_signed_request_is_a_call(header: str) -> None:
    request = {
        "method": "POST",
        "url": URL,
        "headers": {header: "j8lxXDCqn2rMKLAjB4DN2Iq+tNk="},
        "body": urlencode(CALL),
    }
    assert leg(result_of("twilio-callback", request, auth_token=TOKEN)).call_id == "CA1"


RESOURCE = {
    "sid": "CA1",
    "account_sid": "AC1",
    "from": "+4930901820",
    "to": "+12065550100",
    "direction": "inbound",
    "status": "completed",
    "start_time": "Tue, 03 Nov 2026 08:59:50 +0000",
    "end_time": "Tue, 03 Nov 2026 09:02:05 +0000",
    "duration": "125",
}


def test_a_resource_is_the_same_call_as_its_callback() -> None:
    assert leg(result_of("twilio-call", RESOURCE)) == leg(posted())


def test_a_resource_without_an_end_ended_when_it_was_updated() -> None:
    resource = RESOURCE | {"end_time": None, "date_updated": RESOURCE["end_time"]}
    assert leg(result_of("twilio-call", resource)) == leg(posted())


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "com.twilio.voice.insights.call-summary.complete", "data": {"call_sid": "CA1"}},
        {"type": "com.twilio.voice.status-callback.call.completed", "data": None},
        {"type": "com.twilio.voice.status-callback.call.completed", "data": {"request": {}}},
    ],
)
def test_events_that_are_no_status_callback_are_no_calls(event: dict[str, Any]) -> None:
    assert reason(result_of("twilio-event-stream", event)) == "notACallRecord"
