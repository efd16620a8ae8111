"""The fields that events and requests are made of, and what they may contain (docs/events.md).

The JSON Schema of the events and the OpenAPI document are made from the same types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import Meta, Struct

from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.reference.countries import check_country, check_currency
from perminute.domain.values.identifiers import PATTERN as ID_PATTERN
from perminute.domain.values.identifiers import check_spaces, read_id
from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import (
    ExactInstant,
    digits_below_microsecond,
    format_instant,
    parse_instant,
)
from perminute.parsing import text_type

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

# Years in which something can be booked: days and months are added to times.
FIRST_YEAR, LAST_YEAR = 1970, 9990


class Message(Struct, frozen=True, kw_only=True, rename="camel"):
    """Our names in camelCase; immutable; unknown fields ignored."""


def about(description: str) -> Meta:
    """Describe a field, for the documents."""
    return Meta(description=description)


def _read_booking_instant(text: str) -> datetime:
    instant = parse_instant(text)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        msg = f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(msg)
    return instant


def _read_exact_instant(text: str) -> ExactInstant:
    return ExactInstant(_read_booking_instant(text), digits_below_microsecond(text))


def _amount_that(is_allowed: Callable[[int], bool], rule: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        micros = parse_micros(text)
        if not is_allowed(micros):
            raise ValueError(rule)
        return micros

    return read


_read_amount = _amount_that(lambda micros: micros >= 0, "must not be negative")
_read_positive_amount = _amount_that(lambda micros: micros > 0, "must be greater than 0")
_read_nonzero_amount = _amount_that(lambda micros: micros != 0, "must not be 0")


# Patterns mean the same in Python and in JSON Schema. In Python `$` is also before the end of a
# last line: hence `(?!\n)`. An amount has 18 digits before the point at most, leading zeros among
# them, and is not above the largest one.
_DECIMAL = r"(0{0,3}[0-9]{1,15}(\.[0-9]{1,6})?|0{0,2}10{15}(\.0{1,6})?)$(?!\n)"
# Beside the format `date-time`, which many do not check, and which allows leap seconds.
_AT_ANY_TIME = (
    r"-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$(?!\n)"
)
_ID: dict[str, Any] = {"minLength": 1, "maxLength": MAX_ID_LENGTH, "pattern": ID_PATTERN}
_AMOUNT: dict[str, Any] = {"write": format_micros, "example": "0.026"}
_TIME: dict[str, Any] = {
    "write": format_instant,
    "example": "2026-11-02T09:00:00Z",
    "format": "date-time",
    "pattern": rf"^(?!0000)[0-9]{{4}}{_AT_ANY_TIME}",
}
# Of the years from `FIRST_YEAR` to `LAST_YEAR`.
_BOOKING_TIME = _TIME | {
    "pattern": rf"^(19[7-9][0-9]|[2-8][0-9]{{3}}|9[0-8][0-9]{{2}}|99[0-8][0-9]|9990){_AT_ANY_TIME}"
}

if TYPE_CHECKING:
    # What a message contains once it is read.
    Id: TypeAlias = str
    OrganizationId: TypeAlias = str
    Country: TypeAlias = str
    Currency: TypeAlias = str
    Instant: TypeAlias = datetime
    BookingInstant: TypeAlias = datetime
    ExactBookingInstant: TypeAlias = ExactInstant
    NonzeroAmount: TypeAlias = int
    Amount: TypeAlias = int
    PositiveAmount: TypeAlias = int
else:
    Id = text_type(
        read_id,
        "id",
        **_ID,
        description="GUIDs, and ids with `@`, are stored and compared in lower case.",
    )
    OrganizationId = text_type(check_spaces, "organization id", **_ID)
    Country = text_type(check_country, "country", pattern="^[A-Z]{2}$")
    Currency = text_type(check_currency, "currency", pattern="^[A-Z]{3}$")
    Instant = text_type(parse_instant, "time", **_TIME)
    BookingInstant = text_type(_read_booking_instant, "time", **_BOOKING_TIME)
    ExactBookingInstant = text_type(_read_exact_instant, "time", **_BOOKING_TIME | {"write": str})
    NonzeroAmount = text_type(
        _read_nonzero_amount, "signed amount", pattern=rf"^(?!-?[0.]*$)-?{_DECIMAL}", **_AMOUNT
    )
    Amount = text_type(_read_amount, "amount", pattern=rf"^(?!-.*[1-9])-?{_DECIMAL}", **_AMOUNT)
    PositiveAmount = text_type(
        _read_positive_amount, "amount above 0", pattern=f"^(?=.*[1-9]){_DECIMAL}", **_AMOUNT
    )

StatedNumber = Annotated[Any, Meta(title="phone number or withheld")]
"""What a number must look like depends on the call: one that sets no price may be anything."""
