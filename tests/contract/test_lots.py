"""Lots that are not in the account item, and what became of purchases."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, LONG_AGO, lot, processed_event, refuses

from perminute.domain.credit.accounts import Account
from perminute.domain.credit.booking import BoughtCredit, Chargeback
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.lots import FurtherLots, Lot, LotItems, LotShare
from perminute.domain.credit.transaction import (
    AccountChanged,
    AlreadyExists,
    IdentityKind,
    Transaction,
)

if TYPE_CHECKING:
    from stores import Stores

SECOND = timedelta(seconds=1)


def further(number: int, micros: int = 5) -> Lot:
    return lot(f"{number:012d}", micros, purchased_at=LONG_AGO + number * SECOND)


def post(stores: Stores, organization: str, items: LotItems, **parts: object) -> None:
    """Commit lots beside the account's next version."""
    account = stores.credit.account(organization)
    after = account._replace(version=account.version + 1)
    transaction = Transaction(before=account, after=after, lots=items)
    stores.credit.commit(transaction._replace(**parts))  # type: ignore[arg-type]


def test_further_lots_come_in_the_order_in_which_they_pay(
    stores: Stores, organization: str
) -> None:
    odd = further(2)._replace(purchased_at=LONG_AGO + timedelta(seconds=1, microseconds=1))
    items = LotItems(stored=(further(3), odd, further(1)))
    post(stores, organization, items)
    assert stores.credit.further_lots(organization) == (further(1), odd, further(3))
    assert stores.credit.further_lots(f"{organization}-2") == ()
    assert stores.credit.expired_lots(organization, since=LONG_AGO) == ()


def test_further_lots_change_and_go_with_the_account_or_not_at_all(
    stores: Stores, organization: str
) -> None:
    post(stores, organization, LotItems(stored=(further(1), further(2))))
    stale = Account(organization_id=organization)
    changed = further(2, 3)._replace(warned=True)
    items = LotItems(stored=(changed,), removed=(further(1),))
    lost = Transaction(before=stale, after=stale._replace(version=1), lots=items)
    with pytest.raises(AccountChanged):
        stores.credit.commit(lost)
    assert stores.credit.further_lots(organization) == (further(1), further(2))
    post(stores, organization, items)
    assert stores.credit.further_lots(organization) == (changed,)


def test_a_posting_that_removes_lots_still_says_what_exists_already(
    stores: Stores, organization: str
) -> None:
    proof = processed_event(organization, kind=IdentityKind.PURCHASE, organization_id=organization)
    items = LotItems(stored=(further(1), further(2)))
    post(stores, organization, items, processed_events=(proof,))
    gone = LotItems(removed=(further(1), further(2)))
    with refuses(AlreadyExists(processed_events={proof.key: proof})):
        post(stores, organization, gone, processed_events=(proof,))
    assert len(stores.credit.further_lots(organization)) == 2


def test_an_account_remembers_what_it_knows_of_lots_elsewhere(
    stores: Stores, organization: str
) -> None:
    account = stores.credit.account(organization)
    after = account._replace(
        version=1,
        further=FurtherLots.of([further(1), further(2, 7)]),
        forfeited_at=ANSWERED,
    )
    stores.credit.commit(Transaction(before=account, after=after))
    assert stores.credit.account(organization) == after


def test_expired_lots_are_found_by_their_expiry(stores: Stores, organization: str) -> None:
    first = lot("000000000001", 5, expires_at=ANSWERED)
    second = lot("000000000002", 6, expires_at=ANSWERED + timedelta(microseconds=1))
    post(stores, organization, LotItems(forfeited=(second, first)))
    just_before = ANSWERED - timedelta(microseconds=1)
    assert stores.credit.expired_lots(organization, since=just_before) == (first, second)
    assert stores.credit.expired_lots(organization, since=ANSWERED) == (second,)
    left = second._replace(remaining_micros=1)
    post(stores, organization, LotItems(forfeited=(left,)))
    assert stores.credit.expired_lots(organization, since=ANSWERED) == (left,)


def test_a_purchase_is_known_with_what_became_of_it(stores: Stores, organization: str) -> None:
    opened = lot("000000000001", 40, purchase_id="po-1", expires_at=ANSWERED)
    entry = LedgerEntry(
        organization_id=organization,
        entry_id="000000000001",
        type=EntryType.PURCHASE,
        amount_micros=50,
        balance_after_micros=40,
        at=LONG_AGO,
        lots=(LotShare("000000000001", "po-1", 40),),
        opens=opened,
    )
    proof = processed_event("po-1", kind=IdentityKind.PURCHASE, organization_id=organization)
    proof = proof._replace(entry_id="000000000001")
    post(stores, organization, LotItems(), entries=(entry,), processed_events=(proof,))
    known = BoughtCredit("po-1", "000000000001", 50)
    assert stores.credit.bought(organization, "po-1") == known
    assert stores.credit.bought(organization, "po-2") is None
    forfeited = opened._replace(remaining_micros=30)
    chargeback = Chargeback("po-1", 8)
    post(stores, organization, LotItems(forfeited=(forfeited,)), chargeback=chargeback)
    assert stores.credit.bought(organization, "po-1") == known._replace(
        charged_back_micros=8, forfeited=forfeited
    )
