"""Source `perminute.telephony`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aws_lambda_powertools.utilities.parser import Field
from pydantic import StrictInt, TypeAdapter

from perminute.application.charge_legs import EndedLeg
from perminute.domain.errors import Refused
from perminute.domain.legs import Leg, LegType, MeetingType
from perminute.events.fields import BookingInstant, Detail, Event, Id, PhoneNumber

if TYPE_CHECKING:
    from datetime import datetime


class CallEndedDetail(Detail):
    """One phone leg that has ended."""

    call_id: Id
    organizer_id: Id
    meeting_id: Id
    meeting_type: MeetingType
    leg_type: LegType
    service_number: PhoneNumber | None = None
    remote_number: PhoneNumber | None = None
    answered_at: BookingInstant | None
    ended_at: BookingInstant
    billable_seconds: StrictInt | None = None


class CallEnded(Event):
    """Telephony reports the end of a leg [organizationId, callId]."""

    source: Literal["perminute.telephony"]
    detail_type: Literal["Call Ended"] = Field(alias="detail-type")
    detail: CallEndedDetail


TELEPHONY: TypeAdapter[CallEnded] = TypeAdapter(CallEnded)


def ended_leg(event: CallEnded, heard_at: datetime | None = None) -> EndedLeg:
    """Turn the event into the domain's words; `Refused` if the leg contradicts itself."""
    try:
        return EndedLeg(_leg(event.detail), event.time, heard_at)
    except Refused as refusal:
        field = f"detail.{refusal.field}"
        raise Refused(field, refusal.message) from None


def _leg(detail: CallEndedDetail) -> Leg:
    return Leg(
        organization_id=detail.organization_id,
        call_id=detail.call_id,
        organizer_id=detail.organizer_id,
        meeting_id=detail.meeting_id,
        meeting_type=detail.meeting_type,
        leg_type=detail.leg_type,
        service_number=detail.service_number,
        remote_number=detail.remote_number,
        answered_at=detail.answered_at,
        ended_at=detail.ended_at,
        billable_seconds=detail.billable_seconds,
    )
