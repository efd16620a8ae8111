"""Which posted records are queued, which senders are turned away, and what each is told."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from log_lines import logged
from stated_calls import converted, directory
from webhooks import (
    ACCOUNT,
    BASE_URL,
    CALLBACK,
    CDR,
    EVENTS,
    OTHER,
    SECRET,
    Received,
    body_of,
    callback,
    events,
    sample,
    signed,
    with_body,
    with_header,
)

from perminute import sqs
from perminute.api.webhooks import twilio
from perminute.api.webhooks.requests import NotVerified, WebhookRequest
from perminute.api.webhooks.serving import MAX_BODY_BYTES, MAX_MESSAGE_BYTES
from perminute.api.webhooks.twilio import read_callback, read_events
from perminute.application.record_messages import SentRecords
from perminute.events.records import parse_records_message
from perminute.formats.webhook_secret import WebhookSecret, read_webhook_secret
from perminute.parsing import read_message
from perminute.sources.outcomes import Leg

FORBIDDEN = {"error": "forbidden", "message": "the request is not signed or authorized"}
DIRECTORY = directory(
    f"tenant,{ACCOUNT},contoso,,,,",
    "number,+18005550120,,tollFreeDialIn,,,",
    "number,+12065550100,,tollDialIn,,,",
)


def read_by_ingestion(message: str) -> list[Any]:
    """What becomes of the records of a message, read as `ingest_records` reads it."""
    sent = parse_records_message(message, sqs.Received(None, datetime.now(UTC))).content
    assert isinstance(sent, SentRecords)
    outcomes = converted(sent.source, sent.content, of=DIRECTORY, options=sent.options)
    return [outcome.result for outcome in outcomes]


@pytest.mark.parametrize(
    ("name", "source", "tenant"),
    [
        (CALLBACK, "twilio-callback", ACCOUNT),
        (EVENTS, "twilio-event-stream", ACCOUNT),
        (CDR, "freeswitch-json", None),
    ],
)
def test_a_sample_is_queued_and_becomes_a_call(name: str, source: str, tenant: str | None) -> None:
    received = Received()
    answer = received.answer(sample(name))
    assert answer == {"statusCode": 204, "headers": {"cache-control": "no-store"}}
    [records] = received.records
    path = sample(name)["rawPath"]
    assert (records["source"], records["at"]) == (source, f"{path} Xz1abCdEFgHijKl=")
    assert records.get("tenant") == tenant
    [call] = read_by_ingestion(received.messages[0])
    assert isinstance(call, Leg), call
    assert (call.organization_id, call.organizer_id) == ("contoso", "adele")
    assert call.meeting_id == "weekly-0311"


TOKEN = "12345"  # noqa: S105 - of the examples in Twilio's own tests
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}


def request_signed_by(signature: str) -> WebhookRequest:
    event = with_header(sample(CALLBACK), "x-twilio-signature", signature)
    return read_message(event, WebhookRequest)


def test_the_signatures_of_twilios_own_tests_are_accepted_and_no_other() -> None:
    form, json_url = urlencode(FORM).encode(), f"{URL}&bodySHA256={HASH}"
    # The form of the first names no account.
    secret = WebhookSecret({"": (TOKEN,)}, {}, {})
    right = request_signed_by("RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert read_callback(right, form, URL, secret).source == "twilio-callback"
    body = b'{"property": "value", "boolean": true}'
    of_json = request_signed_by("a9nBmqA0ju/hNViExpshrM61xv4=")
    assert read_events(of_json, body, json_url, secret).content == body
    for request, content, url in (
        (of_json, form, URL),
        (right, form, URL.replace("1", "2")),
        (right, form + b"&A=", URL),
    ):
        with pytest.raises(NotVerified):
            read_callback(request, content, url, secret)
    for request, content, url in (
        (right, body, json_url),
        (of_json, body + b" ", json_url),
        (of_json, body, URL),
    ):
        with pytest.raises(NotVerified):
            read_events(request, content, url, secret)


def basic(credentials: str) -> str:
    return "Basic " + base64.b64encode(credentials.encode()).decode()


@pytest.mark.parametrize(
    "event",
    [
        callback("54321"),  # any of its tokens
        callback("other", AccountSid=OTHER),
        events(ACCOUNT, ACCOUNT),
        events(OTHER, token="other"),  # noqa: S106 - of the secret of the tests
        # A test of the sink, which names no account.
        signed(
            with_body(sample(EVENTS), b'[{"type":"com.twilio.eventstreams.test-event"}]'), "12345"
        ),
        with_header(sample(CDR), "authorization", basic("bridge-1:open barley")),
        with_header(sample(CDR), "authorization", "Bearer k-2"),
        with_header(sample(CDR), "authorization", "bearer k-2"),
        # What is damaged is kept where records are read.
        with_body(sample(CDR), b"cdr=\xff"),
        with_body(sample(CDR), b""),
    ],
)
def test_who_proves_to_be_the_sender_is_served(event: dict[str, Any]) -> None:
    received = Received()
    assert received.status(event) == 204
    assert len(received.messages) == 1


@pytest.mark.parametrize(
    "event",
    [
        callback("other"),  # another account's token
        callback("12345", AccountSid=OTHER),
        callback("12345", AccountSid="AC3"),
        callback("12345", AccountSid=""),
        callback("", AccountSid="AC3"),
        with_header(callback(), "x-twilio-signature", ""),
        with_header(callback(), "x-twilio-signature", "é\ud800"),
        callback() | {"rawQueryString": "organizationId=fabrikam"},
        callback() | {"rawQueryString": ""},
        # Signed for the address of the other route.
        callback() | {"routeKey": "POST /webhooks/twilio/events"},
        # Of two accounts, whichever of them signs.
        events(ACCOUNT, OTHER),
        events(ACCOUNT, OTHER, token="other"),  # noqa: S106 - of the secret of the tests
        events(ACCOUNT, token="other"),  # noqa: S106 - of the secret of the tests
        with_body(events(ACCOUNT), body_of(events(ACCOUNT)) + b" "),
        # Signed as a form, which does not say how it was spelled.
        signed(with_header(sample(EVENTS), "content-type", "") | {"rawQueryString": "a=1"}, TOKEN),
        with_header(sample(CDR), "authorization", ""),
        with_header(sample(CDR), "authorization", "Bearer "),
        with_header(sample(CDR), "authorization", "Bearer k-2 "[:-3]),
        with_header(sample(CDR), "authorization", "Bearer bridge-2"),
        with_header(sample(CDR), "authorization", "Bearer open sesame"),
        with_header(sample(CDR), "authorization", "Digest k-2"),
        with_header(sample(CDR), "authorization", "Basic é"),
        with_header(sample(CDR), "authorization", "Basic /w=="),
        with_header(sample(CDR), "authorization", basic("bridge-1")),
        with_header(sample(CDR), "authorization", basic("bridge-1:")),
        with_header(sample(CDR), "authorization", basic("bridge-2:k-2")),
        with_header(sample(CDR), "authorization", basic(":open sesame")),
    ],
)
def test_who_does_not_is_told_nothing_of_why(event: dict[str, Any]) -> None:
    received = Received()
    answer = received.answer(event)
    assert (answer["statusCode"], json.loads(answer["body"])) == (403, FORBIDDEN)
    assert received.messages == []


def test_the_url_is_that_of_the_configuration_whatever_the_host() -> None:
    received = Received()
    assert received.status(with_header(sample(CALLBACK), "host", "evil.example.com")) == 204
    [line] = map(json.loads, (records["content"] for records in received.records))
    assert line["url"].startswith(f"{BASE_URL}/webhooks/twilio/callback?organizationId=contoso&")
    assert line["headers"] == {}


def test_nothing_is_read_of_events_that_are_not_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of damaged lines, which anybody may send, takes seconds."""
    monkeypatch.setattr(twilio, "json_documents", lambda _: pytest.fail("the body is read"))
    assert Received().status(events(ACCOUNT, token="wrong")) == 403  # noqa: S106 - of nobody


