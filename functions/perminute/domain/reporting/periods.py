"""The period of a report."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reporting.postings import MAX_REVISED_DAYS
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, datetime

_INSTANT, _DAY = timedelta(microseconds=1), timedelta(days=1)


class Period(NamedTuple):
    """The half-open interval of a report; neither end need be midnight."""

    since: datetime
    until: datetime

    @property
    def is_empty(self) -> bool:
        """Whether it contains no instant."""
        return self.since >= self.until

    def includes(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        return self.since <= at < self.until

    @property
    def last_day(self) -> date:
        """The UTC day of its last instant."""
        return (self.until - _INSTANT).date()

    @property
    def end_of_days(self) -> datetime:
        """The end of its last UTC day: a list contains calls of one day."""
        return end_of(self.last_day)

    @property
    def revised_until(self) -> datetime:
        """The end of the days whose revisions may be of calls that ended in the period."""
        return self.end_of_days + timedelta(days=MAX_REVISED_DAYS)

    def days(self, *, since: date, until: date) -> Iterator[date]:
        """Go through its UTC days from one day to another."""
        day = max(since, self.since.date())
        while day <= min(until, self.last_day):
            yield day
            day += _DAY
