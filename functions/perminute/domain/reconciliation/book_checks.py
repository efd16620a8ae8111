"""Sums of an organization's books, added up in any order, and how far a check of them has come.

`reconciliation` needs all books in memory, up to some hundred thousand entries. Here the memory is
constant in the number of entries and calls: amounts that must agree one by one are multiplied by a
weight of their entry before they are added up. If not each of them agrees, the sums agree once in
2¹²⁶.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import LedgerEntry, entry_id
from perminute.domain.reconciliation.reconciliation import (
    AccountTotals,
    Difference,
    account_differences,
    pool_differences,
    unequal,
)
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from perminute.domain.pools.pools import Month
    from perminute.domain.reconciliation.reconciliation import Found

WHOLE_WITHIN_DAYS = 28
"""Days within which each organization's books are read whole, unless the stack says otherwise."""

RANGES = 256
"""Ranges of entries that are added up apart, each of one entry if there are few: a difference names
its range."""

MAX_DIFFERENCES = 50
"""Differences that are listed at most."""

NOTHING_PROVEN = AccountTotals()

_PRIME = 2**127 - 1
_PRESENT = 2**96
"""Added to each balance, so that an entry counts even where the balance is 0."""


class CallCost(NamedTuple):
    """What a call cost by its usage record."""

    call_id: str
    # Micro-units by entry; None if the call cost something and names no entry.
    movements: tuple[tuple[str | None, int], ...]
    month: Month | None = None
    pool_minutes: int = 0  # of the month's pool


class PoolUse(NamedTuple):
    """How many minutes a pool has given, and a digest of its record to see whether it changed."""

    used: int
    digest: str


@dataclass(slots=True)
class RangeSums:
    """The sums of one range of entries."""

    entries: int = 0
    charged_micros: int = 0  # by the entries
    called_micros: int = 0  # by the calls that name them
    chain: int = 0  # 0 if each entry is there once and goes on from the balance before
    charges: int = 0  # 0 if each charge is what the calls that name it cost


