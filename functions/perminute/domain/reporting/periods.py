"""The period of a report."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

_INSTANT, _DAY = timedelta(microseconds=1), timedelta(days=1)


class Period(NamedTuple):
    """The half-open interval of a report; neither end need be midnight."""

    since: datetime
    until: datetime

    def includes(self, at: datetime) -> bool:
        """Whether an instant lies in the period."""
        return self.since <= at < self.until

    @property
    def last_day(self) -> date:
        """The UTC day of the last instant."""
        return (self.until - _INSTANT).date()

    @property
    def whole_days_end(self) -> datetime:
        """When the last of its UTC days is over: lists of calls are of whole days."""
        return end_of(self.last_day)

    def days(self, *, since: date, until: date) -> Iterator[date]:
        """Go through the UTC days of the period that lie from one day to another."""
        day = max(since, self.since.date())
        while day <= min(until, self.last_day):
            yield day
            day += _DAY
