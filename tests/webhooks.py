"""Requests of webhooks: the samples, signed anew as needed, and what receives them in memory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from perminute.api.webhooks.serving import Webhooks
from perminute.domain.errors import Unavailable
from perminute.events.records import records_body
from perminute.formats.webhook_secret import WebhookSecret, read_webhook_secret
from perminute_local.replay.lambda_runtime import Context

SAMPLES = Path(__file__).parents[1] / "events" / "webhooks"
BASE_URL = "https://hooks.example.com"
ACCOUNT, OTHER = "AC11111111111111111111111111111111", "AC22222222222222222222222222222222"
TOKEN = "12345"  # noqa: S105 - by which the samples are signed
SECRET = {
    "twilio": {ACCOUNT: ["54321", TOKEN], OTHER: "other"},
    "freeswitch": {"bridge-1": ["open sesame", "open barley"]},
    "keys": {"bridge-2": "k-2"},
}
_CONTEXT: Any = Context(function_name="ReceiveWebhooksFunction", invoked_function_arn="arn")
CALLBACK, EVENTS, CDR = "twilio-callback", "twilio-events", "freeswitch-cdr"


def sample(name: str) -> dict[str, Any]:
    """Return a sample of a request, as API Gateway passes it on."""
    event: dict[str, Any] = json.loads((SAMPLES / f"{name}.v1.json").read_text())
    return event


def body_of(event: dict[str, Any]) -> bytes:
    """Return the body of a request as it was sent."""
    body: str = event["body"]
    return base64.b64decode(body) if event["isBase64Encoded"] else body.encode()


def with_body(event: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return a request with another body, and whatever stood in its headers."""
    return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def with_header(event: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    """Return a request with another header."""
    return event | {"headers": event["headers"] | {name: value}}


def signed(event: dict[str, Any], token: str) -> dict[str, Any]:
    """Sign a request as Twilio does, independently of what checks it."""
    body, query = body_of(event), event["rawQueryString"]
    form = parse_qsl(body.decode(), keep_blank_values=True)
    if "json" in event["headers"]["content-type"]:
        query, form = f"bodySHA256={hashlib.sha256(body).hexdigest()}", []
    url = f"{BASE_URL}{event['rawPath']}?{query}"
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(form)))
    signature = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    return with_header(event | {"rawQueryString": query}, "x-twilio-signature", signature)


def callback(token: str = TOKEN, **fields: str) -> dict[str, Any]:
    """Return the sample of a callback with other fields, signed by a token."""
    event = sample(CALLBACK)
    form = dict(parse_qsl(body_of(event).decode())) | fields
    return signed(with_body(event, urlencode(form).encode()), token)


def events(*accounts: str, token: str = TOKEN) -> dict[str, Any]:
    """Return a request with an event of each of these accounts, signed by a token."""
    [event] = json.loads(sample(EVENTS)["body"])
    body = [json.loads(json.dumps(event).replace(ACCOUNT, account)) for account in accounts]
    return signed(with_body(sample(EVENTS), json.dumps(body).encode()), token)


class HeldSecret:
    """`Secret` in memory: `later`, if set, is what is read anew."""

    def __init__(self, secret: object = SECRET) -> None:
        self.held: WebhookSecret = read_webhook_secret(json.dumps(secret))
        self.later: WebhookSecret | None = None
        self.renewals = 0

    def current(self) -> WebhookSecret:
        """Return the secret."""
        return self.held

    def renewed(self) -> WebhookSecret:
        """Return the one that was rotated to."""
        self.renewals += 1
        self.held = self.later or self.held
        return self.held


class Received:
    """What receives webhooks, with its secret and its queue in memory."""

    def __init__(self, secret: object = SECRET, url: str = BASE_URL) -> None:
        self.secret = HeldSecret(secret)
        self.messages: list[str] = []
        self.is_out_of_order = False
        self._webhooks = Webhooks(self.secret, records_body, self._send, url)

    def answer(self, event: object) -> dict[str, Any]:
        """Answer a request."""
        return self._webhooks.answer(event, _CONTEXT)

    def status(self, event: object) -> int:
        """Return the status of the answer."""
        status: int = self.answer(event)["statusCode"]
        return status

    @property
    def records(self) -> list[dict[str, Any]]:
        """What is queued."""
        return [json.loads(message)["records"] for message in self.messages]

    def _send(self, message: str) -> None:
        if self.is_out_of_order:
            raise Unavailable("the queue is out of order")
        self.messages.append(message)
