"""Go over the calls of an unsettled minute pool in their order, a bounded piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.looking_again import CALLS_PER_POSTING, MAX_LOOKED_AT
from perminute.domain.errors import Contended
from perminute.domain.ledger import RERATING
from perminute.domain.pools import Drawing, MinutePool, Month, Pools, Position
from perminute.domain.rerating import Rerated

if TYPE_CHECKING:
    from datetime import date, datetime

    from perminute.application.looking_again import LookingAgain, Progress
    from perminute.application.patience import Deadline
    from perminute.domain.accounts import Account
    from perminute.domain.books import Booking
    from perminute.ports import ListedCall

MAX_LISTS = 5_000
"""Lists of calls that are read for one step; a day is always read to its end."""


class _Next(NamedTuple):
    """What was read of a pool: the next day on which calls may have drawn, and those in order."""

    pool: MinutePool
    day: date
    calls: tuple[ListedCall, ...]


@dataclass(frozen=True, slots=True)
class SettlePools:
    """The use case, over what it shares with re-rating."""

    again: LookingAgain

    def __call__(
        self, organization_id: str, month: Month, progress: Progress, deadline: Deadline
    ) -> None:
        """Give the next calls what is theirs, until none is left or it is enough for now.

        Calls are read before the account is, and what was read is checked against the pool as it
        is then. Only a call that drew among those just read makes it read again.
        """
        end = progress.looked_at + MAX_LOOKED_AT
        while progress.looked_at < end and not deadline.passed:
            pool = self.again.credit.pools(organization_id, [month])[month]
            if pool.unsettled is None:
                return
            found = self._next(pool)
            progress.rerated += self.again.commit(
                organization_id, month.start, deadline, partial(self._step, found)
            )
            progress.looked_at += min(len(found.calls), CALLS_PER_POSTING)

    def _step(self, found: _Next, account: Account, at: datetime) -> Booking | None:
        """Settle a pool one posting further."""
        month = found.pool.month
        organization_id = account.organization_id
        pool = self.again.credit.pools(organization_id, [month])[month]
        calls = found.calls[:CALLS_PER_POSTING]
        last = _position(calls[-1]) if calls else Position.start_of(found.day)
        cause = f"{RERATING}pool#{month}"
        if not pool.still_holds(found.pool, last):
            licensing = self.again.licensing.for_account(account, ())
            pools = Pools({month: pool}, licensing)
            if pool.unsettled is not None:
                pools.put(pool.read_again())
            return self.again.booking(account, (), pools, at, cause)
        usages, ratings, licensing = self.again.rated_anew(account, calls)
        if found.day > _cursor(pool).ended_at.date():
            pool = pool.settled_until(found.day)
        minutes: tuple[int, ...] = ()
        if calls:
            drawings = [
                Drawing(usage.leg, usage.pool_minutes, rating.pool_minutes_wanted)
                for usage, rating in zip(usages, ratings, strict=True)
            ]
            pool, minutes = pool.settled(drawings, licensing)
        rerated = [
            Rerated(usage, rating.usage(taken))
            for usage, rating, taken in zip(usages, ratings, minutes, strict=True)
        ]
        pools = Pools({month: pool}, licensing)
        pools.put(pool)
        return self.again.booking(account, rerated, pools, at, cause)

    def _next(self, pool: MinutePool) -> _Next:
        """Find the next day after the cursor on which dial-outs of the month ended, and these.

        If there are none for many lists, how far that was; or the day after the last possible one.
        """
        cursor = _cursor(pool)
        start = Position.start_of(cursor.ended_at.date()).ended_at
        found: list[ListedCall] = []
        day = start.date()
        lists = self.again.calls.dial_outs(pool.organization_id, since=start)
        for read, listed in enumerate(lists):
            if listed.day > pool.month.last_day:
                break
            if listed.day > day:
                if found or read >= MAX_LISTS:
                    return _Next(pool, day if found else listed.day, _in_order(found))
                day = listed.day
            found += (
                call
                for call in listed.calls
                if call.dial_out
                and Month.of(call.answered_at) == pool.month
                and _position(call) > cursor
            )
        if found:
            return _Next(pool, day, _in_order(found))
        return _Next(pool, pool.month.last_day + timedelta(days=1), ())


def _cursor(pool: MinutePool) -> Position:
    if pool.unsettled is None:
        msg = f"the pool of {pool.organization_id} for {pool.month} was settled meanwhile"
        raise Contended(msg)
    return pool.unsettled.position


def _in_order(calls: list[ListedCall]) -> tuple[ListedCall, ...]:
    return tuple(sorted(calls, key=_position))


def _position(call: ListedCall) -> Position:
    return Position(call.ended_at, call.call_id)
