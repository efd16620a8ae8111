"""What is a call's of its minute pool once all calls of the month are gone over in their order.

A call that comes late for its pool changes what calls after it got. If these are few, they are
corrected in the very booking that charges it (`Settlement`): then nothing is provisional. If not,
the pool is marked as unsettled, and they are gone over afterwards, a piece at a time: no further
than any of them can get another number of minutes (`settled_where_rest_stays`, `past_ample_days`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import RERATING
from perminute.domain.pools.pools import Drawing, MinutePool, Position, month_of
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.rerating.rerating import Rerated, correct_calls, count_corrected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction_builder import TransactionBuilder
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.limits.spending import SpendingChange, Spendings
    from perminute.domain.pools.pools import Pools
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage

_DAY = timedelta(days=1)
_LONGEST_CALL = timedelta(seconds=MAX_CALL_SECONDS)


def drawings(usages: Sequence[Usage], ratings: Sequence[Rating]) -> list[Drawing]:
    """Say of recorded calls what they had of their pool, and what they want of it by now."""
    return [
        Drawing(
            call=usage.call,
            had=usage.pool_minutes,
            wanted=rating.pool_minutes_wanted,
            reserved=usage.reserved_minutes,
        )
        for usage, rating in zip(usages, ratings, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """A pool that is settled in the booking that would leave it unsettled, and whom it concerns.

    `minutes` are those of the calls that the booking charges, by their ids. `corrected` are
    recorded calls of which something else is made; `further` and `opened` are the lots to which
    what they paid may go back (see `rerate`). `licensing` is that of the recorded calls.
    """

    pool: MinutePool
    licensing: Licensing
    minutes: Mapping[str, int]
    corrected: tuple[Rerated, ...]
    further: Sequence[Lot] | None = None
    opened: Mapping[str, Lot] = field(default_factory=dict)

    @property
    def change_micros(self) -> int:
        """By how much credit is to pay more for recorded calls."""
        return sum(one.change_micros for one in self.corrected)

    @property
    def dearer_ended_at(self) -> list[datetime]:
        """When recorded calls ended for which credit is to pay more: expired lots may do that."""
        return [one.after.call.ended_at for one in self.corrected if one.change_micros > 0]

    @property
    def cheaper(self) -> list[Usage]:
        """The records of calls for which credit is to pay less, as they were before."""
        return [one.before for one in self.corrected if one.change_micros < 0]

    def give_minutes(
        self, usages: Sequence[Usage], ratings: Sequence[Rating], pools: Pools
    ) -> tuple[Usage, ...]:
        """Give the calls that are charged what is theirs, and put the pool in its place."""
        pools.put(self.pool)
        return tuple(
            replace(
                rating.usage(self.minutes[rating.call.call_id], usage.reserved_minutes),
                authorized_at=usage.authorized_at,
            )
            if rating.call.call_id in self.minutes
            else usage
            for usage, rating in zip(usages, ratings, strict=True)
        )

    def correct(
        self, builder: TransactionBuilder, spendings: Spendings
    ) -> tuple[tuple[Usage, ...], tuple[SpendingChange, ...]]:
        """Correct the recorded calls; returns their records, and what that changes for limits."""
        cause = f"{RERATING}pool#{self.pool.month}"
        usages = correct_calls(builder, self.corrected, self.opened, cause)
        both = zip((one.before for one in self.corrected), usages, strict=True)
        return usages, count_corrected(builder, both, spendings, self.licensing)


def settled_where_rest_stays(pool: MinutePool) -> MinutePool:
    """Settle a pool if no call after its cursor can get another number of minutes.

    That is so if all that has changed lies before the cursor, and the calls up to there have drawn
    as many minutes as they had when those after them got theirs.
    """
    if pool.unsettled is None or pool.disturbed is None:
        return pool
    until, more, _ = pool.disturbed
    if until > pool.unsettled.position or more:
        return pool
    return replace(_with_bound_of_rest(pool).read_again(), unsettled=None, disturbed=None)


def past_ample_days(pool: MinutePool, licensing: Licensing, now: datetime) -> MinutePool:
    """Move the cursor to the start of the next day on which calls may get other minutes.

    A day is passed over if there is enough for all calls up to its end, as there was when they got
    their minutes: then each of them has all that it wanted. That must hold on the cursor's own day
    as well, since calls of it may not have been read. Not before the last call that did not get its
    minutes in order: on the days up to it there may be others like it.
    """
    if pool.unsettled is None or pool.disturbed is None:
        return pool
    position, (until, more, _) = pool.unsettled.position, pool.disturbed
    if until > position:
        return pool
    day = own = position.ended_at.date()
    end = pool.month.last_day + _DAY
    spoken_for = pool.reserved_after(pool.unsettled) + pool.held.amount_at(now)
    while day < end and spoken_for + _most_used(pool, day, more) <= _fewest(pool, day, licensing):
        day += _DAY
    return pool if day <= own + _DAY else _with_bound_of_rest(pool).settled_until(day)


def _most_used(pool: MinutePool, day: date, more: int) -> int:
    """Count the minutes drawn until the end of a day, by now, or before if that was more.

    One more than before: then a call that found just nothing left did not get all that it wanted.
    """
    used = sum(minutes for other, minutes in pool.used_by_day.items() if other <= day)
    return max(used, used - more + 1)


def _fewest(pool: MinutePool, day: date, licensing: Licensing) -> int:
    """Count the fewest minutes that there can have been for any call that ended on a day."""
    start = Position.start_of(day).ended_at
    since = pool.month.nearest(start - _LONGEST_CALL)
    until = pool.month.nearest(start + _DAY)
    return licensing.fewest_pool_minutes(since, until + timedelta(microseconds=1))


def _with_bound_of_rest(pool: MinutePool) -> MinutePool:
    """Put the bound where it was, if that is behind the cursor: those calls keep what they have."""
    last = pool.disturbed.last if pool.disturbed is not None else None
    if last is None or (pool.unsettled is not None and last <= pool.unsettled.position):
        return pool
    return replace(pool, bound=last)


def settle_at_once(
    pool: MinutePool,
    charged: tuple[Sequence[Usage], Sequence[Rating]],
    recorded: tuple[Sequence[Usage], Sequence[Rating]],
    licensing: Licensing,
    now: datetime,
) -> Settlement:
    """Give all calls from the place on at which a pool is unsettled what is theirs.

    `charged` are the calls that have made it so, as they would be charged; those that drew before
    that place have what is theirs. `recorded` are all others from there on.
    """
    new = [
        (usage, rating)
        for usage, rating in zip(*charged, strict=True)
        if rating.draws_on_pool
        and month_of(rating.call) == pool.month
        and pool.is_unsettled_at(Position.of(rating.call))
    ]
    all_of_them = sorted(
        (*new, *zip(*recorded, strict=True)), key=lambda one: Position.of(one[0].call)
    )
    usages, ratings = [one for one, _ in all_of_them], [one for _, one in all_of_them]
    pool, minutes = pool.settled(drawings(usages, ratings), licensing, now)
    given = {usage.call.call_id: taken for usage, taken in zip(usages, minutes, strict=True)}
    rerated = (
        Rerated(usage, rating.usage(given[usage.call.call_id], usage.reserved_minutes))
        for usage, rating in zip(*recorded, strict=True)
    )
    return Settlement(
        pool=pool.settled_until(pool.month.last_day + timedelta(days=1)),
        licensing=licensing,
        minutes={usage.call.call_id: given[usage.call.call_id] for usage, _ in new},
        corrected=tuple(one for one in rerated if one.differs),
    )
