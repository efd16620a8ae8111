"""The envelope of EventBridge events, how an event is read, and how a duplicate is found."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from msgspec import Struct, field
from msgspec.structs import fields as struct_fields

from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.errors import Refused
from perminute.domain.values.times import MAX_CLOCK_AHEAD
from perminute.fields import BookingInstant, Id, Message, OrganizationId, about
from perminute.parsing import TextType, parse_json, parse_valid, read_message, text_type_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.sqs import Received

# How far a sender's clock may be ahead of ours (our decision). Its times of calls and purchases
# are stored as they are stated, so an event of next year is refused.
MAX_AHEAD = timedelta(days=1)


class Detail(Message, frozen=True, kw_only=True):
    """The version of a detail."""

    # Fields that cannot lie after the event's own time: an event cannot report what had not
    # happened when it was sent.
    happened: ClassVar[tuple[str, ...]] = ()

    schema_version: Literal["1"] = "1"


class OrganizationDetail(Detail, frozen=True, kw_only=True):
    """A detail about one organization."""

    organization_id: Annotated[OrganizationId, about("the organization")]


class IssuedDetail(OrganizationDetail, frozen=True, kw_only=True):
    """What a detail says of the decision behind it."""

    happened: ClassVar[tuple[str, ...]] = ("issued_at",)
    # The field in which the producer has numbered what it says: its identity, not the `changeId`.
    numbered_by: ClassVar[tuple[IdentityKind, str] | None] = None

    issued_at: Annotated[
        BookingInstant | None,
        about(
            "when it was decided, with fractions: by default the event's `time`, at most 5 minutes "
            "after it"
        ),
    ] = None
    change_id: Annotated[
        Id | None, about("identifies the event in place of its id; unique in the organization")
    ] = None


D = TypeVar("D", bound=Detail)


class Event(Message, Generic[D], frozen=True, kw_only=True):
    """What EventBridge puts around every detail."""

    id: Annotated[Id, about("given by the bus")]
    time: Annotated[BookingInstant, about("when it was sent")]
    source: str
    detail_type: str = field(name="detail-type")
    detail: D
    # Which AWS account sent it: the bus says so, and no producer can.
    account: Any = None


class _Typed(Message, frozen=True, kw_only=True):
    # All that decides how the rest of an event is read.
    detail_type: str = field(name="detail-type")


class Source(NamedTuple, Generic[D]):
    """A source of events, and the details of its events by their `detail-type`."""

    name: str
    details: Mapping[str, type[D]]


def read_event(body: str, source: Source[D], received: Received | None = None) -> Event[D]:
    """Parse the JSON of one event.

    Raises `Refused` for every field that is missing or impossible, for a time that lies too far
    after the event arrived, and for an instant of what has happened that lies more than
    `MAX_CLOCK_AHEAD` after the event's time.
    """
    event = _parse_valid(body, source) or _parse_by_field(body, source)
    if event.source != source.name:
        raise Refused("source", f"must be {source.name}")
    if received is not None and event.time > received.latest + MAX_AHEAD:
        raise Refused(
            "time",
            f"lies more than {MAX_AHEAD.days} day after the event arrived; set the sender's clock "
            "right and send it again",
        )
    _check_has_happened(event)
    return event


def detail_type_of(body: str) -> str | None:
    """Return the `detail-type` of an event; None if it has none, or msgspec cannot read it."""
    typed = parse_valid(body, _Typed)
    return None if typed is None else typed.detail_type


def _parse_valid(body: str, source: Source[D]) -> Event[D] | None:
    kind = source.details.get(detail_type_of(body) or "")
    return parse_valid(body, _event_of(kind)) if kind else None


def _parse_by_field(body: str, source: Source[D]) -> Event[D]:
    sent = parse_json(body, called="event")
    detail_type = sent.get("detail-type") if isinstance(sent, dict) else None
    kind = source.details.get(detail_type) if isinstance(detail_type, str) else None
    if kind is None and isinstance(detail_type, str):
        # First: what else is wrong with it depends on its type.
        raise Refused("detail-type", f"must be one of {', '.join(source.details)}")
    message: type[Event[D]] = _event_of(kind or OrganizationDetail)
    return read_message(sent, message, called="event")


@cache
def _event_of(kind: type[D]) -> type[Event[D]]:
    return Event[kind]  # type: ignore[valid-type] # msgspec reads it at run time


def issued_at(event: Event[Any], detail: IssuedDetail) -> datetime:
    """Return when an event was issued: by default at its own time."""
    return detail.issued_at or event.time


def booked_at(sent_at: datetime, heard_at: datetime | None) -> datetime:
    """Return the instant at which an event is booked: its own time, or its arrival if earlier."""
    # Booking it by a clock that is ahead would expire credit before its time.
    return sent_at if heard_at is None else min(sent_at, heard_at)


def processed_event_of(event: Event[Any]) -> ProcessedEvent:
    """Return what an event said as canonical JSON: our field order, each value in one spelling."""
    # The event's own id and time stay out, and its `changeId`: a producer that sends again may
    # number anew. `issuedAt` stays in, since it decides what is in force.
    kind, identity = _identity_of(event)
    detail = {name: value for name, value in _written(event.detail).items() if name != "changeId"}
    return ProcessedEvent(
        EventIdentity(kind, event.detail.organization_id, identity),
        json.dumps({"detail-type": event.detail_type, **detail}),
        # Of several copies the earliest says when it was issued, if they do not say so themselves.
        issued_at=event.time
        if kind is IdentityKind.CHANGE and not event.detail.issued_at
        else None,
    )


def _identity_of(event: Event[Any]) -> tuple[IdentityKind, str]:
    detail = event.detail
    if detail.numbered_by is not None:
        kind, field_name = detail.numbered_by
        return kind, getattr(detail, field_name)
    if detail.change_id is not None:
        return IdentityKind.CHANGE, detail.change_id
    return IdentityKind.EVENT, event.id


def _check_has_happened(event: Event[Any]) -> None:
    detail, latest, late = event.detail, event.time + MAX_CLOCK_AHEAD, []
    for name in detail.happened:
        at = getattr(detail, name)
        # An `ExactInstant` contains the instant.
        if at is not None and getattr(at, "at", at) > latest:
            late.append(_encoded(detail, name))
    if late:
        minutes = MAX_CLOCK_AHEAD // timedelta(minutes=1)
        raise Refused(
            late[0],
            f"lies more than {minutes} minutes after the event's time"
            + "".join(f"; so does {name}" for name in late[1:])
            + "; set the sender's clocks right and send it again",
        )


def _encoded(message: Struct, name: str) -> str:
    return message.__struct_encode_fields__[message.__struct_fields__.index(name)]


@cache
def _text_types(message: type[Struct]) -> list[tuple[str, str, TextType | None]]:
    # Cached: msgspec evaluates all annotations each time, which takes 300 µs.
    return [
        (field_.name, field_.encode_name, text_type_of(field_.type))
        for field_ in struct_fields(message)
    ]


def _written(message: Struct) -> dict[str, object]:
    written: dict[str, object] = {}
    for name, field_name, text_type in _text_types(type(message)):
        value = getattr(message, name)
        if isinstance(value, Struct):
            value = _written(value)
        elif isinstance(value, tuple) and text_type is not None:
            value = [text_type.write(item) for item in value]
        elif value is not None and text_type is not None:
            value = text_type.write(value)
        if value is not None:
            written[field_name] = value
    return written
