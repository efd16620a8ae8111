"""Instants as aware UTC datetimes, written as RFC 3339 (CONTRACT §1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 time; `ValueError` says what is wrong.

    An offset is required and converted to UTC. Digits below the microsecond are dropped, as
    Graph's seven decimals (DOMAIN §8) need.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        msg = "must be an RFC 3339 time such as 2026-11-02T09:00:00Z"
        raise ValueError(msg)
    if match[2] is None:
        msg = "has no offset; times are UTC, such as 2026-11-02T09:00:00Z"
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        msg = f"is no time of any calendar: {error}"
        raise ValueError(msg) from error


def month_start(at: datetime) -> datetime:
    """Return the first instant of the UTC month in which an instant lies."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def format_instant(instant: datetime) -> str:
    """Write an aware time in UTC, with a fraction only where it has one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
