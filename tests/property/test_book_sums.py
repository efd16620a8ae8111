"""Streamed sums show what all books in memory show, in any order and however they are cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from builders import ANSWERED, LONG_AGO
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.dynamodb.books import check_item, check_of
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import Lot, LotShare
from perminute.domain.reconciliation import book_checks
from perminute.domain.reconciliation.book_checks import (
    NOTHING_PROVEN,
    BooksCheck,
    BooksCursor,
    BooksReading,
    BookSums,
    CallCost,
    agrees,
    differences,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals, Statement, reconcile

if TYPE_CHECKING:
    from random import Random

LOTS = ("lot-1", "lot-2", "lot-3")


@dataclass(frozen=True)
class Books:
    account: Account
    entries: tuple[LedgerEntry, ...]
    costs: tuple[CallCost, ...]

    @property
    def statement(self) -> Statement:
        charged: Counter[str | None] = Counter()
        for cost in self.costs:
            for name, micros in cost.movements:
                charged[name] += micros
        return Statement(account=self.account, entries=self.entries, charges_micros=charged)

    @property
    def standing(self) -> AccountTotals:
        return AccountTotals.of(self.account, ())

    def sums(self, since: AccountTotals = NOTHING_PROVEN, order: Random | None = None) -> BookSums:
        sums = BookSums.begin(since, self.account.entries)
        parts: list[LedgerEntry | CallCost] = [*self.entries, *self.costs]
        if order is not None:
            order.shuffle(parts)
        sums.add_all(parts)
        return sums

    def until(self, number: int) -> AccountTotals:
        """How the account stood after an entry."""
        left: Counter[str] = Counter()
        for entry in self.entries[:number]:
            left.update({share.lot_id: share.amount_micros for share in entry.lots})
        debt_micros = sum(entry.debt_change_micros for entry in self.entries[:number])
        balance_micros = self.entries[number - 1].balance_after_micros if number else 0
        return AccountTotals(
            entries=number, balance_micros=balance_micros, debt_micros=debt_micros, lots=dict(left)
        )


def lot(lot_id: str, micros: int) -> Lot:
    return Lot(
        lot_id=lot_id,
        purchase_id=lot_id,
        purchased_at=LONG_AGO,
        expires_at=ANSWERED + timedelta(days=90),
        remaining_micros=micros,
    )


@st.composite
def books(draw: st.DrawFn) -> Books:
    """Entries that give to lots and take from them, charges of some calls, and re-ratings."""
    entries, costs, balance_micros = list[LedgerEntry](), list[CallCost](), 0
    for number in range(1, draw(st.integers(1, 14)) + 1):
        kind = draw(st.sampled_from([EntryType.PURCHASE, EntryType.CHARGE, EntryType.ADJUSTMENT]))
        parts = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
        rerates = kind is EntryType.ADJUSTMENT and draw(st.booleans())
        amount_micros = sum(parts) if kind is EntryType.PURCHASE else -sum(parts)
        balance_micros += amount_micros
        paid_micros = draw(st.integers(0, abs(amount_micros)))
        share_micros = paid_micros if amount_micros > 0 else -paid_micros
        share = LotShare(draw(st.sampled_from(LOTS)), "po", share_micros)
        entry = LedgerEntry(
            organization_id="contoso",
            entry_id=entry_id(number),
            type=kind,
            amount_micros=amount_micros,
            balance_after_micros=balance_micros,
            at=ANSWERED,
            lots=(share,) if share.amount_micros else (),
            cause="rerating#late" if rerates else None,
        )
        if entry.of_calls:
            costs += (
                CallCost(f"{number}-{place}", ((entry.entry_id, micros),))
                for place, micros in enumerate(parts)
            )
        entries.append(entry)
    account = Account(organization_id="contoso", entries=len(entries))
    made = Books(account, tuple(entries), tuple(costs))
    standing = made.until(len(entries))
    account = made.account._replace(
        balance_micros=balance_micros,
        debt_micros=standing.debt_micros,
        lots=tuple(lot(lot_id, micros) for lot_id, micros in sorted(standing.lots.items())),
    )
    return replace(made, account=account)


@st.composite
def spoilt(draw: st.DrawFn) -> Books:
    """Books with something changed, lost or doubled; or with nothing."""
    made = draw(books())
    entries, costs, account = list(made.entries), list(made.costs), made.account
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(entries) - 1)) if entries else 0
        more = draw(st.sampled_from([-1, 1]))
        match draw(st.integers(0, 6)):
            case 0 if entries:
                del entries[place]
            case 1 if entries:
                one = entries[place]
                entries[place] = one._replace(balance_after_micros=one.balance_after_micros + more)
            case 2 if entries:
                one = entries[place]
                entries[place] = one._replace(amount_micros=one.amount_micros + more)
            case 3 if costs:
                place %= len(costs)
                ((name, micros),) = costs[place].movements
                costs[place] = costs[place]._replace(movements=((name, micros + more),))
            case 4 if costs:
                place %= len(costs)
                ((_, micros),) = costs[place].movements
                other = draw(st.sampled_from([None, entry_id(1), entry_id(2)]))
                costs[place] = costs[place]._replace(movements=((other, micros),))
            case 5:
                account = account._replace(balance_micros=account.balance_micros + more)
            case _:
                account = account._replace(debt_micros=account.debt_micros + more)
    return Books(account, tuple(entries), tuple(costs))


@given(spoilt(), st.sampled_from([1, 2, 256]), st.randoms(use_true_random=False))
def test_they_differ_where_books_in_memory_do(made: Books, ranges: int, order: Random) -> None:
    with patch.object(book_checks, "RANGES", ranges):
        sums = made.sums(order=order)
        found = differences("contoso", sums, made.standing)
        assert bool(found) == bool(reconcile(made.statement))
        assert agrees(sums, made.standing) == (not found)


@given(books(), st.data())
def test_what_comes_after_a_checkpoint_agrees_if_all_does(made: Books, data: st.DataObject) -> None:
    proven = data.draw(st.integers(0, len(made.entries)))
    sums = made.sums(since=made.until(proven).checkpoint())
    assert agrees(sums, made.standing)
    assert sums.entries == len(made.entries) - proven


@given(spoilt(), st.data())
def test_cut_anywhere_and_taken_up_again_they_are_as_uncut(
    made: Books, data: st.DataObject
) -> None:
    """However often, through the text in which they are kept."""
    parts: list[LedgerEntry | CallCost] = [*made.entries, *made.costs]
    sums = BookSums.begin(NOTHING_PROVEN, made.account.entries)
    for number, part in enumerate(parts):
        sums.add(part)
        if data.draw(st.booleans()):
            sums = kept(sums, made.standing, BooksCursor("parts", f"{number}"))
    assert sums == made.sums()


def kept(sums: BookSums, standing: AccountTotals, place: BooksCursor) -> BookSums:
    reading = BooksReading(at=ANSWERED, account=standing, pools={}, sums=sums, cursor=place)
    check = check_of(check_item(BooksCheck(organization_id="contoso", reading=reading)))
    assert check.reading == reading
    assert check.reading is not None
    return check.reading.sums
