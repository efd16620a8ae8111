"""Values as answers contain them, and the document of a request that is not answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.fields import Message

if TYPE_CHECKING:
    from datetime import datetime

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


def money_text(micros: int | None) -> str | None:
    """Write an amount; None if there is none."""
    return None if micros is None else format_micros(micros)


def instant_text(instant: datetime | None) -> str | None:
    """Write an instant; None if there is none."""
    return None if instant is None else format_instant(instant)
