"""When an event reached us, which is not when it says that it was issued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

MAX_AHEAD = timedelta(days=1)
"""How far a sender's clock may be ahead of ours (ours). What it says of calls and purchases is kept
as it is said, so an event of next year is refused, and kept, instead."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Arrival(NamedTuple):
    """When a message was sent to our queue, if that is known, and the latest time it may state."""

    heard_at: datetime | None
    latest: datetime


def booked_at(sent_at: datetime, heard_at: datetime | None) -> datetime:
    """Return the instant at which an event is booked: its own time, or its arrival if earlier.

    Booking it by a clock that is ahead would expire credit before its time.
    """
    return sent_at if heard_at is None else min(sent_at, heard_at)


def arrival_of(record: dict[str, Any], now: datetime) -> Arrival:
    """Read it from a record of an SQS batch (AWS: attribute `SentTimestamp`, milliseconds)."""
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    heard_at = _EPOCH + timedelta(milliseconds=int(sent)) if sent.isdecimal() else None
    return Arrival(heard_at, max(heard_at or now, now) + MAX_AHEAD)
