"""An event cannot report what had not happened when it was sent."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.errors import Refused
from perminute.domain.values.times import MAX_CLOCK_AHEAD

if TYPE_CHECKING:
    from perminute.events.fields import Event


def check_has_happened(event: Event) -> None:
    """Raises `Refused`, by field, for what lies more than `MAX_CLOCK_AHEAD` after the event."""
    latest = event.time + MAX_CLOCK_AHEAD
    happened = event.detail.happened().items()
    fields = [name for name, at in happened if at is not None and at > latest]
    if fields:
        minutes = MAX_CLOCK_AHEAD // timedelta(minutes=1)
        raise Refused(
            fields[0],
            f"lies more than {minutes} minutes after the event's time"
            + "".join(f"; so does {field}" for field in fields[1:])
            + "; set the sender's clocks right and send it again",
        )
