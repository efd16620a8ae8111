"""Who pays for a call: what the record states, completed by the directory (docs/sources.md)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.rating.calls import MAX_CALL_SECONDS, LegType, MeetingType
from perminute.domain.reference.phone_numbers import e164_or_withheld
from perminute.domain.values.printable import one_line
from perminute.sources.outcomes import Leg, ProblemReason, problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from perminute.domain.reference.directory import Directory, DirectoryEntry
    from perminute.sources.stated_call import StatedCall

_WHO_SAYS_IT = (
    "the record",
    "the row of its room",
    "the row of its number",
    "the row of its tenant",
)
_NOTHING, _LONGEST = timedelta(0), timedelta(seconds=MAX_CALL_SECONDS)


class _Entries(NamedTuple):
    """What the directory says of whom and what a record names."""

    tenant: DirectoryEntry | None
    number: DirectoryEntry | None
    room: DirectoryEntry | None
    user: DirectoryEntry | None


def resolve(call: StatedCall, directory: Directory, source: str) -> Leg:
    """Return the leg of a call. Raises `Rejected` with the first reason that applies."""
    _check_times(call)

    at = call.answered_at or call.ended_at
    service_number = e164_or_withheld(call.service_number)
    entries = _Entries(
        tenant=directory.tenants.find(call.tenant, source=source, at=at),
        number=directory.numbers.find(service_number, source=source, at=at),
        room=directory.conferences.find(call.room, source=source, at=at),
        user=_first(directory.users.find(key, source=source, at=at) for key in call.users),
    )
    _check_tenant(call, entries)
    leg_type = _leg_type(call, entries)
    remote_number = e164_or_withheld(call.remote_number)
    if call.is_dial_out and remote_number is None:
        raise problem(
            ProblemReason.INVALID_NUMBER,
            "the destination of the dial-out is not an E.164 number, so it has no rate",
        )
    organization_id = _organization(call, entries)
    room = entries.room
    return Leg(
        call_id=call.call_id,
        organization_id=organization_id,
        organizer_id=_organizer(call, entries),
        meeting_id=call.meeting_id
        or (room and room.meeting_id)
        or call.conference_id
        or call.call_id,
        meeting_type=call.meeting_type or (room and room.meeting_type) or MeetingType.SCHEDULED,
        leg_type=leg_type,
        service_number=service_number,
        remote_number=remote_number,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        billable_seconds=call.billable_seconds,
    )


def _check_times(call: StatedCall) -> None:
    if call.answered_at is None:
        return
    lasted = call.ended_at - call.answered_at
    if lasted < _NOTHING:
        message = "the call ended before it began: check the clock of the system that wrote it"
        raise problem(ProblemReason.END_BEFORE_START, message)
    if lasted > _LONGEST:
        message = "the call lasted more than 24 h: no meeting lasts as long"
        raise problem(ProblemReason.TOO_LONG, message)


def _check_tenant(call: StatedCall, entries: _Entries) -> None:
    if call.tenant and entries.tenant is None and call.organization_id is None:
        message = f"the directory has no row tenant,{_shown(call.tenant)} for the time of the call"
        raise problem(ProblemReason.UNKNOWN_TENANT, message)


def _leg_type(call: StatedCall, entries: _Entries) -> LegType:
    if call.is_dial_out:
        return LegType.DIAL_OUT
    if entries.number is None or entries.number.leg_type is None:
        # The number is one of ours, or was meant to be: no attendee's.
        message = (
            f"the directory has no row number,{_shown(call.service_number or '')} for the time of "
            "the call: add the number with its leg_type"
        )
        raise problem(ProblemReason.UNKNOWN_SERVICE_NUMBER, message)
    return entries.number.leg_type


def _organization(call: StatedCall, entries: _Entries) -> str:
    tenant, number, room, _ = entries
    said = (
        call.organization_id,
        room.organization_id if room else None,
        number.organization_id if number else None,
        tenant.organization_id if tenant else None,
    )
    named = set(filter(None, said))
    if not named:
        message = "neither the record nor the directory says whose call it is: name the tenant"
        raise problem(ProblemReason.UNKNOWN_TENANT, message)
    if len(named) > 1:
        pairs = zip(_WHO_SAYS_IT, said, strict=True)
        message = ", ".join(f"{who} says {_shown(what)}" for who, what in pairs if what)
        raise problem(ProblemReason.ORGANIZATION_MISMATCH, message)
    return named.pop()


def _organizer(call: StatedCall, entries: _Entries) -> str:
    named = call.organizer_id or (entries.room and entries.room.organizer_id)
    if named:
        return named
    if call.users:
        # A user whom nobody knows is never replaced by the owner of the number.
        user = entries.user
        listed = user.organizer_id if user else call.user_is_organizer and call.users[0]
        if listed:
            return listed
        message = f"the directory has no row user,{_shown(call.users[0])} for the time of the call"
        raise problem(ProblemReason.UNKNOWN_ORGANIZER, message)
    owner = entries.number and entries.number.organizer_id
    if owner:
        return owner
    message = (
        "neither the record nor the directory says who organized the meeting: give its number or "
        "its room an organizer_id"
    )
    raise problem(ProblemReason.UNKNOWN_ORGANIZER, message)


def _first(entries: Iterable[DirectoryEntry | None]) -> DirectoryEntry | None:
    return next((entry for entry in entries if entry is not None), None)


def _shown(key: str) -> str:
    return one_line(key, at_most=64)