def test_an_event_that_names_no_account_is_of_the_one_that_signed_it() -> None:
    body = json.loads(events(ACCOUNT)["body"] and body_of(events(ACCOUNT)))
    del body[0]["data"]["request"]["parameters"]["AccountSid"]
    received = Received()
    assert (
        received.status(signed(with_body(sample(EVENTS), json.dumps(body).encode()), "other"))
        == 204
    )
    [records] = received.records
    assert records["tenant"] == OTHER


def test_a_rotated_secret_is_read_when_a_signature_fails() -> None:
    received = Received({**SECRET, "twilio": {ACCOUNT: "retired"}})
    received.secret.later = read_webhook_secret(json.dumps(SECRET))
    assert [received.status(callback()) for _ in range(2)] == [204, 204]
    assert received.secret.renewals == 1


@pytest.mark.parametrize("name", [CALLBACK, EVENTS, CDR])
def test_a_body_that_no_message_has_room_for_is_refused_before_it_is_read(name: str) -> None:
    received = Received()
    body = b"x" * (MAX_BODY_BYTES + 1)
    answer = received.answer(with_body(sample(name), body))
    assert answer["statusCode"] == 413
    assert json.loads(answer["body"])["error"] == "tooLarge"
    assert received.secret.renewals == 0


@pytest.mark.parametrize("letter", [b"x", b'"', b"\\", b"\x00", b"\xff", "ü".encode()])
def test_a_body_that_has_room_is_queued_however_it_is_written(letter: bytes) -> None:
    received = Received()
    body = letter * (MAX_BODY_BYTES // len(letter))
    assert received.status(with_body(sample(CDR), body)) == 204
    [message] = received.messages
    assert len(message.encode()) <= MAX_MESSAGE_BYTES
    sent = parse_records_message(message, sqs.Received(None, datetime.now(UTC))).content
    assert isinstance(sent, SentRecords)
    assert sent.content == body


def test_what_the_queue_has_not_taken_is_to_be_sent_again() -> None:
    received = Received()
    received.is_out_of_order = True
    answer = received.answer(sample(CALLBACK))
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "1"
    assert "queue" not in answer["body"]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (None, 400),
        ([], 400),
        ({}, 400),
        (sample(CDR) | {"routeKey": "GET /webhooks/twilio/callback"}, 404),
        (sample(CDR) | {"routeKey": ["POST"]}, 400),
        (sample(CDR) | {"body": "not base64", "isBase64Encoded": True}, 400),
        (sample(CALLBACK) | {"rawQueryString": "\ud800"}, 400),
    ],
)
def test_what_api_gateway_never_sends_is_answered_as_well(event: object, status: int) -> None:
    assert Received().status(event) == status


def test_no_line_of_the_log_shows_a_number_or_a_secret() -> None:
    received = Received()
    with logged() as lines:
        for event in (
            callback(),
            callback("other"),
            callback("12345", AccountSid="+493090182001"),
            with_header(sample(CDR), "authorization", basic("open sesame:")),
            with_header(sample(CDR), "authorization", basic("bridge-1:wrong")),
        ):
            received.status(event)
    shown = [
        (line["message"], line["route"], line["account"], line.get("reason")) for line in lines
    ]
    route = "POST /webhooks/twilio/callback"
    assert shown == [
        ("webhook not queued", route, ACCOUNT, "the signature is not that of the request"),
        ("webhook not queued", route, "", "the secret has no such account"),
        ("webhook not queued", "POST /webhooks/freeswitch/cdr", "", "the secret has no such user"),
        (
            "webhook not queued",
            "POST /webhooks/freeswitch/cdr",
            "bridge-1",
            "the password is not that of the user",
        ),
    ]
    text = json.dumps(lines)
    assert not [part for part in ("4930", "sesame", "12345", "wrong", "other") if part in text]
