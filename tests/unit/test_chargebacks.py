"""A purchase is taken back: from its own lot, from what was forfeited of it, then from others."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, LONG_AGO, ORGANIZATION, WITHOUT_WAITING, processed_event
from daily import Expiry

from perminute.adapters.memory import InMemoryStore
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.results import Accepted, Duplicate
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.ledger import Producer
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.credit.transaction import ProcessedEvent


class Scene:
    """Credit of one organization, and the functions over it."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.book = BookCredit(self.store, WITHOUT_WAITING)

    def buy(self, identity: str, micros: int, at: datetime = LONG_AGO, lasts: int = 90) -> None:
        """Buy credit that expires after so many days."""
        bought = Purchase(
            purchase_id=identity,
            amount_micros=micros,
            currency="USD",
            purchased_at=at,
            expires_at=at + timedelta(days=lasts),
        )
        proof = processed_event(identity, kind=IdentityKind.PURCHASE)
        (result,) = self._book(bought, proof, at)
        assert isinstance(result, Accepted)

    def adjust(
        self,
        micros: int,
        purchase_id: str | None = None,
        at: datetime = ANSWERED,
        identity: str = "cb-1",
        content: str = "{}",
    ) -> object:
        """Correct the balance, or take a purchase back; returns the result."""
        change = Adjustment(
            adjustment_id=identity,
            amount_micros=micros,
            expires_at=at + timedelta(days=365),
            purchase_id=purchase_id,
        )
        proof = processed_event(identity, kind=IdentityKind.ADJUSTMENT)._replace(content=content)
        (result,) = self._book(change, proof, at)
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        return result

    def _book(
        self, change: Purchase | Adjustment, proof: ProcessedEvent, at: datetime
    ) -> Sequence[object]:
        event = CreditEvent(
            organization_id=ORGANIZATION,
            change=change,
            processed_event=proof,
            issued_at=at,
            producer=Producer("123456789012", f"of {proof.key.id}"),
        )
        return self.book([event])

    @property
    def balance(self) -> int:
        """The balance in micro-units."""
        return self.store.account(ORGANIZATION).balance_micros

    @property
    def left(self) -> dict[str, int]:
        """What is left of each lot."""
        lots = self.store.account(ORGANIZATION).lots
        lots += self.store.further_lots(ORGANIZATION)
        return {one.purchase_id: one.remaining_micros for one in lots}

    def moved(self, count: int) -> list[tuple[str, int]]:
        """The last entries of the ledger."""
        return [(e.type.value, e.amount_micros) for e in self.store.entries[-count:]]


def test_its_own_lot_pays_first_whatever_was_bought_before() -> None:
    scene = Scene()
    scene.buy("first", 50, lasts=500)
    scene.buy("second", 30, lasts=500)
    assert isinstance(scene.adjust(-20, "second"), Accepted)
    assert scene.left == {"first": 50, "second": 10}
    assert isinstance(scene.adjust(-10, "second", identity="cb-2"), Accepted)
    assert scene.left == {"first": 50}


def test_what_was_forfeited_of_it_comes_back_and_is_taken() -> None:
    scene = Scene()
    scene.buy("gone", 10)
    Expiry(scene.store).all(ANSWERED)
    assert scene.balance == 0
    scene.adjust(-10, "gone")
    assert scene.moved(2) == [("expiry", 10), ("adjustment", -10)]
    assert scene.store.entries[-2].cause == "adjustment#cb-1"
    assert scene.balance == 0
    # What an admin gives after that is no longer swallowed by a debt.
    scene.adjust(4, identity="goodwill")
    assert scene.balance == 4


def test_an_entry_names_who_sent_its_event_and_what_time_brings_names_nobody() -> None:
    scene = Scene()
    scene.buy("gone", 10)
    Expiry(scene.store).all(ANSWERED)
    scene.adjust(-10, "gone")
    assert [(entry.type.value, entry.producer) for entry in scene.store.entries] == [
        ("purchase", Producer("123456789012", "of gone")),
        ("expiry", None),
        ("expiry", Producer("123456789012", "of cb-1")),
        ("adjustment", Producer("123456789012", "of cb-1")),
    ]