@dataclass(slots=True, kw_only=True)
class BookSums:
    """What the entries after a checkpoint, up to a number, and the calls that name them add up to.

    Begin with `begin`. Entries never change, so none before the checkpoint is read again.
    """

    since: AccountTotals
    until: int
    balance_micros: int
    debt_micros: int
    lots: dict[str, int]
    ranges: dict[int, RangeSums] = field(default_factory=dict)
    unnamed_micros: int = 0  # of calls that name no entry
    uncounted: int = 0  # entries with a number that the account cannot have counted
    minutes: dict[Month, int] = field(default_factory=dict)
    entries: int = 0
    calls: int = 0

    @classmethod
    def begin(cls, since: AccountTotals, until: int) -> BookSums:
        """Begin to add up the entries after a checkpoint."""
        sums = cls(
            since=since,
            until=until,
            balance_micros=since.balance_micros,
            debt_micros=since.debt_micros,
            lots=dict(since.lots),
        )
        if since.entries < until:
            sums._expect_after(since.entries, since.balance_micros)
        return sums

    def add(self, part: LedgerEntry | CallCost) -> None:
        """Add an entry, or what a call cost; each must be added once, in any order."""
        if isinstance(part, LedgerEntry):
            self._add_entry(part)
        else:
            self._add_call(part)

    def add_all(self, parts: Iterable[LedgerEntry | CallCost]) -> None:
        """Add several."""
        for part in parts:
            self.add(part)

    def _add_entry(self, entry: LedgerEntry) -> None:
        number = _number(entry.entry_id)
        # Entries after `until`, and the costs of calls that name them, were booked meanwhile.
        if number > self.until or 0 < number <= self.since.entries:
            return
        self.entries += 1
        if number == 0:
            self.uncounted += 1
            return
        sums = self._range(number)
        sums.entries += 1
        before_micros = entry.balance_after_micros - entry.amount_micros
        sums.chain = (sums.chain + _weight(number) * (before_micros + _PRESENT)) % _PRIME
        if number < self.until:
            self._expect_after(number, entry.balance_after_micros)
        if entry.of_calls:
            sums.charged_micros -= entry.amount_micros
            sums.charges = (sums.charges - _weight(number) * entry.amount_micros) % _PRIME
        self.balance_micros += entry.amount_micros
        self.debt_micros += entry.debt_change_micros
        for share in entry.lots:
            left_micros = self.lots.pop(share.lot_id, 0) + share.amount_micros
            if left_micros:
                self.lots[share.lot_id] = left_micros

    def _add_call(self, cost: CallCost) -> None:
        self.calls += 1
        for name, micros in cost.movements:
            number = _number(name or "")
            if self.since.entries < number <= self.until:
                sums = self._range(number)
                sums.called_micros += micros
                sums.charges = (sums.charges - _weight(number) * micros) % _PRIME
            elif number == 0:
                self.unnamed_micros += micros
        if cost.month is not None and cost.pool_minutes:
            self.minutes[cost.month] = self.minutes.get(cost.month, 0) + cost.pool_minutes

    def _expect_after(self, number: int, balance_micros: int) -> None:
        """Expect the next entry to begin at this balance."""
        sums = self._range(number + 1)
        weighted = _weight(number + 1) * (balance_micros + _PRESENT)
        sums.chain = (sums.chain - weighted) % _PRIME

    def _range(self, number: int) -> RangeSums:
        position = (number - self.since.entries - 1) // self._width
        return self.ranges.setdefault(position, RangeSums())

    @property
    def _width(self) -> int:
        return max(1, -(-(self.until - self.since.entries) // RANGES))

    def all_ranges(self) -> Iterator[tuple[range, RangeSums]]:
        """Yield each range of numbers that entries must have, with its sums."""
        first, width = self.since.entries + 1, self._width
        for position, start in enumerate(range(first, self.until + 1, width)):
            numbers = range(start, min(start + width, self.until + 1))
            yield numbers, self.ranges.get(position) or RangeSums()


def agrees(sums: BookSums, account: AccountTotals) -> bool:
    """Whether everything that was added up agrees, except for minute pools."""
    return next(_differences(sums, account), None) is None


def differences(
    organization_id: str,
    sums: BookSums,
    account: AccountTotals,
    pools: Mapping[Month, PoolUse] | None = None,
) -> tuple[Difference, ...]:
    """Return what does not agree; `pools` are those that did not change meanwhile."""
    used = {month: pool.used for month, pool in (pools or {}).items()}
    found = [*_differences(sums, account), *pool_differences(used, sums.minutes)]
    return tuple(
        Difference(organization_id, message, tuple(entry_ids))
        for message, entry_ids in found[:MAX_DIFFERENCES]
    )


def _differences(sums: BookSums, account: AccountTotals) -> Iterator[Found]:
    if sums.uncounted:
        yield f"the ledger has {sums.uncounted} entries that the account never counted", ()
    for numbers, range_sums in sums.all_ranges():
        yield from _range_differences(range_sums, numbers)
    summed = AccountTotals(
        balance_micros=sums.balance_micros, debt_micros=sums.debt_micros, lots=sums.lots
    )
    yield from account_differences(account, summed)
    if sums.unnamed_micros:
        yield f"calls for {format_micros(sums.unnamed_micros)} name no entry", ()


def _range_differences(sums: RangeSums, numbers: range) -> Iterator[Found]:
    # The only entry of the range, or its first and its last one.
    named = [entry_id(number) for number in sorted({numbers[0], numbers[-1]})]
    if sums.entries < len(numbers):
        missing = len(numbers) - sums.entries
        are = "is" if missing == 1 else "are"
        yield f"{missing} of {len(numbers)} entries {are} missing", named
    elif sums.entries > len(numbers):
        yield f"there are {sums.entries} entries in the place of {len(numbers)}", named
    elif sums.chain:
        # A missing entry breaks the chain of the entry after it, too.
        yield "the balance before is not the balance after the entry before", named
    if sums.charged_micros != sums.called_micros:
        what, cost = "the entries charge", "but the calls that name them cost"
        yield from unequal(what, sums.charged_micros, cost, sums.called_micros, named)
    elif sums.charges:
        yield "the entries charge in sum what calls cost, but not each of them", named


def _number(name: str) -> int:
    """Return the number of an entry; 0 if it is no entry's id."""
    return int(name) if name.isdecimal() else 0


@lru_cache(maxsize=4_096)
def _weight(number: int) -> int:
    digest = blake2b(number.to_bytes(8, "big"), digest_size=16, person=b"perminute books")
    return int.from_bytes(digest.digest(), "big") % _PRIME


class BooksCursor(NamedTuple):
    """How far books were read: up to which key of which part, by the store's own names."""

    part: str
    key: str


@dataclass(slots=True, kw_only=True)
class BooksReading:
    """A reading of all books of an organization, as far as it has come."""

    at: datetime  # of the run for which it began
    account: AccountTotals  # when it began, as are `pools`
    pools: Mapping[Month, PoolUse]
    sums: BookSums  # of everything up to `cursor`
    cursor: BooksCursor | None = None
    again: bool = False  # all books were read before, and did not agree


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksCheck:
    """What is known of an organization's books."""

    organization_id: str
    step: int = 0  # writes of this record: each takes effect only on the step that was read
    checked_at: datetime | None = None  # the last run that was carried out
    whole_at: datetime | None = None  # the last run that read all books, and they agreed
    checkpoint: AccountTotals = NOTHING_PROVEN  # the next check continues from there
    differences: int = 0  # found by the last run
    reading: BooksReading | None = None  # set while all books are being read

    def agreed(self, at: datetime, account: AccountTotals) -> BooksCheck:
        """Return the record after the entries since the checkpoint have agreed."""
        return replace(self, checked_at=at, checkpoint=account.checkpoint(), differences=0)

    def agreed_whole(self, at: datetime, account: AccountTotals) -> BooksCheck:
        """Return the record after all books have agreed."""
        return replace(self.agreed(at, account), whole_at=at, reading=None)

    def differed(self, at: datetime, differences: int) -> BooksCheck:
        """Return the record after differences are certain: the checkpoint stays where it is."""
        return replace(self, checked_at=at, differences=differences, reading=None)


def is_due_whole(check: BooksCheck, at: datetime, within_days: int) -> bool:
    """Whether a run must read all books, and not only what came after the checkpoint.

    Books that differ are read whole every night until they agree, and others once within the days.
    """
    if check.whole_at is None or check.differences:
        return True
    days = (at.date() - check.whole_at.date()).days
    # Each organization has a day of its own, by a hash of its name, so that the same share is read
    # whole every night.
    slot = int.from_bytes(sha256(check.organization_id.encode()).digest()[:8], "big")
    has_its_day = (at.toordinal() - slot) % within_days == 0
    return days >= within_days or (has_its_day and days > 0)
