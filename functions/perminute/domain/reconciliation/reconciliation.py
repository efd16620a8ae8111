"""Compares the books of an organization: account, ledger, usage (docs/domain.md §5.2).

Everything is computed anew from the entries and from what the usage records say that calls cost.
Nothing is corrected: what differs is told with the entries involved, for a person to look at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import LedgerEntry, entry_id
from perminute.domain.credit.lots import total_micros
from perminute.domain.values.money import format_micros

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.pools.pools import MinutePool, Month

MAX_NAMED = 20
"""Entries that one difference names: a ledger that is wrong throughout is told in a few lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """All that is booked for an organization.

    `charges_micros` is what the usage records say that calls cost, summed by the entries that they
    name; None stands for those that name no entry. `further` are the lots that are not in the
    account item. `pool_minutes` is what they drew, by month; of
    a pool that was being drawn on meanwhile, neither is known.
    """

    account: Account
    entries: tuple[LedgerEntry, ...]
    charges_micros: Mapping[str | None, int]
    further: Lots = ()
    pools: tuple[MinutePool, ...] = ()
    pool_minutes: Mapping[Month, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """Two things that should be equal and are not, and the entries to look at."""

    organization_id: str
    message: str
    entry_ids: tuple[str, ...] = ()


def reconcile(statement: Statement) -> tuple[Difference, ...]:
    """Tell every difference; none if all agrees."""
    return tuple(
        Difference(statement.account.organization_id, message, tuple(entry_ids[:MAX_NAMED]))
        for check in (_numbers, _balances, _account, _charges, _lots, _pools)
        for message, entry_ids in check(statement)
    )


_Found = tuple[str, list[str]]


def _numbers(statement: Statement) -> Iterator[_Found]:
    """The entries are numbered without a gap, as many as the account has counted."""
    expected = {entry_id(number) for number in range(1, statement.account.entries + 1)}
    found = {entry.entry_id for entry in statement.entries}
    if missing := sorted(expected - found):
        yield f"{len(missing)} of {len(expected)} entries of the ledger are missing", missing
    if strange := sorted(found - expected):
        yield f"the ledger has {len(strange)} entries that the account never counted", strange


def _balances(statement: Statement) -> Iterator[_Found]:
    """Each entry goes on from the balance after the one before it."""
    balance_micros = 0
    for entry in statement.entries:
        balance_micros += entry.amount_micros
        stated_micros = entry.balance_after_micros
        if stated_micros != balance_micros:
            made = "but the one before and its amount make"
            yield (
                unequal("the balance after the entry is", stated_micros, made, balance_micros),
                [entry.entry_id],
            )
            balance_micros = stated_micros


def _account(statement: Statement) -> Iterator[_Found]:
    """Balance = sum of the ledger = lots less debt."""
    account = statement.account
    stated_micros = account.balance_micros
    summed_micros = sum(entry.amount_micros for entry in statement.entries)
    held_micros = total_micros((*account.lots, *statement.further)) - account.debt_micros
    last = [entry.entry_id for entry in statement.entries[-1:]]
    for what, micros in (
        ("but the entries add up to", summed_micros),
        ("but lots less debt are", held_micros),
    ):
        if stated_micros != micros:
            yield unequal("the balance is", stated_micros, what, micros), last
    summed_micros = account.lots_micros - total_micros(account.lots)
    further_micros = total_micros(statement.further)
    if summed_micros != further_micros:
        what = "the account says that its further lots hold"
        yield unequal(what, summed_micros, "but they hold", further_micros), last


def _charges(statement: Statement) -> Iterator[_Found]:
    """Each charge is the sum of the calls that name it, and no call costs without an entry."""
    unexplained = dict(statement.charges_micros)
    for entry in statement.entries:
        if entry.of_calls:
            calls_micros = unexplained.pop(entry.entry_id, 0)
            if calls_micros != -entry.amount_micros:
                cost = "but the calls that name it cost"
                yield (
                    unequal("the entry charges", -entry.amount_micros, cost, calls_micros),
                    [entry.entry_id],
                )
    for name, micros in unexplained.items():
        if micros:
            which = "an entry that charges nothing" if name else "no entry"
            yield f"calls for {format_micros(micros)} name {which}", [name] if name else []


def _lots(statement: Statement) -> Iterator[_Found]:
    """What is left of each lot, and the debt, are what the entries gave and took."""
    left: Counter[str] = Counter()
    touched: defaultdict[str, list[str]] = defaultdict(list)
    debt_micros = 0
    for entry in statement.entries:
        debt_micros += entry.debt_change_micros
        for share in entry.lots:
            left[share.lot_id] += share.amount_micros
            touched[share.lot_id].append(entry.entry_id)
    lots = (*statement.account.lots, *statement.further)
    held = {lot.lot_id: lot.remaining_micros for lot in lots}
    for lot_id in sorted(left.keys() | held.keys()):
        held_micros = held.get(lot_id, 0)
        if left[lot_id] != held_micros:
            what = f"what is left of lot {lot_id} is"
            yield (
                unequal(what, held_micros, "but the entries leave", left[lot_id]),
                touched[lot_id],
            )
    owed_micros = statement.account.debt_micros
    if debt_micros != owed_micros:
        yield unequal("the debt is", owed_micros, "but the entries make", debt_micros), []


def _pools(statement: Statement) -> Iterator[_Found]:
    """Each pool has given what the calls of its month drew."""
    for pool in statement.pools:
        drawn = statement.pool_minutes.get(pool.month, 0)
        if pool.used != drawn:
            yield f"the pool of {pool.month} gave {pool.used} minutes, but calls drew {drawn}", []


def unequal(what: str, stated_micros: int, other: str, computed_micros: int) -> str:
    """Write two amounts that should be equal."""
    return f"{what} {format_micros(stated_micros)}, {other} {format_micros(computed_micros)}"