def test_what_is_used_of_it_is_taken_from_the_other_lots_and_becomes_debt() -> None:
    scene = Scene()
    scene.buy("used", 30, lasts=500)
    scene.adjust(-25, identity="correction")
    scene.buy("other", 15, at=LONG_AGO + timedelta(days=1), lasts=500)
    scene.adjust(-30, "used")
    assert scene.moved(1) == [("adjustment", -30)]
    assert [share[:3] for share in scene.store.entries[-1].lots] == [
        ("000000000001", "used", -5),
        ("000000000003", "other", -15),
    ]
    assert scene.balance == -10


def test_a_part_of_an_expired_purchase_may_be_taken_back_more_than_once() -> None:
    scene = Scene()
    scene.buy("gone", 10)
    Expiry(scene.store).all(ANSWERED)
    scene.adjust(-4, "gone", identity="cb-1")
    scene.adjust(-6, "gone", identity="cb-2")
    assert scene.balance == 0
    assert scene.moved(4) == [
        ("expiry", 4),
        ("adjustment", -4),
        ("expiry", 6),
        ("adjustment", -6),
    ]


def test_a_purchase_that_lies_among_further_lots_is_found() -> None:
    scene = Scene()
    for number in range(30):
        scene.buy(f"po-{number:02d}", 10, at=LONG_AGO + timedelta(days=number), lasts=500)
    scene.adjust(-7, "po-29")
    assert scene.left["po-29"] == 3
    assert scene.left["po-00"] == 10
    scene.adjust(-3, "po-29", identity="cb-2")
    assert "po-29" not in scene.left
    assert scene.balance == 290


def test_what_was_never_bought_is_refused_by_name() -> None:
    scene = Scene()
    scene.buy("po-1", 10, lasts=500)
    result = scene.adjust(-1, "po-2")
    assert isinstance(result, Refused)
    assert str(result).startswith("purchaseId: po-2 is not a purchase of contoso")
    assert scene.balance == 10


def test_more_than_was_bought_is_refused_by_name() -> None:
    scene = Scene()
    scene.buy("po-1", 10_000_000, lasts=500)
    scene.adjust(-7_000_000, "po-1", identity="cb-1")
    result = scene.adjust(-3_000_001, "po-1", identity="cb-2")
    assert isinstance(result, Refused)
    assert str(result) == (
        "amount: takes back 3.000001, but purchase po-1 brought 10, of which 7 was taken back "
        "before; take back at most the rest, or send an adjustment without a purchaseId"
    )
    assert scene.balance == 3_000_000
    assert isinstance(scene.adjust(-3_000_000, "po-1", identity="cb-3"), Accepted)


def test_a_chargeback_that_is_delivered_again_takes_nothing_more() -> None:
    scene = Scene()
    scene.buy("po-1", 10, lasts=500)
    scene.adjust(-10, "po-1")
    assert isinstance(scene.adjust(-10, "po-1"), Duplicate)
    assert scene.balance == 0


def test_another_chargeback_under_the_same_id_is_a_conflict() -> None:
    scene = Scene()
    scene.buy("po-1", 10, lasts=500)
    scene.adjust(-10, "po-1", content='{"amount": "-10"}')
    result = scene.adjust(-9, "po-1", content='{"amount": "-9"}')
    assert isinstance(result, Refused)
    assert "conflict" in str(result)
    assert scene.balance == 0


@pytest.mark.parametrize("given", [True, False])
def test_credit_that_was_given_is_no_purchase(*, given: bool) -> None:
    scene = Scene()
    scene.buy("po-1", 10, lasts=500)
    scene.adjust(5, identity="goodwill")
    result = scene.adjust(-5, "goodwill" if given else "LOST", identity="cb-2")
    assert isinstance(result, Refused)
    assert scene.balance == 15
