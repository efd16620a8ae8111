"""Callbacks in the folder of a replay, as they are posted to the webhook of a stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from webhooks import Received

from perminute.sources.stated_call import SourceOptions
from perminute_local.replay.arrivals import Arrival
from perminute_local.replay.posted_requests import (
    KEY,
    WEBHOOK_URL,
    PostedRequest,
    account_of,
    refusals,
    request_of,
    twilio_signature,
    webhook_secret,
)
from perminute_local.replay.record_folder import RecordSource
from perminute_local.replay.results import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOKEN = "a token"  # noqa: S105 - of these tests
ACCOUNT = "AC44444444444444444444444444444444"
FORM = f"AccountSid={ACCOUNT}&CallSid=CA1&CallStatus=completed"
PAIRS = [("AccountSid", ACCOUNT), ("CallSid", "CA1"), ("CallStatus", "completed")]
OWN = f"{WEBHOOK_URL}/webhooks/twilio/callback"
ELSEWHERE = "https://calls.example.net:8443/hook"
NINE = datetime(2026, 11, 2, 9, tzinfo=UTC)


def posted(tmp_path: Path, source: str, content: bytes, **options: str) -> PostedRequest:
    (tmp_path / "a").write_bytes(content)
    said = SourceOptions(auth_token=options.get("auth_token"))
    of = RecordSource(source, tmp_path, (tmp_path / "a",), said)
    return request_of(Arrival("a", None, of, tmp_path / "a", is_posted=True))


def callback(url: str, signature: str | None, **changed: str) -> dict[str, Any]:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-None": 5}
    signed = {} if signature is None else {"X-Twilio-Signature": signature}
    return {"method": "POST", "url": url, "headers": headers | signed, "body": FORM} | changed


def answered(tmp_path: Path, request: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """Post a callback to the webhooks of a replay, whose URL is in their configuration."""
    line = json.dumps(request).encode()
    receiving = Received(json.loads(webhook_secret({account_of(line): TOKEN})), WEBHOOK_URL)
    sent = posted(tmp_path, "twilio-callback", line, auth_token=TOKEN)
    return receiving.status(sent.event("r-1", NINE)), receiving.records


@pytest.mark.parametrize("query", ["", "?organizationId=contoso&meetingId=a%20b"])
def test_a_callback_for_the_address_of_a_replay_is_posted_as_it_was(
    tmp_path: Path, query: str
) -> None:
    url = OWN + query
    status, [records] = answered(tmp_path, callback(url, twilio_signature(TOKEN, url, PAIRS)))
    assert status == 204
    assert (records["at"], records["tenant"]) == ("/webhooks/twilio/callback r-1", ACCOUNT)
    assert json.loads(records["content"]) == {
        "method": "POST",
        "url": url,
        "headers": {},
        "body": FORM,
    }


def test_a_callback_for_another_address_is_signed_for_ours_if_it_was_signed_for_its_own(
    tmp_path: Path,
) -> None:
    url = f"{ELSEWHERE}?organizerId=adele"
    status, [records] = answered(tmp_path, callback(url, twilio_signature(TOKEN, url, PAIRS)))
    assert status == 204
    assert json.loads(records["content"])["url"] == f"{OWN}?organizerId=adele"


def test_a_form_in_the_query_is_posted_in_the_body(tmp_path: Path) -> None:
    url = f"{OWN}?organizerId=adele&{FORM}"
    signature = twilio_signature(TOKEN, url, [])
    status, [records] = answered(tmp_path, callback(url, signature, method="get", body=""))
    assert status == 204
    assert json.loads(records["content"])["body"] == f"organizerId=adele&{FORM}"


@pytest.mark.parametrize("url", [OWN, ELSEWHERE])
@pytest.mark.parametrize("token", [None, "another"])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_one_that_is_not_signed_is_refused_wherever_it_was_posted(
    tmp_path: Path, url: str, token: str | None, method: str
) -> None:
    url = f"{url}?{FORM}"
    form = PAIRS if method == "POST" else []
    signature = None if token is None else twilio_signature(token, url, form)
    status, records = answered(tmp_path, callback(url, signature, method=method))
    assert (status, records) == (403, [])


def test_what_is_no_callback_at_all_is_refused_like_one_that_is_not_signed(tmp_path: Path) -> None:
    for nothing in ({}, {"url": 1, "body": [], "headers": []}, {"body": "\ud800"}):
        assert answered(tmp_path, nothing) == (403, [])


def test_documents_of_freeswitch_are_posted_with_a_key(tmp_path: Path) -> None:
    receiving = Received(json.loads(webhook_secret({})), WEBHOOK_URL)
    sent = posted(tmp_path, "freeswitch-json", b'{"core-uuid": "\xff"}')
    assert receiving.status(sent.event("r-1", None)) == 204
    (records,) = receiving.records
    assert (records["source"], records["at"]) == ("freeswitch-json", "/webhooks/freeswitch/cdr r-1")
    assert KEY not in json.dumps(records)


def test_a_refusal_is_told_with_its_place_and_what_the_webhook_says() -> None:
    assert list(refusals("a:1", 204, "")) == []
    body = json.dumps({"error": "forbidden", "message": "is not signed"})
    assert list(refusals("a:1", 403, body)) == [
        Rejected("a:1", "invalidSignature: the webhook answered 403: is not signed")
    ]
    body = json.dumps({"error": "tooLarge", "message": "body: must have 190 KB at most"})
    assert list(refusals("a:2", 413, body)) == [
        Rejected("a:2", "the webhook answered 413: body: must have 190 KB at most")
    ]
