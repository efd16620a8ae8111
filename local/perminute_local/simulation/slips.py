"""Figures that a bridge reports by mistake: each more than can have been used by then."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.reservations import REPORT_TOLERANCE
from perminute.domain.rating.calls import MAX_CALL_SECONDS

if TYPE_CHECKING:
    from datetime import timedelta

REFUSED = "a slip of a bridge is refused"
_MOST = REPORT_TOLERANCE.seconds + 1
"""How many seconds a sum may pass the time since the authorization, at most: both are rounded."""


class Slip(StrEnum):
    """What a bridge gets wrong."""

    TOTAL = "total"
    """An update reports all that was used until then as what was used since the report before."""
    MILLISECONDS = "milliseconds"
    """An update reports milliseconds."""
    DAY = "day"
    """A release reports a day."""


class Report(NamedTuple):
    """What is right: seconds that were reported before, and all that were used by now.

    `since` is the time since the call was authorized, or before.
    """

    name: str
    before: int
    used: int
    since: timedelta


def slip_of(slip: Slip | None, report: Report) -> int | None:
    """Return what `usedSeconds` would say by mistake; None if that could be true."""
    match slip, report.name:
        case Slip.TOTAL, "update":
            used = report.used
        case Slip.MILLISECONDS, "update":
            used = 1_000 * (report.used - report.before)
        case Slip.DAY, "release":
            used = MAX_CALL_SECONDS
        case _:
            return None
    is_too_much = report.before + used > report.since.total_seconds() + _MOST
    return used if is_too_much else None
