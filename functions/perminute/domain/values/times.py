"""Instants as aware UTC datetimes, written as RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-5][0-9])?",
    re.ASCII,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The instant from which AWS and call records count."""


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 time, which must have an offset; raises `ValueError`."""
    # Drops the digits that `digits_below_microsecond` reads.
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
        msg = f"is not a time of any calendar: {error}"
        raise ValueError(msg) from error


# How far the clock that stamped a detail may be ahead of the one that stamped the event's `time`.
# Without a bound a call that "ended" in 2056 is charged, and credit that was "bought" in 2031 pays
# calls of today. Synchronized clocks differ by far less (our decision).
MAX_CLOCK_AHEAD = timedelta(minutes=5)

_MICROSECOND, _SECOND = timedelta(microseconds=1), timedelta(seconds=1)


class ExactInstant(NamedTuple):
    """An instant as it was stated: cut to microseconds, and the decimal digits that follow."""

    # Compares like the instants themselves, since the digits have no zeros at their end.
    at: datetime
    below: str = ""

    def __str__(self) -> str:
        """Write it as RFC 3339, with all its digits."""
        if not self.below:
            return format_instant(self.at)
        whole = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
        return f"{whole}{self.below}Z"


def digits_below_microsecond(text: str) -> str:
    """Return the digits that `parse_instant` drops, without zeros at the end."""
    # RFC 3339 allows any number of digits, and Graph writes seven. Shorter texts have none of them.
    if len(text) <= len("2026-11-02T09:00:00.123456Z"):
        return ""
    match = _RFC3339.fullmatch(text)
    fraction = match[1] if match is not None else None
    return "" if fraction is None else fraction[1 + 6 :].rstrip("0")


def started_seconds(start: ExactInstant, end: ExactInstant) -> int:
    """Return the seconds from one instant to a later one; a part of a second counts as one."""
    # Less than a microsecond more is rounded up with the rest, and less than one less as well.
    elapsed = end.at - start.at + _MICROSECOND * (end.below > start.below)
    return -(-elapsed // _SECOND)


def month_start(at: datetime) -> datetime:
    """Return the first instant of the UTC month in which an instant lies."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def format_instant(instant: datetime) -> str:
    """Write an aware time in UTC, with a fraction only where it has one."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def instant_text(instant: datetime | None) -> str | None:
    """Write an instant; None if there is none."""
    return None if instant is None else format_instant(instant)


def end_of(day: date) -> datetime:
    """Return the instant at which a UTC day is over."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1)
