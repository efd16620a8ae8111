"""Sums of an organization's books, added up entry by entry and call by call, in any order.

`reconciliation` holds all of an organization in memory and names each wrong entry. That ends at
some hundred thousand entries. Here the memory is constant in the number of entries and calls: what
could only be compared one by one is multiplied by a weight of its entry first. Sums of weighted
amounts are equal if the amounts are, one by one; if they are not, they are equal once in 2¹²⁶.

What was proven up to a checkpoint need not be added up again: see `Checkpoint`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import LedgerEntry, entry_id
from perminute.domain.credit.lots import FurtherLots, total_micros
from perminute.domain.reconciliation.reconciliation import Difference, unequal
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.pools.pools import Month

RANGES = 256
"""Ranges of entries that are added up apart: a difference names the range, which is a single entry
if there are no more than these."""

MAX_DIFFERENCES = 50
"""Differences that are listed: books that are wrong throughout are described in some lines."""

_PRIME = 2**127 - 1
_PRESENT = 2**96
"""Added to each balance, so that an entry counts even where the balance is 0."""


class CallCost(NamedTuple):
    """What a usage record says of money: micro-units by entry, and minutes of the month's pool.

    None in the place of an entry: the call cost something and names no entry.
    """

    call_id: str
    movements: tuple[tuple[str | None, int], ...]
    month: Month | None = None
    pool_minutes: int = 0


class PoolUse(NamedTuple):
    """How many minutes a pool has given, and a digest of its record to see whether it changed."""

    used: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Books that agreed: the number of their last entry, and how the account stood after it.

    Entries are never changed, so later ones go on from here. `lots` is what was left of each lot.
    """

    entries: int = 0
    balance_micros: int = 0
    debt_micros: int = 0
    lots: Mapping[str, int] = field(default_factory=dict)


