"""Source `perminute.telephony`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aws_lambda_powertools.utilities.parser import Field
from pydantic import StrictInt, TypeAdapter

from perminute.application.charge_calls import EndedCall
from perminute.arrivals import booked_at
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import (
    ENDS_BEFORE_ANSWER,
    Call,
    LegType,
    MeetingType,
    read_numbers,
)
from perminute.domain.values.times import ExactInstant, started_seconds
from perminute.events.fields import Detail, Event, ExactBookingInstant, Id, StatedNumber

if TYPE_CHECKING:
    from datetime import datetime


class CallEndedDetail(Detail):
    """One phone call that has ended."""

    call_id: Id = Field(description="the call; unique in the organization")
    organizer_id: Id = Field(description="the user whose licenses and policies count")
    meeting_id: Id = Field(description="the meeting that it belonged to")
    meeting_type: MeetingType = Field(description="only calls of scheduled meetings are charged")
    leg_type: LegType = Field(description="how the attendee joined")
    service_number: StatedNumber = Field(
        default=None,
        description="the number dialed in to; a *phone number*, and required, of dial-ins",
    )
    remote_number: StatedNumber = Field(
        default=None,
        description="the attendee's phone; a *phone number*, and required, of a dialOut",
    )
    answered_at: ExactBookingInstant | None = Field(
        description="null: it was never answered; at most 5 minutes after the event's `time`"
    )
    ended_at: ExactBookingInstant = Field(
        description="when the call ended; at most 5 minutes after the event's `time`"
    )
    billable_seconds: StrictInt | None = Field(
        default=None, description="what telephony measured; used instead of endedAt - answeredAt"
    )

    def happened(self) -> dict[str, datetime | None]:
        """Return when the call was answered, and when it ended."""
        answered_at = self.answered_at
        return {"answeredAt": answered_at and answered_at.at, "endedAt": self.ended_at.at}


class CallEnded(Event):
    """Telephony reports the end of a call [organizationId, callId]."""

    source: Literal["perminute.telephony"]
    detail_type: Literal["Call Ended"] = Field(alias="detail-type")
    detail: CallEndedDetail


TELEPHONY: TypeAdapter[CallEnded] = TypeAdapter(CallEnded)


def ended_call(event: CallEnded, heard_at: datetime | None = None) -> EndedCall:
    """Turn the event into the domain's words; `Refused` if the call contradicts itself."""
    at = booked_at(event.time, heard_at)
    return EndedCall(_call(event.detail), at, heard_at, event_id=event.id)


def _call(detail: CallEndedDetail) -> Call:
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
        service_number=numbers.service_number,
        remote_number=numbers.remote_number,
        answered_at=detail.answered_at and detail.answered_at.at,
        ended_at=detail.ended_at.at,
        billable_seconds=detail.billable_seconds,
        exact_seconds=_exact_seconds(detail),
    )


def _exact_seconds(detail: CallEndedDetail) -> int | None:
    """Return the connected seconds where only digits below the microsecond say so many.

    Raises `Refused` for a call that ends before its answer by less than a microsecond.
    """
    answered, ended = detail.answered_at, detail.ended_at
    if answered is None or detail.billable_seconds is not None:
        return None
    if ended < answered:
        raise Refused("endedAt", ENDS_BEFORE_ANSWER)
    seconds = started_seconds(answered, ended)
    cut = started_seconds(ExactInstant(answered.at), ExactInstant(ended.at))
    return None if seconds == cut else seconds
