"""The in-memory twins of what checks books: the books themselves, what is known, and the work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from perminute.domain.credit.lots import FurtherLots
from perminute.domain.pools.pools import Month, month_of
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.book_checks import (
    BooksCheck,
    BooksCursor,
    CallCost,
    PoolUse,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.adapters.memory.store import InMemoryStore
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.rating.usage_record import Usage

ENTRIES, USAGES = "entries", "usages"
"""The parts of the books, in the order in which they are read."""

CALLS_AT_ONCE = 25
"""Calls that are read together when going back."""


@dataclass
class InMemoryBooks:
    """`Books` over the twin of the stores."""

    store: InMemoryStore

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        account = self.store.account(organization_id)
        further = self.store.further_lots(organization_id)
        return AccountTotals.of(account, further), account.further == FurtherLots.of(further)

    def pools(self, organization_id: str) -> Mapping[Month, PoolUse]:
        pools = self.store.statement(organization_id).pools
        return {
            pool.month: PoolUse(pool.used, hashlib.sha256(repr(pool).encode()).hexdigest()[:16])
            for pool in pools
        }

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        parts: list[tuple[BooksCursor, LedgerEntry | CallCost]] = [
            *(
                (BooksCursor(ENTRIES, entry.entry_id), entry)
                for entry in self._entries(organization_id)
            ),
            *(
                (BooksCursor(USAGES, usage.call.call_id), _cost_of(usage))
                for usage in self.store.usages_of(organization_id)
            ),
        ]
        parts.sort(key=lambda part: part[0])
        return iter([part for part in parts if after is None or part[0] > after])

    def other_entries(self, organization_id: str, *, after: int) -> Iterator[LedgerEntry]:
        listed = self._listed(organization_id)
        return iter(
            [
                entry
                for entry in self._entries(organization_id)
                if int(entry.entry_id) > after and entry.entry_id not in listed
            ]
        )

    def latest_calls(
        self, organization_id: str
    ) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        listed = self._listed(organization_id)
        charges = {entry.entry_id: entry for entry in self._entries(organization_id)}
        usages = [u for u in self.store.usages_of(organization_id) if u.outcome is not Outcome.FREE]
        usages.sort(key=lambda usage: (usage.call.ended_at, usage.call.call_id), reverse=True)
        rest = iter(usages)
        while some := list(islice(rest, CALLS_AT_ONCE)):
            names = {usage.entry_id for usage in some} & listed
            listed -= names
            entries = [charges[name] for name in sorted(filter(None, names)) if name in charges]
            yield entries, [_cost_of(usage) for usage in some]

    def _entries(self, organization_id: str) -> list[LedgerEntry]:
        entries = list(self.store.entries)
        return [entry for entry in entries if entry.organization_id == organization_id]

    def _listed(self, organization_id: str) -> set[str | None]:
        """Name the charges that are stored with the calls that they charge."""
        lists = self.store.postings_of(organization_id).lists
        return {listed.entry.entry_id for listed in lists if listed.entry is not None}


def _cost_of(usage: Usage) -> CallCost:
    movements = tuple((movement.entry_id, movement.amount_micros) for movement in usage.movements)
    costs = tuple(movement for movement in movements if movement[1])
    if not usage.pool_minutes:
        return CallCost(usage.call.call_id, costs)
    return CallCost(usage.call.call_id, costs, month_of(usage.call), usage.pool_minutes)


@dataclass
class InMemoryBookChecks:
    """`BookChecks` in a dictionary."""

    stored: dict[str, BooksCheck] = field(default_factory=dict)

    def check(self, organization_id: str) -> BooksCheck:
        stored = self.stored.get(organization_id)
        return _copied(stored) if stored else BooksCheck(organization_id=organization_id)

    def store(self, check: BooksCheck) -> bool:
        stored = self.stored.get(check.organization_id)
        if check.step != (stored.step if stored else 0):
            return False
        self.stored[check.organization_id] = _copied(replace(check, step=check.step + 1))
        return True

    def all(self) -> Iterator[BooksCheck]:
        return iter([self.check(organization_id) for organization_id in self.stored])


def _copied(check: BooksCheck) -> BooksCheck:
    """Copy the sums of a reading: one that continues changes nothing that is stored."""
    if check.reading is None:
        return check
    sums = check.reading.sums
    ranges = {position: replace(range_sums) for position, range_sums in sums.ranges.items()}
    copied = replace(sums, lots=dict(sums.lots), minutes=dict(sums.minutes), ranges=ranges)
    return replace(check, reading=replace(check.reading, sums=copied))
