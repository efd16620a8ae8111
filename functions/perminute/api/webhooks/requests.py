"""A request of a webhook as API Gateway passes it on, and the records that it brings."""

from __future__ import annotations

import base64
import binascii
from enum import StrEnum
from typing import NamedTuple

from perminute.api.http import HttpRequest
from perminute.domain.errors import Refused


class WebhookRequest(HttpRequest, frozen=True, kw_only=True):
    """A request whose body is still as it was sent; names of headers are in lower case."""

    raw_query_string: str = ""
    headers: dict[str, str] | None = None

    def header(self, name: str) -> str:
        """Return a header by its name in lower case; empty if it is absent."""
        return (self.headers or {}).get(name, "")

    def content(self) -> bytes:
        """Return the bytes of the body. Raises `Refused`."""
        body = self.body or ""
        if not self.is_base64_encoded:
            return body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(body, validate=True)
        except (binascii.Error, ValueError):
            # Not by its sender: API Gateway encodes it.
            raise Refused("body", "must be base64, as isBase64Encoded says") from None


class Doubt(StrEnum):
    """Why a sender is not verified: for the operator's log, and never for the sender."""

    NOT_SIGNED = "the request is not signed"
    WRONG_SIGNATURE = "the signature is not that of the request"
    NO_HASH = "bodySHA256 is missing in the query"
    UNKNOWN_ACCOUNT = "the secret has no such account"
    SEVERAL_ACCOUNTS = "the events are of several accounts"
    NO_CREDENTIALS = "the request has neither Basic authorization nor a Bearer key"
    DAMAGED_CREDENTIALS = "the Basic authorization cannot be decoded"
    UNKNOWN_USER = "the secret has no such user"
    WRONG_PASSWORD = "the password is not that of the user"  # noqa: S105 - a text
    UNKNOWN_KEY = "the secret has no such key"


class NotVerified(Exception):  # noqa: N818 - a sender turned away, not a malfunction
    """Nothing shows that a request comes from whom it says. `account` is safe to log."""

    def __init__(self, doubt: Doubt, account: str = "") -> None:
        super().__init__(doubt)
        self.account = account


class PostedRecords(NamedTuple):
    """Records whose sender is verified, as a file of their source would contain them."""

    source: str
    content: bytes
    tenant: str | None = None  # of records that name none
