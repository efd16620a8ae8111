"""Calls of users who are erased: what they cost remains, and who made them does not."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.domain.rating.call_content import digest_of, has_number, without_number

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.rating.usage_record import Usage

ERASED = "erased"
_PSEUDONYM_CHARACTERS = 12


def pseudonym_of(user_id: str, key: bytes, number: int = 1) -> str:
    """Return the id that stands for an erased user; the `number`-th one if erased again."""
    # By the organization's key: once that is destroyed, nobody can find out who it was.
    named = f"{ERASED}#{number}#{user_id}".encode("utf-8", "surrogatepass")
    return f"{ERASED}-{hmac.digest(key, named, 'sha256').hex()[:_PSEUDONYM_CHARACTERS]}"


def is_pseudonym(user_id: str) -> bool:
    """Whether an id has the form of a pseudonym."""
    prefix, dash, rest = user_id.partition("-")
    return (prefix, dash, len(rest)) == (ERASED, "-", _PSEUDONYM_CHARACTERS)


def erased_usage(usage: Usage, pseudonym: str, key: bytes) -> Usage:
    """Return the record without organizer, meeting and number, and with all that it costs."""
    masked = without_number(usage, key) if has_number(usage) else usage
    return masked._replace(
        call=replace(masked.call, organizer_id=pseudonym, meeting_id=ERASED),
        content_digest=masked.content_digest or digest_of(usage.call, key),
        is_erased=True,
    )


def names_any(document: object, users: Collection[str]) -> bool:
    """Whether a document, as JSON is read, has one of these users as a value anywhere."""
    match document:
        case str():
            return document in users
        case dict():
            return any(names_any(one, users) for one in document.values())
        case list():
            return any(names_any(one, users) for one in document)
        case _:
            return False
