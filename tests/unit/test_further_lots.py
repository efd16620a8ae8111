"""An account has any number of lots: the first in its item, further ones as items of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    charge,
    ended,
    entitled_changes,
    holding,
    lot,
    processed_event,
    rating,
)
from daily import Expiry

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.further_lots import further_lots
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.transact import decide_with_enough_lots
from perminute.domain.credit.booking import Purchase, due_changes, move_lots_up, purchase
from perminute.domain.credit.lots import (
    MAX_LOTS_IN_ACCOUNT,
    MAX_LOTS_MOVED,
    FurtherLots,
    Lot,
    LotChanges,
    LotItems,
    draw,
    total_micros,
    twelve_months_after,
)
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION, IdentityKind
from perminute.domain.errors import Contended, FurtherLotsNeeded
from perminute.domain.notifications.notifications import CreditExpired
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account

CENT = 10_000


def many(number: int, micros: int = CENT) -> list[Lot]:
    """Lots that were bought one second after the other."""
    instants = [LONG_AGO + timedelta(seconds=n) for n in range(number)]
    return [
        lot(f"{n:012d}", micros, purchased_at=at, expires_at=twelve_months_after(at))
        for n, at in enumerate(instants)
    ]


def with_further(lots: list[Lot], first: int = MAX_LOTS_IN_ACCOUNT) -> Account:
    """An account as it is stored: the further lots are only summed up."""
    account = holding(*lots[:first], as_of=LONG_AGO)
    further = FurtherLots.of(lots[first:])
    balance_micros = total_micros(lots)
    return account._replace(further=further, balance_micros=balance_micros)


def bought(purchased_at: datetime = ANSWERED) -> Purchase:
    return Purchase(
        purchase_id="po-new",
        amount_micros=CENT,
        currency="USD",
        purchased_at=purchased_at,
        expires_at=twelve_months_after(purchased_at),
    )


def test_drawing_ends_at_the_first_lot_with_something_left() -> None:
    lots = tuple(many(300))
    left, shares, unpaid_micros = draw(lots, CENT + 1)
    assert [(share.lot_id, share.amount_micros) for share in shares] == [
        (lots[0].lot_id, -CENT),
        (lots[1].lot_id, -1),
    ]
    assert left == (lots[1]._replace(remaining_micros=CENT - 1), *lots[2:])
    assert all(one is other for one, other in zip(left[1:], lots[2:], strict=True))
    assert unpaid_micros == 0


def test_the_ninth_lot_is_an_item_of_its_own() -> None:
    account = holding(*many(MAX_LOTS_IN_ACCOUNT))
    booking = purchase(account, bought(), at=ANSWERED, cause="purchase#po-new")
    assert booking.after.lots == account.lots
    (stored,) = booking.lots.stored
    assert stored.purchase_id == "po-new"
    assert booking.after.further == FurtherLots.of([stored])
    assert booking.after.lots_micros == booking.after.balance_micros


def test_a_lot_that_was_bought_before_takes_its_place_and_the_last_one_moves_out() -> None:
    lots = many(MAX_LOTS_IN_ACCOUNT)
    early = bought(LONG_AGO - timedelta(days=1))
    booking = purchase(holding(*lots), early, at=LONG_AGO, cause="purchase#po-new")
    assert booking.after.lots[0].purchase_id == "po-new"
    assert booking.after.lots[1:] == tuple(lots[:-1])
    assert booking.lots.stored == (lots[-1],)


def test_a_lot_goes_behind_further_lots_that_nobody_has_read() -> None:
    lots = many(20)
    booking = purchase(with_further(lots), bought(), at=ANSWERED, cause="purchase#po-new")
    assert booking.after.lots == tuple(lots[:MAX_LOTS_IN_ACCOUNT])
    assert [one.purchase_id for one in booking.lots.stored] == ["po-new"]
    further = booking.after.further
    assert further is not None
    assert (further.number, further.remaining_micros) == (13, 13 * CENT)


def test_a_charge_that_the_first_lots_cover_needs_no_others() -> None:
    account = with_further(many(300))
    booking = charge(account, [rating("a", MAX_LOTS_IN_ACCOUNT * CENT)], at=ANSWERED)
    assert booking.after.lots == ()
    assert booking.after.further == account.further
    assert booking.lots == ((), (), ())


def test_a_charge_that_they_do_not_cover_says_what_it_lacks() -> None:
    account = with_further(many(300))
    calls = [rating("a", 6 * CENT), rating("b", 5 * CENT)]
    with pytest.raises(FurtherLotsNeeded) as needed:
        charge(account, calls, at=ANSWERED)
    assert needed.value.short_micros == 3 * CENT


def test_lots_move_up_until_there_are_eight_and_enough() -> None:
    lots = many(300)
    account = with_further(lots, first=3)
    booking = move_lots_up(account, lots[3:], CENT)
    assert booking.after.lots == tuple(lots[:MAX_LOTS_IN_ACCOUNT])
    assert booking.lots.removed == tuple(lots[3:MAX_LOTS_IN_ACCOUNT])
    enough = move_lots_up(account, lots[3:], 20 * CENT)
    assert enough.after.lots == tuple(lots[:23])
    assert enough.after.further == FurtherLots.of(lots[23:])
    assert (enough.entries, enough.notifications) == ((), ())
    most = move_lots_up(account, lots[3:], 290 * CENT)
    assert len(most.lots.removed) == MAX_LOTS_MOVED


def test_further_lots_are_warned_of_and_expire_as_any_other() -> None:
    lots = many(10)
    account = with_further(lots)
    year_later = twelve_months_after(LONG_AGO)
    due = due_changes(account, year_later - timedelta(days=29), further=lots[8:])
    assert [one.warned for one in due.lots.stored] == [True, True]
    stored = [one._replace(warned=True) for one in lots]
    expired = due_changes(due.after, year_later + timedelta(days=1), further=stored[8:])
    assert expired.after.lots == ()
    assert expired.after.further is None
    assert expired.after.balance_micros == 0
    assert expired.lots.removed == expired.lots.forfeited[8:]
    news = [one.body for one in expired.notifications if isinstance(one.body, CreditExpired)]
    assert len(news) == len(lots)


def test_what_may_expire_soon_counts_only_if_the_further_lots_were_read() -> None:
    lots = many(20)
    account = with_further(lots)
    soon = lots[8].expires_at
    assert account.balance_at(soon - timedelta(seconds=1)) == 12 * CENT
    assert not account.further_expire_by(soon - timedelta(seconds=1))
    assert account.further_expire_by(soon)
    assert account.balance_at(soon) == 0
    assert account.balance_at(soon, tuple(lots[8:])) == 11 * CENT
    assert account.available_micros(soon, further=tuple(lots[8:])) == 11 * CENT


class Scene:
    """Credit of one organization, and the functions over it."""

    def __init__(self) -> None:
        self.store = InMemoryStore()
        self.store.record(ORGANIZATION, entitled_changes())
        self.book = BookCredit(self.store, WITHOUT_WAITING)
        self.charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            LicensingCache(self.store),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )
        self.expire = Expiry(self.store)

    def buy(self, number: int, micros: int, at: datetime = LONG_AGO) -> None:
        """Buy credit that is a lot of its own."""
        identity = f"po-{number:03d}"
        event = CreditEvent(
            organization_id=ORGANIZATION,
            change=bought(at)._replace(purchase_id=identity, amount_micros=micros),
            processed_event=processed_event(identity, kind=IdentityKind.PURCHASE),
            issued_at=at,
        )
        (result,) = self.book([event])
        assert isinstance(result, Accepted)

    def call(self, *calls: EndedCall) -> None:
        """Charge calls: ten minutes cost 0.15 each."""
        assert all(isinstance(result, Accepted) for result in self.charge(calls))

    @property
    def account(self) -> Account:
        """The account as it is stored."""
        return self.store.account(ORGANIZATION)

    def check(self) -> None:
        """Hold all books against each other."""
        assert reconcile(self.store.statement(ORGANIZATION)) == ()


def test_three_hundred_small_lots_pay_one_after_the_other() -> None:
    scene = Scene()
    for number in range(300):
        scene.buy(number, CENT, LONG_AGO + timedelta(seconds=number))
    assert len(scene.account.lots) == MAX_LOTS_IN_ACCOUNT
    assert len(scene.store.further_lots(ORGANIZATION)) == 292
    # 40 calls for 15 cents each use up twice as much as there is.
    scene.call(*(ended(call_id=f"c-{n:02d}") for n in range(40)))
    scene.check()
    assert (scene.account.lots, scene.account.further) == ((), None)
    assert scene.account.debt_micros == 40 * 15 * CENT - 300 * CENT
    paid = [share.purchase_id for entry in scene.store.entries[300:] for share in entry.lots]
    assert paid == [f"po-{number:03d}" for number in range(300)]


def test_one_call_may_use_up_more_lots_than_a_transaction_has_items() -> None:
    scene = Scene()
    for number in range(180):
        scene.buy(number, CENT // 10, LONG_AGO + timedelta(seconds=number))
    scene.call(ended(call_id="a"))
    scene.check()
    usage = scene.store.usages[ORGANIZATION, "a"]
    assert len(usage.lots) == 150 > MAX_ITEMS_PER_TRANSACTION
    assert scene.account.balance_micros == 30 * CENT // 10


def test_further_lots_expire_by_the_daily_run() -> None:
    scene = Scene()
    for number in range(100):
        scene.buy(number, CENT, LONG_AGO + timedelta(seconds=number))
    scene.expire.all(twelve_months_after(LONG_AGO) + timedelta(seconds=50))
    scene.check()
    assert scene.account.balance_micros == 49 * CENT
    scene.expire.all(twelve_months_after(LONG_AGO) + timedelta(days=1))
    scene.check()
    assert (scene.account.lots, scene.account.further) == ((), None)
    assert len(scene.store.expired) == 100


def test_lots_that_were_warned_of_since_the_account_was_read_are_not_taken_for_its_own() -> None:
    scene = Scene()
    for number in range(10):
        scene.buy(number, CENT, LONG_AGO + timedelta(seconds=number))
    stale = scene.account
    scene.expire.all(twelve_months_after(LONG_AGO) - timedelta(days=29))
    with pytest.raises(Contended, match="were changed meanwhile"):
        further_lots(scene.store, stale)
    assert further_lots(scene.store, scene.account) == scene.store.further_lots(ORGANIZATION)


def test_a_lot_that_a_refund_displaced_pays_in_the_same_transaction() -> None:
    """It is stored nowhere yet: whoever waited for it to be moved up would wait forever."""
    full = tuple(lot(f"{n:03}", 10) for n in range(MAX_LOTS_IN_ACCOUNT))
    lots = LotChanges(full, None)
    lots.put(lot("back", 10, purchased_at=LONG_AGO - timedelta(days=1)))
    displaced: FurtherLots | None = lots.further
    assert displaced is not None
    drawn = lots.draw(10 * len(full) + 4)
    assert drawn.unpaid_micros == 0
    assert [(one.lot_id, one.remaining_micros) for one in lots.first] == [(full[-1].lot_id, 6)]
    assert (lots.further, lots.items) == (None, LotItems((), (), ()))


def test_a_draw_that_stays_short_is_not_decided_without_end() -> None:
    def decide(_: Account) -> None:
        raise FurtherLotsNeeded(5)

    account = holding(lot("1", 10), as_of=ANSWERED)
    with pytest.raises(RuntimeError, match="there are no further lots"):
        decide_with_enough_lots(InMemoryStore(), account, decide)
