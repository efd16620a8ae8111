"""The requests that telephone systems post to the webhooks of a stack (docs/webhooks.md).

A file of Twilio's callbacks has each as it was posted, one a line: method, URL, headers, body. One
that was posted to another address is posted to our webhook as Twilio would do it: signed for our
address if its own signature is right. FreeSWITCH signs nothing, and sends a key.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.values.times import EPOCH
from perminute.sources.outcomes import ProblemReason
from perminute.sources.own_parameters import query_pairs
from perminute.sources.twilio import TWILIO_CALLBACK
from perminute.sources.twilio_signature import is_signed
from perminute_local.replay.lambda_runtime import http_api_event
from perminute_local.replay.results import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute_local.replay.arrivals import Arrival


WEBHOOK_URL = "https://bridge.example.com"
"""The address of a replay's webhooks, for which callbacks are signed; nothing is sent there."""
CALLBACK, CDR = "/webhooks/twilio/callback", "/webhooks/freeswitch/cdr"
KEY = "shown by what a replay posts"

_SIGNATURE = "x-twilio-signature"
_NOT_TAKEN = "the webhook answered"


class PostedRequest(NamedTuple):
    """A request to a webhook; names of headers are in lower case."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def event(self, request_id: str, at: datetime | None) -> dict[str, Any]:
        """Return it as an HTTP API passes it on; `at` is None if nothing says when it came."""
        event = http_api_event(f"POST {self.path}", self.path, at or EPOCH, request_id)
        return event | {
            "rawQueryString": self.query,
            "headers": dict(self.headers),
            "body": b64encode(self.body).decode(),
            "isBase64Encoded": True,
        }


def is_request(line: bytes) -> bool:
    """Return whether a line of callbacks is a request that can be posted."""
    return _read(line) is not None


def account_of(line: bytes) -> str:
    """Return the account that a callback names; its token signs the request."""
    request = _read(line) or {}
    return dict(query_pairs(_form_of(request))).get("AccountSid", "")


def webhook_secret(tokens: Mapping[str, str]) -> str:
    """Write the secret of the webhooks: the tokens of Twilio's accounts, and the key."""
    return json.dumps({"twilio": dict(tokens), "keys": {"replay": KEY}})


def request_of(arrival: Arrival) -> PostedRequest:
    """Return what is posted. Raises `WrongFile` if the file is gone."""
    content, token = arrival.content(), arrival.source.options.auth_token
    if arrival.source.name == TWILIO_CALLBACK.name and token is not None:
        return _callback(content, token)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    return PostedRequest(CDR, "", headers, content)


def refusals(place: str, status: int, answer: str) -> Iterator[Rejected]:
    """Yield a refusal if a webhook did not accept the request from this place."""
    if status == HTTPStatus.NO_CONTENT:
        return
    # As `perminute calls convert` names it. A key is always the right one.
    named = f"{ProblemReason.INVALID_SIGNATURE}: " if status == HTTPStatus.FORBIDDEN else ""
    yield Rejected(place, f"{named}{_NOT_TAKEN} {status}: {json.loads(answer)['message']}")


def twilio_signature(auth_token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """Sign a request as Twilio does (www.twilio.com/docs/usage/security)."""
    text = url + "".join(f"{name}{value}" for name, value in sorted(set(form)))
    content = text.encode("utf-8", "surrogatepass")
    return b64encode(hmac.digest(auth_token.encode(), content, "sha1")).decode()


def _callback(line: bytes, token: str) -> PostedRequest:
    request = _read(line) or {}
    url, form, query = _text(request, "url"), _form_of(request), _query_of(request)
    sent = request.get("headers")
    headers = {
        name.casefold(): value
        for name, value in (sent if isinstance(sent, dict) else {}).items()
        if isinstance(value, str)
    }
    to = f"{WEBHOOK_URL}{CALLBACK}{'?' if query else ''}{query}"
    if _is_get(request) or url != to:
        signature, body = headers.get(_SIGNATURE, ""), _text(request, "body")
        if is_signed(signature, token, url, body.encode("utf-8", "surrogatepass")):
            headers[_SIGNATURE] = twilio_signature(token, to, query_pairs(form))
    return PostedRequest(CALLBACK, query, headers, form.encode("utf-8", "surrogatepass"))


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return request if isinstance(request, dict) else None


def _form_of(request: Mapping[str, Any]) -> str:
    # Webhooks take POST only, of which the form is the body.
    return _query_of(request) if _is_get(request) else _text(request, "body")


def _is_get(request: Mapping[str, Any]) -> bool:
    return _text(request, "method").casefold() == "get"


def _query_of(request: Mapping[str, Any]) -> str:
    return _text(request, "url").partition("?")[2].partition("#")[0]


def _text(request: Mapping[str, Any], name: str) -> str:
    value = request.get(name)
    return value if isinstance(value, str) else ""
