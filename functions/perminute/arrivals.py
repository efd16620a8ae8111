"""When an event reached us, which is not when it says that it was issued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

MAX_AHEAD = timedelta(days=1)
"""How far a sender's clock may be ahead of ours (ours). Time is booked by the events' own times, so
one of next year would forfeit a year's credit; it is refused, and kept, instead."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Arrival(NamedTuple):
    """When a message was sent to our queue, if that is known, and the latest time it may state."""

    heard_at: datetime | None
    latest: datetime


def arrival_of(record: dict[str, Any], now: datetime) -> Arrival:
    """Read it from a record of an SQS batch (AWS: attribute `SentTimestamp`, milliseconds)."""
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    heard_at = _EPOCH + timedelta(milliseconds=int(sent)) if sent.isdecimal() else None
    return Arrival(heard_at, max(heard_at or now, now) + MAX_AHEAD)
