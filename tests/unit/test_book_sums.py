"""What the streamed sums of books show, beside what all of them in memory show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, LONG_AGO

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry, entry_id
from perminute.domain.credit.lots import Lot, LotShare, twelve_months_after
from perminute.domain.pools.pools import Month
from perminute.domain.reconciliation.book_checks import (
    NOTHING_PROVEN,
    RANGES,
    BookSums,
    CallCost,
    PoolUse,
    agrees,
    differences,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perminute.domain.reconciliation.reconciliation import Difference

WHO = "contoso"
LOT = Lot(
    lot_id=entry_id(1),
    purchase_id="po-1",
    purchased_at=LONG_AGO,
    expires_at=twelve_months_after(LONG_AGO),
    remaining_micros=0,
)
Books = tuple[AccountTotals, "Sequence[LedgerEntry]", "Sequence[CallCost]"]


def books(charges: int = 3, bought_micros: int = 100) -> Books:
    """A purchase, then charges of 2, each of two calls that cost 1."""
    entries = [entry(1, EntryType.PURCHASE, bought_micros, bought_micros)]
    costs: list[CallCost] = []
    for number in range(2, charges + 2):
        balance_micros = entries[-1].balance_after_micros - 2
        entries.append(entry(number, EntryType.CHARGE, -2, balance_micros))
        costs += (CallCost(f"{number}{x}", ((entry_id(number), 1),)) for x in "ab")
    left = entries[-1].balance_after_micros
    account = Account(
        organization_id=WHO,
        entries=len(entries),
        balance_micros=left,
        lots=(LOT._replace(remaining_micros=left),),
    )
    return AccountTotals.of(account, ()), entries, costs


def entry(number: int, kind: EntryType, micros: int, after_micros: int) -> LedgerEntry:
    return LedgerEntry(
        organization_id=WHO,
        entry_id=entry_id(number),
        type=kind,
        amount_micros=micros,
        balance_after_micros=after_micros,
        at=ANSWERED,
        lots=(LotShare(LOT.lot_id, "po-1", micros),),
    )


def added_up(
    since: AccountTotals,
    standing: AccountTotals,
    entries: Iterable[LedgerEntry],
    costs: Iterable[CallCost],
) -> BookSums:
    sums = BookSums.begin(since, standing.entries)
    sums.add_all(entries)
    sums.add_all(costs)
    return sums


def found(
    standing: AccountTotals, entries: Iterable[LedgerEntry], costs: Iterable[CallCost]
) -> tuple[Difference, ...]:
    sums = added_up(NOTHING_PROVEN, standing, entries, costs)
    told = differences(WHO, sums, standing)
    assert agrees(sums, standing) == (not told)
    return told


def messages(told: Iterable[Difference]) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.message, one.entry_ids) for one in told]


def test_sound_books_agree_in_whatever_order_they_are_read() -> None:
    standing, entries, costs = books()
    assert found(standing, entries, costs) == ()
    assert found(standing, reversed(entries), reversed(costs)) == ()


def test_a_missing_entry_is_named_and_so_is_all_that_depends_on_it() -> None:
    standing, entries, costs = books()
    assert messages(found(standing, [*entries[:2], *entries[3:]], costs)) == [
        ("1 of 1 entries is missing", (entry_id(3),)),
        ("the entries charge 0, but the calls that name them cost 0.000002", (entry_id(3),)),
        ("the balance before is not the balance after the entry before", (entry_id(4),)),
        ("the balance is 0.000094, but the entries add up to 0.000096", ()),
        (
            f"what is left of lot {LOT.lot_id} is 0.000094, but the entries leave 0.000096",
            (),
        ),
    ]


def test_a_missing_entry_is_seen_where_nothing_has_moved() -> None:
    """Of amount 0 at balance 0: no sum of amounts shows it."""
    entries = [entry(n, EntryType.ADJUSTMENT, 0, 0) for n in (1, 2, 3)]
    standing = AccountTotals(entries=3, balance_micros=0, debt_micros=0, lots={})
    assert found(standing, entries, ()) == ()
    assert messages(found(standing, [entries[0], entries[2]], ())) == [
        ("1 of 1 entries is missing", (entry_id(2),)),
        ("the balance before is not the balance after the entry before", (entry_id(3),)),
    ]
    assert messages(found(standing, [*entries, entries[1]], ())) == [
        ("there are 2 entries in the place of 1", (entry_id(2),)),
        ("the balance before is not the balance after the entry before", (entry_id(3),)),
    ]


def test_two_wrong_balances_that_make_up_for_each_other_are_seen() -> None:
    standing, entries, costs = books()
    wrong = [
        entries[0],
        entries[1]._replace(balance_after_micros=entries[1].balance_after_micros + 1),
        entries[2]._replace(balance_after_micros=entries[2].balance_after_micros - 1),
        entries[3],
    ]
    told = messages(found(standing, wrong, costs))
    broken = "the balance before is not the balance after the entry before"
    # The first of them begins too high, and is followed by two that go on from a wrong balance.
    assert told == [(broken, (entry_id(n),)) for n in (2, 3, 4)]


def test_calls_that_name_each_others_entries_are_seen_though_the_sums_are_right() -> None:
    """In one range: there are more entries than ranges, so that a range has several."""
    standing, entries, costs = books(charges=3 * RANGES, bought_micros=10_000)
    first, second = entry_id(5), entry_id(6)
    swapped = [
        one._replace(movements=((second, 3),) if one.call_id == "5a" else ((first, -1),))
        if one.call_id in {"5a", "6a"}
        else one
        for one in costs
    ]
    assert found(standing, entries, costs) == ()
    ((message, named),) = messages(found(standing, entries, swapped))
    assert message == "the entries charge in sum what calls cost, but not each of them"
    assert named == (entry_id(5), entry_id(8))


def test_calls_that_cost_something_and_name_no_entry_are_told() -> None:
    standing, entries, costs = books()
    unnamed = CallCost("x", ((None, 5),))
    assert messages(found(standing, entries, [*costs, unnamed])) == [
        ("calls for 0.000005 name no entry", ())
    ]
    assert messages(found(standing, entries, [*costs, CallCost("x", ((entry_id(1), 5),))])) == [
        ("the entries charge 0, but the calls that name them cost 0.000005", (entry_id(1),))
    ]


def test_what_is_booked_meanwhile_is_left_out() -> None:
    standing, entries, costs = books()
    later = entry(5, EntryType.CHARGE, -7, 87)
    assert found(standing, [*entries, later], [*costs, CallCost("x", ((entry_id(5), 7),))]) == ()


def test_entries_after_a_checkpoint_go_on_from_it() -> None:
    before, _, _ = books()
    standing, entries, costs = books(charges=9)
    sums = added_up(before.checkpoint(), standing, entries, costs)
    assert agrees(sums, standing)
    assert sums.entries == 6
    wrong = before.checkpoint()._replace(balance_micros=1)
    sums = added_up(wrong, standing, entries, costs)
    assert [m for m, _ in messages(differences(WHO, sums, standing))] == [
        "the balance before is not the balance after the entry before",
        "the balance is 0.000082, but the entries add up to -0.000011",
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"debt_micros": 1}, "the debt is 0.000001, but the entries make 0"),
        (
            {"stated_further_micros": 1},
            "the account says that its further lots contain 0.000001, but they contain 0",
        ),
        (
            {"lots": {LOT.lot_id: 94, "lot-2": 1}},
            "what is left of lot lot-2 is 0.000001, but the entries leave 0",
        ),
    ],
)
def test_what_the_account_says_is_compared(changed: dict[str, Any], message: str) -> None:
    standing, entries, costs = books()
    wrong = standing._replace(**changed)
    assert message in [m for m, _ in messages(found(wrong, entries, costs))]


def test_a_pool_has_given_what_calls_drew() -> None:
    standing, entries, costs = books()
    month = Month(2026, 11)
    drawing = [one._replace(month=month, pool_minutes=2) for one in costs]
    sums = added_up(NOTHING_PROVEN, standing, entries, drawing)
    assert differences(WHO, sums, standing, {month: PoolUse(12, "")}) == ()
    assert messages(differences(WHO, sums, standing, {month: PoolUse(11, "")})) == [
        ("the pool of 2026-11 gave 11 minutes, but calls drew 12", ())
    ]
