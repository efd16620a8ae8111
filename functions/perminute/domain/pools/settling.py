"""How many minutes each call has once all calls of a month draw on the pool in their order.

A call that comes late for its pool changes what calls after it got. If these are few, they are
corrected in the transaction that charges it (`settle_at_once`): then nothing is provisional. If
not, they are gone through afterwards, a piece at a time: no further than any of them can get
another number of minutes (`settled_where_rest_stays`, `past_ample_days`).
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import RERATING
from perminute.domain.pools.pools import (
    LONGEST_CALL,
    DrawPosition,
    MinutePool,
    SettlementCursor,
    added,
    answered_at,
    month_of,
)
from perminute.domain.rerating.corrections import ReratedCall, correct_calls, count_corrected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.credit.lots import Lot
    from perminute.domain.credit.transaction import ReplacedUsage
    from perminute.domain.credit.transaction_builder import TransactionBuilder
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.limits.spending import SpendChange, SpendCounters
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage

_DAY = timedelta(days=1)


class PoolClaim(NamedTuple):
    """The minutes of a recorded call: what it has drawn until now, wants, and had reserved."""

    call: Call
    drawn: int
    wanted: int
    reserved: int = 0

    @classmethod
    def of(cls, usage: Usage, rating: Rating) -> PoolClaim:
        """Return the claim of a call that is rated again."""
        wanted = rating.pool_minutes_wanted
        return cls(usage.call, usage.pool_minutes, wanted, usage.reserved_minutes)


def settle_next(
    pool: MinutePool, claims: Sequence[PoolClaim], licensing: Licensing, now: datetime
) -> tuple[MinutePool, tuple[int, ...]]:
    """Give the next calls after the cursor their minutes, in order; return these and the pool."""
    if pool.unsettled is None:
        msg = f"the pool of {pool.organization_id} for {pool.month} is settled"
        raise ValueError(msg)
    minutes = tuple(_allotted(pool, pool.unsettled, claims, licensing, now))
    (last, used_of_day, reserved_of_day), scope = pool.unsettled, pool.scope
    drawn_until = min(pool.drawn_until or last, last)
    used, reserved = Counter[date](), Counter[date]()
    for claim, allotted in zip(claims, minutes, strict=True):
        position, own = DrawPosition.of(claim.call), min(claim.reserved, claim.wanted)
        if position.day != last.day:
            used_of_day = reserved_of_day = 0
        last, drawn_until = position, position if allotted else drawn_until
        used_of_day, reserved_of_day = used_of_day + allotted, reserved_of_day + own
        used[last.day] += allotted - claim.drawn
        reserved[last.day] += own - claim.reserved
    settled = pool._replace(
        used_by_day=added(pool.used_by_day, used),
        reserved_by_day=added(pool.reserved_by_day, reserved),
        drawn_until=drawn_until,
        scope=scope and scope._replace(more=scope.more + used.total()),
        unsettled=SettlementCursor(last, used_of_day, reserved_of_day),
    )
    return settled.at_next_step(), minutes


def _allotted(
    pool: MinutePool,
    cursor: SettlementCursor,
    claims: Sequence[PoolClaim],
    licensing: Licensing,
    now: datetime,
) -> Iterator[int]:
    used = cursor.minutes_of_day + _sum_before(cursor.position.day, pool.used_by_day)
    reserved, held = reserved_after(cursor, pool), pool.held.amount_at(now)
    for claim in claims:
        reserved -= claim.reserved
        left = licensing.pool_minutes_for_calls(answered_at(claim.call)) - used
        own = min(claim.reserved, left)
        minutes = min(claim.wanted, max(0, own, left - reserved - held))
        used += minutes
        yield minutes


def reserved_after(cursor: SettlementCursor, pool: MinutePool) -> int:
    """Return the minutes that calls after a cursor had reserved, and drew."""
    until = cursor.reserved_of_day + _sum_before(cursor.position.day, pool.reserved_by_day)
    return sum(pool.reserved_by_day.values()) - until


def _sum_before(day: date, by_day: Mapping[date, int]) -> int:
    return sum(minutes for other, minutes in by_day.items() if other < day)


def settled_past(pool: MinutePool, position: DrawPosition) -> MinutePool:
    """Move the cursor on within its day, past calls that have turned out to end elsewhere."""
    if pool.unsettled is None or pool.unsettled.position >= position:
        return pool
    return pool._replace(unsettled=pool.unsettled._replace(position=position))


def settled_until(pool: MinutePool, day: date) -> MinutePool:
    """Move the cursor to the start of a day, before which no call is left; or finish."""
    if day > pool.month.last_day:
        return _finished(pool)
    return pool.at_next_step()._replace(unsettled=SettlementCursor(DrawPosition.start_of(day)))


def _finished(pool: MinutePool) -> MinutePool:
    return pool.at_next_step()._replace(unsettled=None, scope=None, drawn_from=None)


def settled_where_rest_stays(pool: MinutePool) -> MinutePool:
    """Settle a pool if no call after its cursor can get another number of minutes."""
    # That is so if all that has changed lies before the cursor, and the calls up to there have
    # drawn as many minutes as they had when those after them got theirs.
    if pool.unsettled is None or pool.scope is None:
        return pool
    until, more, _ = pool.scope
    if until > pool.unsettled.position or more:
        return pool
    return _finished(_with_bound_of_rest(pool))


def past_ample_days(pool: MinutePool, licensing: Licensing, now: datetime) -> MinutePool:
    """Move the cursor to the start of the next day on which calls may get other minutes."""
    # A day is passed over if there is enough for all calls up to its end, as there was when they
    # got their minutes: then each of them has all that it wanted. That must hold on the cursor's
    # own day as well, since calls of it may not have been read. Not before the last call that did
    # not get its minutes in order: on the days up to it there may be others like it.
    if pool.unsettled is None or pool.scope is None:
        return pool
    position, (until, more, _) = pool.unsettled.position, pool.scope
    if until > position:
        return pool
    day, end = position.day, pool.month.last_day + _DAY
    reserved = reserved_after(pool.unsettled, pool) + pool.held.amount_at(now)
    while day < end:
        # Until the end of the day, by now, or before if that was more. One more than before: then a
        # call that found just nothing left did not get all that it wanted.
        used = _sum_before(day + _DAY, pool.used_by_day)
        if reserved + max(used, used - more + 1) > _fewest(pool, day, licensing):
            break
        day += _DAY
    return pool if day <= position.day + _DAY else settled_until(_with_bound_of_rest(pool), day)


def _fewest(pool: MinutePool, day: date, licensing: Licensing) -> int:
    # The fewest minutes that there can have been for any call that ended on the day.
    start = DrawPosition.start_of(day).ended_at
    since = pool.month.clamp(start - LONGEST_CALL)
    until = pool.month.clamp(start + _DAY)
    return licensing.fewest_pool_minutes(since, until + timedelta(microseconds=1))


def _with_bound_of_rest(pool: MinutePool) -> MinutePool:
    # The calls behind the cursor keep the minutes that they have.
    last = pool.scope.drawn_until if pool.scope is not None else None
    if last is None or (pool.unsettled is not None and last <= pool.unsettled.position):
        return pool
    return pool._replace(drawn_until=last)


class Settlement(NamedTuple):
    """A pool that is settled in the transaction that would leave it unsettled."""

    pool: MinutePool
    licensing: Licensing  # of the organizers of recorded calls
    # The calls that the transaction charges, with the minutes that are theirs.
    charged: tuple[Usage, ...]
    corrected: tuple[ReratedCall, ...]  # recorded calls that get other minutes
    # Lots to which what they paid may go back, as in `rerate`; so are `opened`.
    further: Sequence[Lot] | None = None
    opened: Mapping[str, Lot] = MappingProxyType({})

    def correct(
        self, builder: TransactionBuilder, spend_counters: SpendCounters
    ) -> tuple[tuple[ReplacedUsage, ...], tuple[SpendChange, ...]]:
        """Correct the recorded calls; return their records, and what that changes for limits."""
        cause = f"{RERATING}pool#{self.pool.month}"
        replaced = correct_calls(builder, self.corrected, self.opened, cause)
        return replaced, count_corrected(builder, replaced, spend_counters, self.licensing)


def settle_at_once(
    pool: MinutePool,
    charged: Sequence[tuple[Usage, Rating]],
    recorded: Sequence[tuple[Usage, Rating]],
    licensing: Licensing,
    now: datetime,
) -> Settlement:
    """Assign minutes again from where a pool is unsettled on (docs/domain.md §4.2)."""
    # `charged` are the calls that have made it so, as they would be charged; those that drew before
    # that place have what is theirs. `recorded` are all others from there on.
    new = [
        (usage, rating)
        for usage, rating in charged
        if rating.draws_on_pool
        and month_of(rating.call) == pool.month
        and pool.is_unsettled_at(DrawPosition.of(rating.call))
    ]
    claims = [PoolClaim.of(usage, rating) for usage, rating in (*new, *recorded)]
    claims.sort(key=lambda claim: DrawPosition.of(claim.call))
    pool, minutes = settle_next(pool, claims, licensing, now)
    given = {claim.call.call_id: taken for claim, taken in zip(claims, minutes, strict=True)}

    def settled(usage: Usage, rating: Rating) -> Usage:
        taken = given.get(usage.call.call_id, usage.pool_minutes)
        return rating.usage(taken, usage.reserved_minutes, usage.authorized_at)

    rerated = (ReratedCall(usage, settled(usage, rating)) for usage, rating in recorded)
    return Settlement(
        pool=settled_until(pool, pool.month.last_day + _DAY),
        licensing=licensing,
        charged=tuple(settled(usage, rating) for usage, rating in charged),
        corrected=tuple(call for call in rerated if call.differs),
    )
