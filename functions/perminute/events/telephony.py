"""Source `perminute.telephony`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from perminute.application.charge_calls import EndedCall
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import (
    ENDS_BEFORE_ANSWER,
    MAX_CALL_SECONDS,
    Call,
    LegType,
    MeetingType,
    read_numbers,
)
from perminute.domain.values.times import ExactInstant, started_seconds
from perminute.events.event import (
    Detail,
    Event,
    OrganizationDetail,
    Source,
    booked_at,
    read_event,
)
from perminute.fields import ExactBookingInstant, Id, StatedNumber, about

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.sqs import Received

MAX_CALLS_IN_EVENT = 500


class CallEnded(OrganizationDetail, frozen=True, kw_only=True):
    """The telephony system reports that a call has ended [organizationId, callId]."""

    happened = ("answered_at", "ended_at")

    call_id: Annotated[Id, about("the call; unique in the organization")]
    organizer_id: Annotated[Id, about("the user whose licenses and policies count")]
    meeting_id: Annotated[Id, about("the meeting that it belonged to")]
    meeting_type: Annotated[MeetingType, about("only calls of scheduled meetings are charged")]
    leg_type: Annotated[LegType, about("how the attendee joined")]
    service_number: Annotated[
        StatedNumber,
        about("the number that was dialed; of a dial-in required, and a *phone number*"),
    ] = None
    remote_number: Annotated[
        StatedNumber, about("the attendee's phone; of a dialOut required, and a *phone number*")
    ] = None
    answered_at: Annotated[
        ExactBookingInstant | None,
        about("null if it was never answered; at most 5 minutes after the event's `time`"),
    ]
    ended_at: Annotated[
        ExactBookingInstant,
        about("when the call ended; at most 5 minutes after the event's `time`"),
    ]
    billable_seconds: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_CALL_SECONDS)] | None,
        about("as the operator measured; used instead of endedAt - answeredAt"),
    ] = None


class CallsEnded(Detail, frozen=True, kw_only=True):
    """The telephony system reports that several calls ended [organizationId and callId of each]."""

    # Anything: each of them is read, and charged or refused, by itself.
    calls: Annotated[
        tuple[Any, ...],
        Meta(min_length=1, max_length=MAX_CALLS_IN_EVENT),
        about(
            "of any organizations, each with the fields of a `Call Ended`; the whole event has at "
            "most 240 KB"
        ),
    ]


TELEPHONY: Source[Any] = Source(
    "perminute.telephony", {"Call Ended": CallEnded, "Calls Ended": CallsEnded}
)


def parse_ended_call(body: str, received: Received) -> EndedCall:
    """Parse a `Call Ended`. Raises `Refused`."""
    return ended_call(read_event(body, TELEPHONY, received), received.heard_at)


def ended_call(event: Event[CallEnded], heard_at: datetime | None = None) -> EndedCall:
    """Return the call that an event reports. Raises `Refused` if the call contradicts itself."""
    at = booked_at(event.time, heard_at)
    return EndedCall(_call(event.detail), at, heard_at, event_id=event.id)


def _call(detail: CallEnded) -> Call:
    numbers = read_numbers(
        detail.leg_type, service_number=detail.service_number, remote_number=detail.remote_number
    )
    return Call(
        organization_id=detail.organization_id,
        call_id=detail.call_id,
        organizer_id=detail.organizer_id,
        meeting_id=detail.meeting_id,
        meeting_type=detail.meeting_type,
        leg_type=detail.leg_type,
        **numbers._asdict(),
        answered_at=detail.answered_at and detail.answered_at.at,
        ended_at=detail.ended_at.at,
        billable_seconds=detail.billable_seconds,
        exact_seconds=_exact_seconds(detail),
    )


def _exact_seconds(detail: CallEnded) -> int | None:
    # Only where digits below the microsecond make a difference.
    answered, ended = detail.answered_at, detail.ended_at
    if answered is None or detail.billable_seconds is not None:
        return None
    if not (answered.below or ended.below):
        return None
    # Less than a microsecond is not seen in the instants of the call, which checks all else.
    if ended < answered:
        raise Refused("endedAt", ENDS_BEFORE_ANSWER)
    seconds = started_seconds(answered, ended)
    cut = started_seconds(ExactInstant(answered.at), ExactInstant(ended.at))
    return None if seconds == cut else seconds
