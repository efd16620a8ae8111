"""Settle minute pools: give calls that came out of order the minutes that are theirs.

At once, in the transaction that would leave a pool unsettled, if few calls are concerned. Else
afterwards, a bounded piece at a time, and only as far as any call can get another number of
minutes. Notifications of calls that wait for that are sent after a quarter of an hour all the same.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.recorded_calls import CALLS_PER_PIECE, CALLS_PER_TRANSACTION
from perminute.domain.credit.ledger import RERATING
from perminute.domain.errors import Contended, Throttled, Unavailable
from perminute.domain.pools.pools import DrawPosition, MinutePool, MinutePools, Month
from perminute.domain.pools.settling import (
    PoolClaim,
    Settlement,
    past_ample_days,
    settle_at_once,
    settle_next,
    settled_past,
    settled_until,
    settled_where_rest_stays,
)
from perminute.domain.rerating.corrections import ReratedCall, release_held_notifications

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, datetime

    from perminute.application.recorded_calls import RecordedCalls, ReratingProgress
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.rating.rating import Rating
    from perminute.ports.stores import CallList, ListedCall

MAX_LISTS = 5_000  # lists of calls that are read for one step; a day is always read to its end
MAX_STEPS = 100  # steps of one invocation, those included that others were faster at
# Recorded calls that are gone through while others wait to be charged: more would not fit anyway.
MAX_SETTLED_AT_ONCE = 40
# Lists of calls that are read for it, dial-ins among them: a page or a few of a query.
MAX_LISTS_AT_ONCE = 300


def _of_pool(
    pool: MinutePool, lists: Iterable[CallList]
) -> Iterator[tuple[date, list[ListedCall]]]:
    for listed in lists:
        if listed.day > pool.month.last_day:
            return
        yield (
            listed.day,
            [
                call
                for call in listed.calls
                if call.dial_out
                and Month.of(call.answered_at) == pool.month
                and pool.is_unsettled_at(_position(call))
            ],
        )


def _position(call: ListedCall) -> DrawPosition:
    return DrawPosition(call.ended_at, call.call_id)


class _CallsOfDay(NamedTuple):
    pool: MinutePool  # the pool as it was before the calls were read
    day: date
    calls: tuple[ListedCall, ...]


def settle_pool(
    recorded: RecordedCalls,
    organization_id: str,
    month: Month,
    progress: ReratingProgress,
    deadline: Deadline,
) -> None:
    """Give the next calls the minutes that are theirs, until none is left or a piece is done."""
    # Calls are read before the account is, and the pool says whether what was read holds: so a busy
    # organization's pool is settled as well, whose account changes while calls are read.
    end = progress.looked_at + CALLS_PER_PIECE
    read: _CallsOfDay | None = None
    for _ in range(MAX_STEPS):
        pool = recorded.credit.pools(organization_id, [month])[month]
        if pool.unsettled is None:
            return
        if read is None or not pool.is_at_step_of(read.pool):
            read = _read(recorded, pool, pool.unsettled.position.day)
        # Without time it raises: if nothing was written, no record brings the next piece.
        step = partial(_step, recorded, read)
        booking = recorded.commit(organization_id, month.start, deadline, step, is_now=False)
        read = _rest(read, booking, progress)
        if progress.looked_at >= end or deadline.passed:
            return


def _read(recorded: RecordedCalls, pool: MinutePool, since: date) -> _CallsOfDay:
    # The next day on which calls may have drawn. If there is none in many lists, it is how far
    # these went; or the day after the last one.
    found: list[ListedCall] = []
    day, start = since, DrawPosition.start_of(since).ended_at
    lists = recorded.calls.dial_outs(pool.organization_id, since=start)
    for read, (listed_day, calls) in enumerate(_of_pool(pool, lists)):
        if listed_day > day:
            if found or read >= MAX_LISTS:
                break
            day = listed_day
        found += calls
    else:
        listed_day = pool.month.last_day + timedelta(days=1)
    in_order = tuple(sorted(found, key=_position))
    return _CallsOfDay(pool, day if found else listed_day, in_order)


def _step(
    recorded: RecordedCalls, read: _CallsOfDay, account: Account, at: datetime
) -> Transaction | None:
    # None: another step was faster, and what was read is out of date.
    month = read.pool.month
    pool = recorded.credit.pools(account.organization_id, [month])[month]
    if pool.unsettled is None or not pool.is_at_step_of(read.pool):
        return None
    since, calls = pool.unsettled.position.day, read.calls[:CALLS_PER_TRANSACTION]
    last = _position(calls[-1]) if calls else DrawPosition.start_of(read.day)
    rerated: list[ReratedCall] = []
    if pool.was_drawn_on_before(last):
        # From this step on it is known what has drawn since the calls were read.
        licensing = recorded.licensing.for_account(account, ())
        pool = pool.at_next_step()._replace(drawn_from=None)
    else:
        rated, licensing = recorded.rated_again(account, calls)
        if read.day > since:
            pool = settled_until(pool, read.day)
        if calls:
            claims = [PoolClaim.of(usage, rating) for usage, rating in rated]
            pool, minutes = settle_next(pool, claims, licensing, at)
            pool = settled_past(pool, last)
            rerated = [
                ReratedCall(usage, rating.usage(taken, usage.reserved_minutes))
                for (usage, rating), taken in zip(rated, minutes, strict=True)
            ]
        pool = settled_where_rest_stays(pool)
        if len(read.calls) == len(calls):
            pool = past_ample_days(pool, licensing, at)
    pools = MinutePools({month: read.pool}, licensing)
    pools.put(pool)
    return recorded.corrected(account, rerated, pools, at, f"{RERATING}pool#{month}")


def _rest(
    read: _CallsOfDay, booking: Transaction | None, progress: ReratingProgress
) -> _CallsOfDay | None:
    if booking is None:
        return None
    (pool,) = booking.pools
    if pool.unsettled == read.pool.unsettled:
        return None
    progress.rerated += booking.rerated
    progress.looked_at += len(read.calls[:CALLS_PER_TRANSACTION])
    rest = read.calls[CALLS_PER_TRANSACTION:]
    return _CallsOfDay(pool, read.day, rest) if rest else None


def settle_with_charge(  # noqa: PLR0913 - the parts of the charge
    recorded: RecordedCalls,
    account: Account,
    booking: Transaction,
    ratings: Sequence[Rating],
    *,
    now: datetime,
    most: int,
) -> Settlement | None:
    """Settle the pool that a charge would leave unsettled; None if that is done later."""
    # Hardly ever is anything even read. What cannot be read, or if it is more than `most` calls, is
    # no reason not to charge. Nor are lots that fall due between the report of a call and now,
    # which would not be there to give anything back to.
    unsettled = [pool for pool in booking.pools if pool.unsettled is not None]
    due_at = account.lots_due_at
    is_due = due_at is not None and due_at <= now
    if account.provisional is not None or len(unsettled) != 1 or is_due:
        return None
    charged = list(zip(booking.usages, ratings, strict=True))
    try:
        listed = _recorded_of(recorded, unsettled[0], most)
        # A call that is recorded already is not charged again: the transaction finds that out.
        charged_ids = {usage.call.call_id for usage in booking.usages}
        if listed is None or any(call.call_id in charged_ids for call in listed):
            return None
        rated, licensing = recorded.rated_again(account, listed)
        settlement = settle_at_once(unsettled[0], charged, rated, licensing, now)
        further, opened = recorded.lots_given_back(account, settlement.corrected)
    except (Contended, Throttled):
        raise
    except Unavailable:
        return None
    alive = {lot_id: lot for lot_id, lot in opened.items() if lot.expires_at > now}
    return settlement._replace(further=further, opened=alive)


def _recorded_of(recorded: RecordedCalls, pool: MinutePool, most: int) -> list[ListedCall] | None:
    # None: there are many. Lists without dial-outs are read as well, to be able to stop: a query
    # that filters them goes through any number of them.
    assert pool.unsettled is not None  # noqa: S101 - as the caller has found
    since = pool.unsettled.position.ended_at
    found: list[ListedCall] = []
    lists = recorded.calls.lists(pool.organization_id, since=since)
    for read, (_, calls) in enumerate(_of_pool(pool, lists)):
        found += calls
        if len(found) > most or read >= MAX_LISTS_AT_ONCE:
            return None
    return found


def notify_without_settling(recorded: RecordedCalls, account: Account, deadline: Deadline) -> None:
    """Notify of the next `CALLS_PER_PIECE` calls that their pools have to settle."""
    # As the pools are settled, others become the next ones.
    organization_id = account.organization_id
    months = account.provisional.months if account.provisional else frozenset[Month]()
    pools = recorded.credit.pools(organization_id, months)
    waiting = (name for month in sorted(months) for name in _unsettled(recorded, pools[month]))
    call_ids = list(islice(waiting, CALLS_PER_PIECE))
    is_all = next(waiting, None) is None
    # Where there is none, one piece takes note of that.
    pieces = range(0, len(call_ids), CALLS_PER_TRANSACTION) or (0,)
    for start in pieces:
        some = call_ids[start : start + CALLS_PER_TRANSACTION]
        release = partial(_release, recorded, some, is_last=is_all and start == pieces[-1])
        recorded.commit(organization_id, min(months).start, deadline, release, is_now=False)


def _unsettled(recorded: RecordedCalls, pool: MinutePool) -> Iterator[str]:
    if pool.unsettled is not None:
        since = DrawPosition.start_of(pool.unsettled.position.day).ended_at
        lists = recorded.calls.dial_outs(pool.organization_id, since=since)
        for _, calls in _of_pool(pool, lists):
            yield from (call.call_id for call in calls)


def _release(
    recorded: RecordedCalls,
    call_ids: Sequence[str],
    account: Account,
    at: datetime,
    *,
    is_last: bool,
) -> Transaction | None:
    usages = recorded.calls.usages(account.organization_id, call_ids)
    held = [usage for usage in usages if usage.notifications_held]
    if account.provisional is None or not (held or is_last):
        return None
    return release_held_notifications(account, held, at=at, is_last=is_last)
