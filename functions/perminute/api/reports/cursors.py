"""Cursors: where the next page of a listing begins, and as of which version, in one opaque text.

A cursor survives whatever is charged meanwhile, and a URL. It answers one question: that of another
organization, period or filter is refused. A digest finds slips, not forgery: whoever makes up a
cursor sees only what the same caller may ask for anyway.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, TypeVar

from msgspec import Meta, MsgspecError
from msgspec.json import decode, encode

from perminute.api.reports.parameters import refused
from perminute.fields import about

if TYPE_CHECKING:
    from perminute.domain.errors import Refused

P = TypeVar("P")

MAX_LIMIT = 200

MAX_CURSOR_LENGTH = 256
"""Twice what cursors have. DynamoDB refuses keys of more than 1,024 bytes, which one may name."""

Limit = Annotated[
    int, Meta(ge=1, le=MAX_LIMIT, description="How many entries or calls a page has at most.")
]
Cursor = Annotated[str | None, about("The `next` of the page before; left out for the first.")]
Next = Annotated[
    str | None,
    about("The `cursor` of the next page, be this one short or empty; null after the last."),
]

_DIGEST_BYTES = 8


def write_cursor(question: object, place: object) -> str:
    """Write a place in the answer to a question; both are values that JSON can contain."""
    text = encode(place)
    digest = sha256(encode(question) + b"\n" + text).digest()[:_DIGEST_BYTES]
    return urlsafe_b64encode(digest + text).decode().rstrip("=")


def read_cursor(cursor: str, question: object, kind: type[P]) -> P:
    """Read a place that `write_cursor` wrote for the same question. Raises `Refused`."""
    try:
        # Padding is not asked for: it would have to be escaped in a query.
        raw = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = decode(raw[_DIGEST_BYTES:], type=kind)
    except (ValueError, MsgspecError):
        raise foreign(cursor) from None
    if len(cursor) > MAX_CURSOR_LENGTH or cursor != write_cursor(question, place):
        raise foreign(cursor)
    return place


def foreign(cursor: str) -> Refused:
    """Return the refusal of a cursor that is none of this question."""
    fault = "is none that this question was answered with as next"
    return refused("cursor", cursor, f"{fault}; leave it out to begin with the first page")