NOTHING_PROVEN = Checkpoint()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account at one version: what its entries and calls must add up to.

    `stated_micros` is what the account says that its further lots hold, and `further_micros` what
    they hold.
    """

    entries: int
    balance_micros: int
    debt_micros: int
    lots: Mapping[str, int]
    stated_micros: int = 0
    further_micros: int = 0

    @classmethod
    def of(cls, account: Account, further: Lots) -> Standing:
        """Sum up an account and its further lots."""
        return cls(
            entries=account.entries,
            balance_micros=account.balance_micros,
            debt_micros=account.debt_micros,
            lots={lot.lot_id: lot.remaining_micros for lot in (*account.lots, *further)},
            stated_micros=account.lots_micros - total_micros(account.lots),
            further_micros=total_micros(further),
        )

    def checkpoint(self) -> Checkpoint:
        """Return what later entries go on from, if all agrees up to here."""
        lots = {lot_id: micros for lot_id, micros in self.lots.items() if micros}
        return Checkpoint(
            entries=self.entries,
            balance_micros=self.balance_micros,
            debt_micros=self.debt_micros,
            lots=lots,
        )


def read_at_once(account: Account, further: Lots) -> bool:
    """Whether an account and its further lots, read one after the other, belong together."""
    return account.further == FurtherLots.of(further)


@dataclass(slots=True)
class RangeSums:
    """The sums of one range of entries.

    `chain` is 0 if each entry is there once and goes on from the balance after the one before;
    `charges` is 0 if each charge is what the calls that name it cost.
    """

    entries: int = 0
    charged_micros: int = 0
    called_micros: int = 0
    chain: int = 0
    charges: int = 0


@dataclass(slots=True, kw_only=True)
class Sums:
    """The sums of the entries after a checkpoint, up to a number, and of what calls name them."""

    since: Checkpoint
    until: int
    ranges: dict[int, RangeSums] = field(default_factory=dict)
    amount_micros: int = 0
    debt_micros: int = 0
    lots: Counter[str] = field(default_factory=Counter)
    unnamed_micros: int = 0
    """What calls cost that name no entry."""
    strange: int = 0
    """Entries with a number that the account cannot have counted."""
    minutes: Counter[Month] = field(default_factory=Counter)
    entries: int = 0
    calls: int = 0

    @classmethod
    def begin(cls, since: Checkpoint, until: int) -> Sums:
        """Begin to add up the entries after a checkpoint."""
        sums = cls(since=since, until=until)
        if since.entries < until:
            sums._go_on_from(since.entries, since.balance_micros)
        return sums

    def add(self, part: LedgerEntry | CallCost) -> None:
        """Add an entry, or what a call cost; each must be added once, and the order is free.

        Entries after `until` and calls that name them are left out: they were booked meanwhile.
        """
        if isinstance(part, LedgerEntry):
            self._add_entry(part)
        else:
            self._add_call(part)

    def add_all(self, parts: Iterable[LedgerEntry | CallCost]) -> None:
        """Add several."""
        for part in parts:
            self.add(part)

    def _add_entry(self, entry: LedgerEntry) -> None:
        number = int(entry.entry_id) if entry.entry_id.isdecimal() else 0
        if number > self.until or 0 < number <= self.since.entries:
            return
        self.entries += 1
        if number == 0:
            self.strange += 1
            return
        sums = self._range(number)
        sums.entries += 1
        before_micros = entry.balance_after_micros - entry.amount_micros
        sums.chain = (sums.chain + _weight(number) * (before_micros + _PRESENT)) % _PRIME
        if number < self.until:
            self._go_on_from(number, entry.balance_after_micros)
        if entry.of_calls:
            sums.charged_micros -= entry.amount_micros
            sums.charges = (sums.charges - _weight(number) * entry.amount_micros) % _PRIME
        self.amount_micros += entry.amount_micros
        self.debt_micros += entry.debt_change_micros
        for share in entry.lots:
            self.lots[share.lot_id] += share.amount_micros
            if not self.lots[share.lot_id]:
                del self.lots[share.lot_id]

    def _add_call(self, cost: CallCost) -> None:
        self.calls += 1
        for name, micros in cost.movements:
            if name is None:
                self.unnamed_micros += micros
                continue
            number = int(name) if name.isdecimal() else 0
            if self.since.entries < number <= self.until:
                sums = self._range(number)
                sums.called_micros += micros
                sums.charges = (sums.charges - _weight(number) * micros) % _PRIME
            elif number == 0:
                self.unnamed_micros += micros
        if cost.month is not None and cost.pool_minutes:
            self.minutes[cost.month] += cost.pool_minutes

    def _go_on_from(self, number: int, balance_micros: int) -> None:
        """Expect the entry after this one to begin at the balance after it."""
        sums = self._range(number + 1)
        weighted = _weight(number + 1) * (balance_micros + _PRESENT)
        sums.chain = (sums.chain - weighted) % _PRIME

    def _range(self, number: int) -> RangeSums:
        place = (number - self.since.entries - 1) // self.width
        if place not in self.ranges:
            self.ranges[place] = RangeSums()
        return self.ranges[place]

    @property
    def width(self) -> int:
        """How many entries a range has."""
        return max(1, -(-(self.until - self.since.entries) // RANGES))

    def numbers(self, place: int) -> range:
        """Return the numbers of the entries of a range."""
        first = self.since.entries + 1 + place * self.width
        return range(first, min(first + self.width, self.until + 1))

    @property
    def places(self) -> range:
        """Name the ranges of all entries that there must be."""
        return range(-(-(self.until - self.since.entries) // self.width))


def agrees(sums: Sums, standing: Standing) -> bool:
    """Whether all that is added up agrees, minute pools aside."""
    return next(_found(sums, standing), None) is None


def differences(
    organization_id: str,
    sums: Sums,
    standing: Standing,
    pools: Mapping[Month, PoolUse] | None = None,
) -> tuple[Difference, ...]:
    """Return what does not agree; `pools` are those that nobody has changed meanwhile."""
    found = [*_found(sums, standing), *_pools(sums, pools or {})]
    return tuple(
        Difference(organization_id, message, entry_ids)
        for message, entry_ids in found[:MAX_DIFFERENCES]
    )


_Found = tuple[str, tuple[str, ...]]


def _found(sums: Sums, standing: Standing) -> Iterator[_Found]:
    if sums.strange:
        yield f"the ledger has {sums.strange} entries that the account never counted", ()
    for place in sums.places:
        yield from _range_differences(sums.ranges.get(place) or RangeSums(), sums.numbers(place))
    yield from _account(sums, standing)
    yield from _lots(sums, standing)
    if sums.unnamed_micros:
        yield f"calls for {format_micros(sums.unnamed_micros)} name no entry", ()


def _range_differences(sums: RangeSums, numbers: range) -> Iterator[_Found]:
    """Yield what is wrong with a range: a missing entry also breaks the chain of the next one."""
    named = _named(numbers)
    if sums.entries < len(numbers):
        yield f"{len(numbers) - sums.entries} of {len(numbers)} entries are missing", named
    elif sums.entries > len(numbers):
        yield f"there are {sums.entries} entries in the place of {len(numbers)}", named
    elif sums.chain:
        yield "the balance before is not the balance after the entry before", named
    if sums.charged_micros != sums.called_micros:
        what, cost = "the entries charge", "but the calls that name them cost"
        yield unequal(what, sums.charged_micros, cost, sums.called_micros), named
    elif sums.charges:
        yield "the entries charge in sum what calls cost, but not each of them", named


def _named(numbers: range) -> tuple[str, ...]:
    """Name the only entry of a range, or its first and its last one."""
    ends = (numbers[0],) if len(numbers) == 1 else (numbers[0], numbers[-1])
    return tuple(map(entry_id, ends))


def _account(sums: Sums, standing: Standing) -> Iterator[_Found]:
    """Balance = sum of the ledger = lots less debt."""
    stated_micros = standing.balance_micros
    summed_micros = sums.since.balance_micros + sums.amount_micros
    held_micros = sum(standing.lots.values()) - standing.debt_micros
    for what, micros in (
        ("but the entries add up to", summed_micros),
        ("but lots less debt are", held_micros),
    ):
        if stated_micros != micros:
            yield unequal("the balance is", stated_micros, what, micros), ()
    if standing.stated_micros != standing.further_micros:
        what = "the account says that its further lots hold"
        yield (
            unequal(what, standing.stated_micros, "but they hold", standing.further_micros),
            (),
        )


def _lots(sums: Sums, standing: Standing) -> Iterator[_Found]:
    """What is left of each lot, and the debt, are what the entries gave and took."""
    for lot_id in sorted(sums.since.lots.keys() | sums.lots.keys() | standing.lots.keys()):
        held_micros = standing.lots.get(lot_id, 0)
        left_micros = sums.since.lots.get(lot_id, 0) + sums.lots.get(lot_id, 0)
        if held_micros != left_micros:
            what = f"what is left of lot {lot_id} is"
            yield unequal(what, held_micros, "but the entries leave", left_micros), ()
    debt_micros = sums.since.debt_micros + sums.debt_micros
    if debt_micros != standing.debt_micros:
        yield unequal("the debt is", standing.debt_micros, "but the entries make", debt_micros), ()


def _pools(sums: Sums, pools: Mapping[Month, PoolUse]) -> Iterator[_Found]:
    """Each pool has given what the calls of its month drew."""
    for month, pool in sorted(pools.items()):
        drawn = sums.minutes[month]
        if pool.used != drawn:
            yield f"the pool of {month} gave {pool.used} minutes, but calls drew {drawn}", ()


@lru_cache(maxsize=4_096)
def _weight(number: int) -> int:
    """Return the weight of an entry: as if drawn at random, and the same every time."""
    digest = blake2b(number.to_bytes(8, "big"), digest_size=16, person=b"perminute books")
    return int.from_bytes(digest.digest(), "big") % _PRIME
