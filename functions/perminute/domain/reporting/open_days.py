"""Days whose figures may still change although all their calls are charged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.rerating.rerating import earliest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.reporting.periods import Period
    from perminute.domain.rerating.rerating import Rerating


def open_days(
    period: Period, reratings: Iterable[Rerating], pools: Iterable[MinutePool], at: datetime
) -> list[date]:
    """Return the days of a period that waiting re-ratings or unsettled pools may change, by `at`.

    A call is rated again if it was answered since an instant, so it ended on that day or later. An
    unsettled pool changes calls from a place on, up to the last that was answered in its month.
    """
    days: set[date] = set()
    for rerating in reratings:
        instants = (*rerating.since.values(), rerating.pools_since, rerating.seats_since)
        if (since := earliest(instants)) is not None:
            days.update(period.days(since=since.date(), until=at.date()))
    for pool in pools:
        if pool.unsettled is not None:
            until = min(pool.month.last_day, at.date())
            days.update(period.days(since=pool.unsettled.position.day, until=until))
    return sorted(days)
