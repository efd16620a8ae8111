"""A balance that settling minute pools may still change: nothing is notified or bought from it.

A call that comes late is charged for the moment as if the pool had nothing left. A second later the
pool is settled, and the money goes back. A warning that was sent meanwhile was false, and credit
that was bought meanwhile stays bought. So both wait until the pools are settled, for a quarter of
an hour at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from perminute.domain.pools.pools import Month

PROVISIONAL_FOR = timedelta(minutes=15)
"""How long notifications and recharges wait (docs/notifications.md#while-a-pool-is-settled)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisional:
    """Which pools of an account are unsettled, and what waits for them."""

    months: frozenset[Month]
    since: datetime  # when the first of them became unsettled
    # What the balance in the end is compared with: that before, or a higher one after credit was
    # bought or given meanwhile. None once notifications no longer wait.
    balance_micros: int | None
    # Whether something other than a fall of the balance has called for a recharge.
    may_ask: bool = False
    # Whether notifications of single calls wait: the records of these calls say which.
    notifications_held: bool = False

    @property
    def due_at(self) -> datetime | None:
        """When the waiting ends, settled or not; None if it has ended."""
        return None if self.balance_micros is None else self.since + PROVISIONAL_FOR

    def waits_at(self, now: datetime) -> bool:
        """Whether notifications and recharges still wait."""
        due_at = self.due_at
        return due_at is not None and now < due_at

    def with_added_credit(self, balance_micros: int) -> Provisional:
        """Compare with the balance after credit was bought or given, if it is higher."""
        if self.balance_micros is None or self.balance_micros >= balance_micros:
            return self
        return replace(self, balance_micros=balance_micros)

    def over(self) -> Provisional:
        """End the waiting: nothing waits again until all of the pools have been settled."""
        return replace(self, balance_micros=None, may_ask=False)


def with_pools(
    provisional: Provisional | None,
    *,
    unsettled: AbstractSet[Month],
    settled: AbstractSet[Month],
    balance_micros: int,
    now: datetime,
) -> Provisional | None:
    """Return what waits after a transaction that leaves pools unsettled or settled, if any are.

    `balance_micros` is the balance before the transaction.
    """
    known: frozenset[Month] = frozenset() if provisional is None else provisional.months
    months = (known | unsettled) - settled
    if not months:
        return None
    if provisional is None:
        return Provisional(months=months, since=now, balance_micros=balance_micros)
    return replace(provisional, months=months)
