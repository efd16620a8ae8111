from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, LONG_AGO, charge, rating

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.reconciliation.reconciliation import MAX_NAMED, Statement, reconcile

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST, SECOND, THIRD = "000000000001", "000000000002", "000000000003"


def statement() -> Statement:
    """Credit of 10 that two batches of calls, of 4 and of 7, used up."""
    bought = Purchase(
        purchase_id="po-1",
        amount_micros=10,
        currency="USD",
        purchased_at=LONG_AGO,
        expires_at=twelve_months_after(LONG_AGO),
    )
    account = Account(organization_id="contoso")
    opened = purchase(account, bought, at=LONG_AGO, cause="purchase#po-1")
    first = charge(opened.after, [rating("a", 4)], at=ANSWERED)
    second = charge(first.after, [rating("b", 5), rating("c", 2)], at=ANSWERED)
    return Statement(
        account=second.after,
        entries=(*opened.entries, *first.entries, *second.entries),
        charges_micros={SECOND: 4, THIRD: 7, None: 0},
    )


def test_sound_books_have_no_difference() -> None:
    assert reconcile(statement()) == ()


def without(position: int) -> Callable[[Statement], Statement]:
    return lambda s: replace(s, entries=s.entries[:position] + s.entries[position + 1 :])


def calls(**micros: int) -> Callable[[Statement], Statement]:
    named = {SECOND: 4, THIRD: 7} | {
        {"first": FIRST, "second": SECOND, "third": THIRD, "none": None}[name]: cost
        for name, cost in micros.items()
    }
    return lambda s: replace(s, charges_micros=named)


def account(**changed: object) -> Callable[[Statement], Statement]:
    return lambda s: replace(s, account=s.account._replace(**changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (
            without(1),
            [
                ("1 of 3 entries of the ledger is missing", (SECOND,)),
                (
                    "the balance after the entry is -0.000001, but the one before and its amount "
                    "make 0.000003",
                    (THIRD,),
                ),
                ("calls for 0.000004 name an entry that charges nothing", (SECOND,)),
                (
                    "the balance is -0.000001, but the entries add up to 0.000003",
                    (THIRD,),
                ),
                (
                    f"what is left of lot {FIRST} is 0, but the entries leave 0.000004",
                    (FIRST, THIRD),
                ),
            ],
        ),
        (
            account(entries=2),
            [("the ledger has 1 entries that the account never counted", (THIRD,))],
        ),
        (
            account(debt_micros=0),
            [
                ("the balance is -0.000001, but lots less debt are 0", (THIRD,)),
                ("the debt is 0, but the entries make 0.000001", ()),
            ],
        ),
        (
            calls(third=6),
            [
                (
                    "the entry charges 0.000007, but the calls that name it cost 0.000006",
                    (THIRD,),
                )
            ],
        ),
        (calls(none=3), [("calls for 0.000003 name no entry", ())]),
        (calls(first=3), [("calls for 0.000003 name an entry that charges nothing", (FIRST,))]),
    ],
)
def test_every_difference_is_told_with_the_entries_to_look_at(
    spoil: Callable[[Statement], Statement], found: list[tuple[str, tuple[str, ...]]]
) -> None:
    differences = reconcile(spoil(statement()))
    assert [(one.message, one.entry_ids) for one in differences] == found


def test_a_ledger_that_is_gone_is_told_in_one_line_with_its_first_entries() -> None:
    lost = replace(statement(), entries=(), charges_micros={})
    lost = replace(lost, account=lost.account._replace(entries=1_000))
    first = reconcile(lost)[0]
    assert first.message == "1000 of 1000 entries of the ledger are missing"
    assert len(first.entry_ids) == MAX_NAMED
