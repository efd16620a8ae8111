"""The state of a call that was asked for, for a bridge that has restarted."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from perminute.domain.authorization.reservations import Decision, Operation
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.authorization.reservations import Reservation


class CallState(StrEnum):
    """What a bridge may still do about a call."""

    UNDER_WAY = "underWay"
    """Its last grant has not lapsed."""
    DENIED = "denied"
    """Its last request was denied: it was never let in, or is to be hung up and released."""
    LAPSED = "lapsed"
    """Nothing is reserved for it any more but what it has used: its bridge stopped reporting."""
    RELEASED = "released"
    ENDED = "ended"
    """Its `Call Ended` is recorded, or it was charged by what its bridge reported."""


def state_of(call: Reservation | Usage, at: datetime) -> CallState:
    """Return the state of a call at an instant; only whether it has lapsed depends on that."""
    if isinstance(call, Usage):
        return CallState.ENDED
    if call.asked.operation is Operation.RELEASE:
        return CallState.RELEASED
    if call.answer.decision is Decision.DENY:
        return CallState.DENIED
    until = call.grant_lapses_at
    return CallState.LAPSED if until is None or until <= at else CallState.UNDER_WAY


def under_way_since(call: Reservation) -> datetime | None:
    """Return when a call was let in, if it was and has not been released; None otherwise."""
    return call.call.rated_at if call.may_go_on else None
