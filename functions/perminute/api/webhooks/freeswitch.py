"""Channels that `mod_json_cdr` of FreeSWITCH posts, by a password or a key (docs/webhooks.md).

It signs nothing: whoever has one of them may report calls of any organization.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from perminute.api.webhooks.requests import Doubt, NotVerified, PostedRecords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.api.webhooks.requests import WebhookRequest
    from perminute.formats.webhook_secret import WebhookSecret


def read_cdr(
    request: WebhookRequest, content: bytes, _url: str, secret: WebhookSecret
) -> PostedRecords:
    """Check who posted a channel. Raises `NotVerified`."""
    scheme, _, credentials = request.header("authorization").partition(" ")
    match scheme.casefold():
        case "basic":
            _check_user(credentials.strip(), secret)
        case "bearer":
            _check_key(credentials.strip(), secret)
        case _:
            raise NotVerified(Doubt.NO_CREDENTIALS)
    return PostedRecords("freeswitch-json", content)


def _check_user(credentials: str, secret: WebhookSecret) -> None:
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise NotVerified(Doubt.DAMAGED_CREDENTIALS) from None
    passwords = secret.freeswitch.get(user)
    if passwords is None:
        # Not shown: some write their password there.
        raise NotVerified(Doubt.UNKNOWN_USER)
    if not _is_one_of(password, passwords):
        raise NotVerified(Doubt.WRONG_PASSWORD, user)


def _check_key(key: str, secret: WebhookSecret) -> None:
    # All are compared, so that how long it takes says nothing.
    if not _is_one_of(key, [key for keys in secret.keys.values() for key in keys]):
        raise NotVerified(Doubt.UNKNOWN_KEY)


def _is_one_of(text: str, values: Iterable[str]) -> bool:
    # Of texts, `compare_digest` takes ASCII only.
    sent = text.encode("utf-8", "surrogatepass")
    found = [hmac.compare_digest(sent, value.encode("utf-8", "surrogatepass")) for value in values]
    return any(found)
