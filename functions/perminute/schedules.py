"""What a scheduled run is told: the time for which it was scheduled, however late it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute.domain.errors import Refused
from perminute.domain.times import parse_instant

if TYPE_CHECKING:
    from datetime import datetime


def scheduled_time(event: dict[str, Any]) -> datetime:
    """Read `time`, which the schedule of template.yaml fills in; `Refused` says what is wrong."""
    try:
        return parse_instant(event["time"])
    except KeyError:
        raise Refused("time", "is required; the schedule fills it in") from None
    except (TypeError, ValueError) as error:
        raise Refused("time", str(error)) from error
