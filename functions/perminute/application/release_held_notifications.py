"""Notify of single calls that have waited long enough for their pools to be settled."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from perminute.application.looking_again import CALLS_PER_TRANSACTION, MAX_LOOKED_AT
from perminute.domain.pools.pools import Month, Position
from perminute.domain.rerating.rerating import release_held_notifications

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.looking_again import LookingAgain
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.pools.pools import MinutePool


@dataclass(frozen=True, slots=True)
class ReleaseHeldNotifications:
    """The use case, over what it shares with settling the pools."""

    again: LookingAgain

    def __call__(self, account: Account, deadline: Deadline) -> None:
        """Go through the next calls that the pools have to settle, and notify of those that wait.

        At most `MAX_LOOKED_AT` calls: as the pools are settled, others become the next ones.
        """
        organization_id = account.organization_id
        months = account.provisional.months if account.provisional else frozenset[Month]()
        pools = self.again.credit.pools(organization_id, months)
        waiting = (name for month in sorted(months) for name in self._unsettled(pools[month]))
        call_ids = list(islice(waiting, MAX_LOOKED_AT))
        is_all = next(waiting, None) is None
        # Where there is none, one piece takes note of that.
        pieces = range(0, len(call_ids), CALLS_PER_TRANSACTION) or (0,)
        for start in pieces:
            step = _Step(
                self.again,
                call_ids[start : start + CALLS_PER_TRANSACTION],
                is_last=is_all and start == pieces[-1],
            )
            self.again.commit(organization_id, min(months).start, deadline, step, is_now=False)

    def _unsettled(self, pool: MinutePool) -> Iterator[str]:
        """Name the calls that may draw on a pool after the place that it is settled up to."""
        if pool.unsettled is None:
            return
        start = Position.start_of(pool.unsettled.position.ended_at.date()).ended_at
        for listed in self.again.calls.dial_outs(pool.organization_id, since=start):
            if listed.day > pool.month.last_day:
                return
            for call in listed.calls:
                position = Position(call.ended_at, call.call_id)
                is_of_month = Month.of(call.answered_at) == pool.month
                if call.dial_out and is_of_month and pool.is_unsettled_at(position):
                    yield call.call_id


@dataclass(frozen=True, slots=True)
class _Step:
    """Notifies of some calls, if they still wait."""

    again: LookingAgain
    call_ids: Sequence[str]
    is_last: bool

    def __call__(self, account: Account, at: datetime) -> Transaction | None:
        """Decide it by the records as they are now; None if nothing is to be written."""
        usages = self.again.calls.usages(account.organization_id, self.call_ids)
        held = [usage for usage in usages if usage.notifications_held]
        if account.provisional is None or not (held or self.is_last):
            return None
        return release_held_notifications(account, held, at=at, is_last=self.is_last)
