"""Settle a minute pool in the transaction that would leave it unsettled, if it has few calls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perminute.domain.errors import Contended, Unavailable
from perminute.domain.pools.pools import Month, Position
from perminute.domain.pools.settling import Settlement, settle_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.application.looking_again import LookingAgain
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.rating import Rating
    from perminute.ports import ListedCall

MAX_SETTLED_AT_ONCE = 40
"""Recorded calls that are gone over while others wait to be charged: more would not fit anyway."""

MAX_LISTS_AT_ONCE = 300
"""Lists of calls that are read for it, dial-ins among them: a page or a few of a query."""


@dataclass(frozen=True, slots=True)
class SettleAtOnce:
    """Finds out what it takes, over what it shares with those that settle pools afterwards."""

    again: LookingAgain
    most: int

    def __call__(
        self, account: Account, booking: Transaction, ratings: Sequence[Rating], now: datetime
    ) -> Settlement | None:
        """Settle the pool that a booking would leave unsettled, if it is the only one.

        None if the booking is to be committed as it is: hardly ever is anything even read. What
        cannot be read is no reason not to charge: it is settled later. So is it where lots fall due
        between the report of a call and now, which would not be there to give anything back to.
        """
        pool = _newly_unsettled(account, booking)
        due_at = account.lots_due_at
        if pool is None or (due_at is not None and due_at <= now):
            return None
        try:
            return self._settle(account, booking, ratings, pool, now)
        except Contended:
            raise
        except Unavailable:
            return None

    def _settle(
        self,
        account: Account,
        booking: Transaction,
        ratings: Sequence[Rating],
        pool: MinutePool,
        now: datetime,
    ) -> Settlement | None:
        listed = self._recorded(pool)
        charged = {usage.call.call_id for usage in booking.usages}
        # A call that is recorded already is not charged again: the transaction finds that out.
        if listed is None or any(call.call_id in charged for call in listed):
            return None
        usages, anew, licensing = self.again.rated_anew(account, listed)
        settlement = settle_at_once(pool, (booking.usages, ratings), (usages, anew), licensing, now)
        further, opened = self.again.lots_given_back(account, settlement.corrected)
        alive = {lot_id: lot for lot_id, lot in opened.items() if lot.expires_at > now}
        return replace(settlement, further=further, opened=alive)

    def _recorded(self, pool: MinutePool) -> list[ListedCall] | None:
        """Read which calls may have drawn from where a pool is unsettled; None, there are many.

        Lists without dial-outs are read as well, to be able to stop: a query that filters them goes
        through any number of them.
        """
        assert pool.unsettled is not None  # noqa: S101 - see `_newly_unsettled`
        cursor = pool.unsettled.position
        found: list[ListedCall] = []
        lists = self.again.calls.lists(pool.organization_id, since=cursor.ended_at)
        for read, listed in enumerate(lists):
            if listed.day > pool.month.last_day:
                break
            found += (
                call
                for call in listed.calls
                if call.dial_out
                and Month.of(call.answered_at) == pool.month
                and Position(call.ended_at, call.call_id) > cursor
            )
            if len(found) > self.most or read >= MAX_LISTS_AT_ONCE:
                return None
        return found


def _newly_unsettled(account: Account, booking: Transaction) -> MinutePool | None:
    """Name the pool that a booking leaves unsettled, if that is the only one of the account."""
    unsettled = [pool for pool in booking.pools if pool.unsettled is not None]
    return unsettled[0] if account.provisional is None and len(unsettled) == 1 else None
