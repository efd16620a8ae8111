"""The fields that events are made of, and what may stand in them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from aws_lambda_powertools.utilities.parser import BaseModel, Field, model_validator
from pydantic import (
    AfterValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from perminute.domain.rating.calls import MAX_ID_LENGTH
from perminute.domain.reference.country_codes import check_country, check_currency
from perminute.domain.values.identifiers import PATTERN as ID_PATTERN
from perminute.domain.values.identifiers import check_spaces, read_id
from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import (
    ExactInstant,
    digits_below_microsecond,
    format_instant,
    parse_instant,
)
from perminute.domain.values.whole_numbers import with_whole_numbers

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

FIRST_YEAR, LAST_YEAR = 1970, 9990
"""Years in which something can be booked."""


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        msg = f"must be a string such as {example!r}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    return value


def _instant(value: object) -> datetime:
    return parse_instant(_text(value, "2026-11-02T09:00:00Z"))


def _booking_instant(value: object) -> datetime:
    """Read a time that days and months are added to: far from both ends of the calendar."""
    instant = _instant(value)
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        msg = f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(msg)
    return instant


def _exact_instant(value: object) -> ExactInstant:
    instant = _booking_instant(value)
    return ExactInstant(instant, digits_below_microsecond(_text(value, "")))


def _amount(value: object) -> int:
    return parse_micros(_text(value, "0.026"))


def _not_negative(micros: int) -> int:
    if micros < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return micros


def _account_id(value: object) -> str | None:
    """Read an account's 12 digits, which a bus writes: for anything else no money is refused."""
    is_id = isinstance(value, str) and re.fullmatch("[0-9]{12}", value)
    return str(value) if is_id else None


def _positive(micros: int) -> int:
    if micros <= 0:
        msg = "must be greater than 0"
        raise ValueError(msg)
    return micros


def documented(title: str, **as_json: str | int) -> WithJsonSchema:
    """Say of a string what may stand in it, for the JSON Schema; it is not what checks it."""
    schema: JsonSchemaValue = {"type": "string", "title": title, **as_json}
    return WithJsonSchema(schema)


_DECIMAL = r"(0{0,3}[0-9]{1,15}(\.[0-9]{1,6})?|0{0,2}10{15}(\.0{1,6})?)$(?!\n)"
"""Up to the largest amount; 18 digits before the point at most, leading zeros among them.

In Python `$` also stands before a last line's end: hence `(?!\\n)`, here and in all patterns."""


_ID = StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)
_ID_LENGTHS = {"minLength": 1, "maxLength": MAX_ID_LENGTH}

_AT_ANY_TIME = (
    r"-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$(?!\n)"
)
"""Beside the format `date-time`, which many do not check, and which allows leap seconds."""

_TIME = {"format": "date-time", "pattern": rf"^(?!0000)[0-9]{{4}}{_AT_ANY_TIME}"}
_BOOKING_TIME = {
    "format": "date-time",
    "pattern": rf"^(19[7-9][0-9]|[2-8][0-9]{{3}}|9[0-8][0-9]{{2}}|99[0-8][0-9]|9990){_AT_ANY_TIME}",
}
"""Of the years from `FIRST_YEAR` to `LAST_YEAR`."""

Id = Annotated[
    str, _ID, AfterValidator(read_id), documented("id", **_ID_LENGTHS, pattern=ID_PATTERN)
]
OrganizationId = Annotated[
    str,
    _ID,
    AfterValidator(check_spaces),
    documented("organization id", **_ID_LENGTHS, pattern=ID_PATTERN),
]
Instant = Annotated[
    datetime,
    PlainValidator(_instant),
    PlainSerializer(format_instant),
    documented("time", **_TIME),
]
BookingInstant = Annotated[
    datetime,
    PlainValidator(_booking_instant),
    PlainSerializer(format_instant),
    documented("time", **_BOOKING_TIME),
]
ExactBookingInstant = Annotated[
    ExactInstant,
    PlainValidator(_exact_instant),
    PlainSerializer(str),
    documented("time", **_BOOKING_TIME),
]
SignedAmount = Annotated[
    int,
    PlainValidator(_amount),
    PlainSerializer(format_micros),
    documented("signed amount", pattern=f"^-?{_DECIMAL}"),
]
Amount = Annotated[
    SignedAmount,
    AfterValidator(_not_negative),
    documented("amount", pattern=rf"^(?!-.*[1-9])-?{_DECIMAL}"),
]
PositiveAmount = Annotated[
    SignedAmount,
    AfterValidator(_positive),
    documented("amount above 0", pattern=f"^(?=.*[1-9]){_DECIMAL}"),
]
StatedNumber = Annotated[object, WithJsonSchema({"title": "phone number or withheld"})]
"""What a number must look like depends on the call: one that sets no price may be anything."""
AccountId = Annotated[str | None, PlainValidator(_account_id)]
Country = Annotated[str, AfterValidator(check_country), documented("country", pattern="^[A-Z]{2}$")]
Currency = Annotated[
    str, AfterValidator(check_currency), documented("currency", pattern="^[A-Z]{3}$")
]


class Model(BaseModel):
    """Our names in camelCase; immutable; unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _with_whole_numbers(cls, sent: object) -> object:
        """Read `61.0` as 61 before strict integers refuse it."""
        return with_whole_numbers(sent) if isinstance(sent, dict) else sent


class Detail(Model):
    """What every detail says."""

    schema_version: Literal["1"] = "1"
    organization_id: OrganizationId = Field(description="whose credit and licenses it is about")

    def happened(self) -> dict[str, datetime | None]:
        """Return by field the instants that cannot lie after the event's own time."""
        return {}


class Event(Model):
    """What EventBridge puts around every detail."""

    id: Id = Field(description="given by the bus")
    time: BookingInstant = Field(description="when it was sent")
    if TYPE_CHECKING:
        # Each event has a detail of its own kind; a field here would move it before the source.
        detail: Detail


class IssuedDetail(Detail):
    """What a detail says of the decision behind it."""

    issued_at: BookingInstant | None = Field(
        default=None,
        description="when it was decided, with fractions, at most 5 minutes after the event's "
        "`time`, which it is by default",
    )
    change_id: Id | None = Field(
        default=None,
        description="unique in the organization; the identity, in place of the event id",
    )

    def happened(self) -> dict[str, datetime | None]:
        """Return when it was decided."""
        return {"issuedAt": self.issued_at}


def issued_at(event: Event, detail: IssuedDetail) -> datetime:
    """Return when an event was issued: by default at its own time."""
    return detail.issued_at or event.time
