"""Compare the books of an organization: account, ledger, usage (docs/domain.md §5.2).

Nothing is corrected: each difference names the entries involved, for a person to look at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import LedgerEntry, entry_id
from perminute.domain.credit.lots import total_micros
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.pools.pools import MinutePool, Month

MAX_NAMED = 20
"""Entries that one difference names at most."""

Found = tuple[str, "Sequence[str]"]
"""The message of a difference, and the ids of the entries involved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """All that is booked for an organization."""

    account: Account
    entries: tuple[LedgerEntry, ...]
    charges_micros: Mapping[str | None, int]  # of calls, by the entry that they name, if any
    further: Lots = ()  # lots that are not in the account item
    pools: tuple[MinutePool, ...] = ()  # that have not changed meanwhile
    pool_minutes: Mapping[Month, int] = field(default_factory=dict)  # that calls drew on them


class Difference(NamedTuple):
    """Two amounts that should be equal and are not, and the entries to look at."""

    organization_id: str
    message: str
    entry_ids: tuple[str, ...] = ()


class AccountTotals(NamedTuple):
    """What an account states, or its entries up to one of them add up to."""

    entries: int = 0
    balance_micros: int = 0
    debt_micros: int = 0
    lots: Mapping[str, int] = MappingProxyType({})  # what is left of each
    stated_further_micros: int = 0  # in further lots by the account
    further_micros: int = 0  # in further lots by themselves

    @classmethod
    def of(cls, account: Account, further: Lots) -> AccountTotals:
        """Sum up an account and its further lots."""
        return cls(
            entries=account.entries,
            balance_micros=account.balance_micros,
            debt_micros=account.debt_micros,
            lots={lot.lot_id: lot.remaining_micros for lot in (*account.lots, *further)},
            stated_further_micros=account.lots_micros - total_micros(account.lots),
            further_micros=total_micros(further),
        )

    def checkpoint(self) -> AccountTotals:
        """Return the totals from which a later check continues, if everything agrees."""
        lots = {lot_id: micros for lot_id, micros in self.lots.items() if micros}
        return AccountTotals(self.entries, self.balance_micros, self.debt_micros, lots)


def reconcile(statement: Statement) -> tuple[Difference, ...]:
    """Return every difference."""
    used = {pool.month: pool.used for pool in statement.pools}
    found = chain(
        _entry_numbers(statement),
        _balances(statement.entries),
        _charges(statement),
        _account(statement),
        pool_differences(used, statement.pool_minutes),
    )
    organization_id = statement.account.organization_id
    return tuple(Difference(organization_id, what, tuple(ids[:MAX_NAMED])) for what, ids in found)


def _entry_numbers(statement: Statement) -> Iterator[Found]:
    expected = {entry_id(number) for number in range(1, statement.account.entries + 1)}
    found = {entry.entry_id for entry in statement.entries}
    if missing := sorted(expected - found):
        are = "is" if len(missing) == 1 else "are"
        yield f"{len(missing)} of {len(expected)} entries of the ledger {are} missing", missing
    if surplus := sorted(found - expected):
        yield f"the ledger has {len(surplus)} entries that the account never counted", surplus


def _balances(entries: Iterable[LedgerEntry]) -> Iterator[Found]:
    what, other = "the balance after the entry is", "but the one before and its amount make"
    balance_micros = 0
    for entry in entries:
        stated_micros = entry.balance_after_micros
        computed_micros = balance_micros + entry.amount_micros
        yield from unequal(what, stated_micros, other, computed_micros, [entry.entry_id])
        # Go on from the balance as stated, so that one wrong entry is one difference.
        balance_micros = stated_micros


def _charges(statement: Statement) -> Iterator[Found]:
    what, other = "the entry charges", "but the calls that name it cost"
    unexplained = dict(statement.charges_micros)
    for entry in statement.entries:
        if entry.of_calls:
            micros = unexplained.pop(entry.entry_id, 0)
            yield from unequal(what, -entry.amount_micros, other, micros, [entry.entry_id])
    for name, micros in unexplained.items():
        if micros:
            which = "an entry that charges nothing" if name else "no entry"
            yield f"calls for {format_micros(micros)} name {which}", [name] if name else []


def _account(statement: Statement) -> Iterator[Found]:
    lots: Counter[str] = Counter()
    entries_of_lot: defaultdict[str, list[str]] = defaultdict(list)
    for entry in statement.entries:
        for share in entry.lots:
            lots[share.lot_id] += share.amount_micros
            entries_of_lot[share.lot_id].append(entry.entry_id)
    summed = AccountTotals(
        balance_micros=sum(entry.amount_micros for entry in statement.entries),
        debt_micros=sum(entry.debt_change_micros for entry in statement.entries),
        lots=lots,
    )
    last = [entry.entry_id for entry in statement.entries[-1:]]
    account = AccountTotals.of(statement.account, statement.further)
    return account_differences(account, summed, last, entries_of_lot)


def account_differences(
    account: AccountTotals,
    summed: AccountTotals,
    last: Sequence[str] = (),
    entries_of_lot: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[Found]:
    """Compare an account with what its entries add up to: balance = ledger = lots less debt."""
    stated, ledger_micros = account.balance_micros, summed.balance_micros
    lots_micros = sum(account.lots.values()) - account.debt_micros
    yield from unequal("the balance is", stated, "but the entries add up to", ledger_micros, last)
    yield from unequal("the balance is", stated, "but lots less debt are", lots_micros, last)
    what, stated = "the account says that its further lots contain", account.stated_further_micros
    yield from unequal(what, stated, "but they contain", account.further_micros, last)
    for lot_id in sorted(account.lots.keys() | summed.lots.keys()):
        what, stated = f"what is left of lot {lot_id} is", account.lots.get(lot_id, 0)
        micros, entry_ids = summed.lots.get(lot_id, 0), entries_of_lot.get(lot_id, ())
        yield from unequal(what, stated, "but the entries leave", micros, entry_ids)
    what, stated = "the debt is", account.debt_micros
    yield from unequal(what, stated, "but the entries make", summed.debt_micros)


def pool_differences(used: Mapping[Month, int], drawn: Mapping[Month, int]) -> Iterator[Found]:
    """Compare the minutes that pools gave with those that the calls of their month drew."""
    for month, minutes in sorted(used.items()):
        if minutes != drawn.get(month, 0):
            calls = f"but calls drew {drawn.get(month, 0)}"
            yield f"the pool of {month} gave {minutes} minutes, {calls}", ()


def unequal(
    what: str, stated_micros: int, other: str, computed_micros: int, entry_ids: Sequence[str] = ()
) -> Iterator[Found]:
    """Yield a difference unless two amounts are equal."""
    if stated_micros != computed_micros:
        stated, computed = format_micros(stated_micros), format_micros(computed_micros)
        yield f"{what} {stated}, {other} {computed}", entry_ids
