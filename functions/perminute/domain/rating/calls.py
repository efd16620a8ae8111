"""A phone call: one attendee's connection to a meeting, as telephony reports it when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

from perminute.domain.errors import Refused
from perminute.domain.reference.phone_numbers import check_e164, e164_or_withheld

if TYPE_CHECKING:
    from datetime import datetime

# Characters of an id: at four bytes each they fit a DynamoDB sort key with our prefix.
MAX_ID_LENGTH = 250
# A meeting ends after 24 h: a longer call is a broken record, not a bill (docs/domain.md §2.2).
MAX_CALL_SECONDS = 24 * 60 * 60

ENDS_BEFORE_ANSWER = "lies before answeredAt"

_SECOND = timedelta(seconds=1)


class LegType(StrEnum):
    """How the attendee joined (docs/events.md)."""

    TOLL_DIAL_IN = "tollDialIn"
    TOLL_FREE_DIAL_IN = "tollFreeDialIn"
    DIAL_OUT = "dialOut"
    APP = "app"


NumberField = Literal["serviceNumber", "remoteNumber"]

# The number that sets the price: the one that was dialed (docs/domain.md §2.1).
PRICED_BY: dict[LegType, NumberField] = {
    LegType.TOLL_DIAL_IN: "serviceNumber",
    LegType.TOLL_FREE_DIAL_IN: "serviceNumber",
    LegType.DIAL_OUT: "remoteNumber",
}

# The leg types that have rates; joining with the app is never charged.
PHONE_LEG_TYPES = tuple(PRICED_BY)


class Numbers(NamedTuple):
    """The numbers of a call as they are stored; None means absent or withheld."""

    service_number: str | None
    remote_number: str | None


def read_numbers(leg_type: LegType, *, service_number: object, remote_number: object) -> Numbers:
    """Return the numbers as they are stored: any other JSON value than a number is withheld."""
    # Raises `Refused` if that is the number that sets the price (docs/domain.md §2.5).
    return Numbers(
        _read_number(leg_type, "serviceNumber", service_number),
        _read_number(leg_type, "remoteNumber", remote_number),
    )


def _read_number(leg_type: LegType, field: NumberField, number: object) -> str | None:
    if number is None or PRICED_BY.get(leg_type) != field:
        return e164_or_withheld(number)
    try:
        return check_e164(number)
    except ValueError as error:
        raise Refused(field, str(error)) from None


class MeetingType(StrEnum):
    """Only calls of scheduled meetings are charged (docs/domain.md §1.3)."""

    SCHEDULED = "scheduled"
    AD_HOC = "adHoc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One ended call; raises `Refused` if it contradicts itself."""

    # Equal calls are one call delivered twice; unequal ones with the same ids are a conflict.
    organization_id: str
    call_id: str
    organizer_id: str
    meeting_id: str
    meeting_type: MeetingType
    leg_type: LegType
    service_number: str | None = None
    remote_number: str | None = None
    answered_at: datetime | None
    ended_at: datetime
    billable_seconds: int | None = None
    # The connected seconds by all digits that telephony stated, where the instants, which are cut
    # to microseconds, say one less.
    exact_seconds: int | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_duration()

    @property
    def rated_number(self) -> str | None:
        """The number that sets the price, see `PRICED_BY`."""
        return self.remote_number if self.leg_type is LegType.DIAL_OUT else self.service_number

    @property
    def rated_at(self) -> datetime:
        """The instant whose rates, licenses and policies count: the answer, if there was one."""
        return self.answered_at or self.ended_at

    @property
    def listing(self) -> tuple[str, bool, datetime, datetime]:
        """The call in a list of calls: organizer, whether it is a call out, answer and end."""
        return self.organizer_id, self.leg_type is LegType.DIAL_OUT, self.rated_at, self.ended_at

    @property
    def connected_seconds(self) -> int:
        """The started seconds from answer to end, or the billable ones (docs/domain.md §2.2)."""
        if self.answered_at is None:
            return 0
        if self.billable_seconds is not None:
            return self.billable_seconds
        return self._seconds_between(self.answered_at)

    def _seconds_between(self, answered_at: datetime) -> int:
        if self.exact_seconds is not None:
            return self.exact_seconds
        # Floor division of the negated difference rounds a part of a second up.
        return -((answered_at - self.ended_at) // _SECOND)

    def _check_numbers(self) -> None:
        if self.leg_type is LegType.APP or self.rated_number is not None:
            return
        if self.leg_type is LegType.DIAL_OUT:
            raise Refused("remoteNumber", "is required for dialOut: it is the destination")
        raise Refused("serviceNumber", f"is required for {self.leg_type}: it sets the rate")

    def _check_duration(self) -> None:
        billable = self.billable_seconds or 0
        if not 0 <= billable <= MAX_CALL_SECONDS:
            raise Refused("billableSeconds", f"must lie between 0 and {MAX_CALL_SECONDS} (24 h)")
        if self.answered_at is None:
            if billable:
                raise Refused("billableSeconds", "must be 0 or absent when answeredAt is null")
            return
        if self.ended_at < self.answered_at:
            raise Refused("endedAt", ENDS_BEFORE_ANSWER)
        if self._seconds_between(self.answered_at) > MAX_CALL_SECONDS:
            raise Refused(
                "endedAt", "lies more than 24 h after answeredAt; no meeting lasts as long"
            )
