"""Go over the calls of an unsettled minute pool in their order, a bounded piece at a time.

Only as far as any of them can get another number of minutes: days on which there was enough for all
and still is are passed over, and where the calls up to a place have drawn as much as before, those
after it keep what they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.looking_again import CALLS_PER_TRANSACTION, MAX_LOOKED_AT
from perminute.domain.credit.ledger import RERATING
from perminute.domain.errors import Contended
from perminute.domain.pools.pools import MinutePool, Month, Pools, Position
from perminute.domain.pools.settling import (
    drawings,
    past_ample_days,
    settled_where_rest_stays,
)
from perminute.domain.rerating.rerating import Rerated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from perminute.application.looking_again import LookingAgain, Progress
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.ports import ListedCall

MAX_LISTS = 5_000
"""Lists of calls that are read for one step; a day is always read to its end."""

MAX_STEPS = 100
"""Steps of one invocation, those included that others were faster at."""


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
        left: _Next | None = None
        for _ in range(MAX_STEPS):
            pool = self.again.credit.pools(organization_id, [month])[month]
            if pool.unsettled is None:
                return
            if left is None or not pool.is_at_step_of(left.pool):
                left = self._next(pool)
            step = _Step(self.again, left)
            # Without time it raises: if nothing was written, no record brings the next piece.
            progress.rerated += self.again.commit(
                organization_id, month.start, deadline, step, is_now=False
            )
            progress.looked_at += step.settled
            left = step.left
            if progress.looked_at >= end or deadline.passed:
                return

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


@dataclass(slots=True)
class _Step:
    """Settles a pool one transaction further.

    `settled` counts the calls of the last try. `left` is what was read beyond them, if nobody has
    drawn since it was read: then it need not be read again.
    """

    again: LookingAgain
    found: _Next
    settled: int = 0
    left: _Next | None = None

    def __call__(self, account: Account, at: datetime) -> Transaction | None:
        """Decide it; None if somebody else was faster, and what was read is out of date."""
        self.settled, self.left = 0, None
        month = self.found.pool.month
        pool = self.again.credit.pools(account.organization_id, [month])[month]
        if pool.unsettled is None or not pool.is_at_step_of(self.found.pool):
            return None
        calls = self.found.calls[:CALLS_PER_TRANSACTION]
        last = _position(calls[-1]) if calls else Position.start_of(self.found.day)
        if pool.was_drawn_on_before(last):
            # From this step on it is known what has drawn since the calls were read.
            licensing = self.again.licensing.for_account(account, ())
            return self._booking(account, at, pool.read_again(), (), licensing)
        is_as_read = pool.drawn_from is None
        usages, ratings, licensing = self.again.rated_anew(account, calls)
        if self.found.day > _cursor(pool).ended_at.date():
            pool = pool.settled_until(self.found.day)
        minutes: tuple[int, ...] = ()
        if calls:
            pool, minutes = pool.settled(drawings(usages, ratings), licensing, at)
            pool = pool.settled_past(last)
        rest = self.found.calls[CALLS_PER_TRANSACTION:]
        pool = settled_where_rest_stays(pool)
        if not rest:
            pool = past_ample_days(pool, licensing, at)
        if rest and is_as_read and pool.unsettled is not None:
            self.left = _Next(pool, self.found.day, rest)
        self.settled = len(calls)
        rerated = [
            Rerated(usage, rating.usage(taken, usage.reserved_minutes))
            for usage, rating, taken in zip(usages, ratings, minutes, strict=True)
        ]
        return self._booking(account, at, pool, rerated, licensing)

    def _booking(
        self,
        account: Account,
        at: datetime,
        pool: MinutePool,
        rerated: Sequence[Rerated],
        licensing: Licensing,
    ) -> Transaction | None:
        pools = Pools({pool.month: self.found.pool}, licensing)
        pools.put(pool)
        return self.again.booking(account, rerated, pools, at, f"{RERATING}pool#{pool.month}")


def _cursor(pool: MinutePool) -> Position:
    if pool.unsettled is None:
        msg = f"the pool of {pool.organization_id} for {pool.month} was settled meanwhile"
        raise Contended(msg)
    return pool.unsettled.position


def _in_order(calls: list[ListedCall]) -> tuple[ListedCall, ...]:
    return tuple(sorted(calls, key=_position))


def _position(call: ListedCall) -> Position:
    return Position(call.ended_at, call.call_id)
