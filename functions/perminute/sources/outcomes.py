"""What a record becomes: a leg, a skip or a problem. Each record has one of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from perminute.domain.errors import PerminuteError
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.rating.calls import LegType, MeetingType


class SkipReason(StrEnum):
    """Why a record is no leg of ours, by design."""

    NOT_A_CALL_RECORD = "notACallRecord"
    USER_CALL = "userCall"
    BOT_CALL = "botCall"
    NOT_CONFERENCE = "notConference"
    NOT_PHONE = "notPhone"
    TRUNK_LEG = "trunkLeg"
    PROXY_CALL = "proxyCall"
    STREAMING_RECORD = "streamingRecord"
    NOT_ENDED = "notEnded"
    MERGED_LEG = "mergedLeg"
    DUPLICATE = "duplicate"


class ProblemReason(StrEnum):
    """Why an operator must act: the first one in this order that applies to a record."""

    INVALID_SIGNATURE = "invalidSignature"
    UNKNOWN_CALL_TYPE = "unknownCallType"
    INVALID_TIME = "invalidTime"
    INVALID_DURATION = "invalidDuration"
    TIMEZONE_MISMATCH = "timezoneMismatch"
    END_BEFORE_START = "endBeforeStart"
    TOO_LONG = "tooLong"
    UNKNOWN_TENANT = "unknownTenant"
    UNKNOWN_SERVICE_NUMBER = "unknownServiceNumber"
    INVALID_NUMBER = "invalidNumber"
    ORGANIZATION_MISMATCH = "organizationMismatch"
    UNKNOWN_ORGANIZER = "unknownOrganizer"
    CONFLICT = "conflict"


class Skip(NamedTuple):
    """The record is no leg of ours, by design."""

    reason: SkipReason
    message: str = ""  # for the operator; empty if the reason says all
    # It cannot be read, so it may have been a call: what is deployed keeps it like a problem.
    is_damaged: bool = False
    # It lacks what each record of the source has, so it may be one of another source.
    is_foreign: bool = False


class Problem(NamedTuple):
    """The record may be a leg of ours, and an operator must act before it can be charged."""

    reason: ProblemReason
    message: str  # what is wrong, and what to do; repeats no attendee's number


class Leg(NamedTuple):
    """One attendee's call: the fields of a `Call Ended` (docs/events.md)."""

    call_id: str
    organization_id: str
    organizer_id: str
    meeting_id: str
    meeting_type: MeetingType
    leg_type: LegType
    service_number: str | None
    remote_number: str | None
    answered_at: datetime | None
    ended_at: datetime
    billable_seconds: int

    def detail(self) -> dict[str, Any]:
        """Return it as the detail of an event; numbers that are absent are left out."""
        numbers = {"serviceNumber": self.service_number, "remoteNumber": self.remote_number}
        return {
            "callId": self.call_id,
            "organizationId": self.organization_id,
            "organizerId": self.organizer_id,
            "meetingId": self.meeting_id,
            "meetingType": self.meeting_type.value,
            "legType": self.leg_type.value,
            **{name: number for name, number in numbers.items() if number is not None},
            "answeredAt": self.answered_at and format_instant(self.answered_at),
            "endedAt": format_instant(self.ended_at),
            "billableSeconds": self.billable_seconds,
        }


Result: TypeAlias = Leg | Skip | Problem


class Outcome(NamedTuple):
    """What became of one record."""

    at: str  # the file, and the record's place in it
    record: object  # as it was read, for whoever stores what could not be charged
    result: Result


class Rejected(PerminuteError):  # noqa: N818 - an outcome of the business, not a malfunction
    """A record is no leg: raised by a reader at the first reason that applies."""

    def __init__(self, result: Skip | Problem) -> None:
        super().__init__(f"{result.reason}: {result.message}")
        self.result = result


def damaged(message: str) -> Skip:
    """Return what becomes of a record that cannot be read."""
    return Skip(SkipReason.NOT_A_CALL_RECORD, message, is_damaged=True)


def foreign(message: str) -> Skip:
    """Return what becomes of a record that lacks what each record of its source has."""
    return Skip(SkipReason.NOT_A_CALL_RECORD, message, is_foreign=True)


def skip(reason: SkipReason, message: str = "") -> Rejected:
    """Return what to raise for a record that is skipped by design."""
    return Rejected(Skip(reason, message))


def problem(reason: ProblemReason, message: str) -> Rejected:
    """Return what to raise for a record that an operator must look at."""
    return Rejected(Problem(reason, message))
