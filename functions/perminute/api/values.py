"""Values as answers contain them, and the document of a request that is not answered."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from perminute.fields import Message

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[int, Meta(ge=0)]
Money = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]+(\.[0-9]{1,6})?$",
        description="A decimal amount of `currency`.",
        examples=["0.026"],
    ),
]
Instant = Annotated[str, Meta(description="RFC 3339, UTC.", examples=["2026-11-02T09:00:00Z"])]

Error = Literal["invalid", "conflict", "forbidden", "notFound", "tooLarge", "unavailable"]


class ErrorDocument(Message, frozen=True, kw_only=True):
    """Why a request was not answered; the message names the field and says what to do."""

    error: Error
    message: str
