"""What a scheduled run is told: the time for which it was scheduled, however late it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute.domain.errors import Refused
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime


def scheduled_time(event: dict[str, Any]) -> datetime:
    """Read `time`, which the schedule of template.yaml fills in; `Refused` says what is wrong."""
    return _instant(event, "time")


def days_until(event: dict[str, Any]) -> datetime | None:
    """Read until when days are over whose digests are sent, if who starts a run by hand says so."""
    return _instant(event, "daysUntil") if "daysUntil" in event else None


def _instant(event: dict[str, Any], name: str) -> datetime:
    try:
        return parse_instant(event[name])
    except KeyError:
        raise Refused(name, "is required; the schedule fills it in") from None
    except (TypeError, ValueError) as error:
        raise Refused(name, str(error)) from error
