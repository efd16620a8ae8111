"""Use cases of credit that lives: expiries that meet charges, recharges, the daily run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    holding,
    lot,
    processed_event,
    purchase,
)
from daily import Expiry

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.book_credit import BookCredit, CreditEvent, FailedRecharge
from perminute.application.charge_calls import ChargeCalls
from perminute.application.check_books import BooksReport, ReconcileBooks
from perminute.application.daily_expiry import Expired
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import WARNING_AHEAD, twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, recharge_id
from perminute.domain.credit.transaction import AccountChanged, IdentityKind
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CreditExpired,
    CreditExpiring,
    RechargeRequested,
    RechargeSucceeded,
)
from perminute.domain.reconciliation.reconciliation import Difference, Statement

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.charge_calls import EndedCall
    from perminute.domain.credit.transaction import Transaction

PAID = 150_000
EXPIRES = ANSWERED + timedelta(minutes=30)


def store_with(*lots_micros: int, expires_at: datetime = EXPIRES) -> InMemoryStore:
    """An entitled organization whose lots expire one day after the other, already warned of."""
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    lots = [
        lot(f"{n:012d}", micros, expires_at=expires_at + timedelta(days=n), warned=True)
        for n, micros in enumerate(lots_micros)
    ]
    store.accounts[ORGANIZATION] = holding(*lots)._replace(
        version=1, licensing_version=1, entries=0
    )
    store.listed.add(ORGANIZATION)
    return store


def call(call_id: str, at: datetime) -> EndedCall:
    """A call of ten minutes that is reported when it ends."""
    return ended(call_id=call_id, answered_at=at - timedelta(minutes=10), ended_at=at)


def charging(store: InMemoryStore) -> ChargeCalls:
    return ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )


def booked(store: InMemoryStore) -> list[tuple[EntryType, int]]:
    return [(entry.type, entry.amount_micros) for entry in store.entries]


@pytest.mark.parametrize("apart", [False, True])
def test_a_lot_that_expires_between_two_calls_pays_the_earlier_one_however_they_are_batched(
    apart: bool,  # noqa: FBT001 - the two ways to cut the batch
) -> None:
    store = store_with(5 * PAID)
    calls = [call("late", EXPIRES), call("early", EXPIRES - timedelta(microseconds=1))]
    for batch in [[calls[1]], [calls[0]]] if apart else [calls]:
        assert all(isinstance(result, Accepted) for result in charging(store)(batch))
    assert booked(store) == [
        (EntryType.CHARGE, -PAID),
        (EntryType.EXPIRY, -4 * PAID),
        (EntryType.CHARGE, -PAID),
    ]
    assert store.account(ORGANIZATION).debt_micros == PAID


def test_a_lot_pays_all_that_came_before_its_end_even_if_a_batch_takes_two_transactions() -> None:
    store = store_with(100 * PAID)
    late = [call(f"late-{n}", EXPIRES) for n in range(60)]
    early = [call(f"early-{n}", EXPIRES - timedelta(seconds=1)) for n in range(60)]
    charging(store)([*late, *early])
    assert booked(store) == [
        (EntryType.CHARGE, -60 * PAID),
        (EntryType.EXPIRY, -40 * PAID),
        (EntryType.CHARGE, -60 * PAID),
    ]


def test_a_charge_and_the_daily_run_never_book_one_expiry_twice() -> None:
    store = store_with(5 * PAID, 3 * PAID)
    run = Expiry(store)
    charging(store)([call("a", EXPIRES)])
    assert run(EXPIRES + timedelta(hours=3)) == {}
    assert run(EXPIRES + timedelta(days=1)) == {ORGANIZATION: Expired()}
    charging(store)([call("b", EXPIRES + timedelta(days=1))])
    assert [one for one in booked(store) if one[0] is EntryType.EXPIRY] == [
        (EntryType.EXPIRY, -5 * PAID),
        (EntryType.EXPIRY, -2 * PAID),
    ]


def test_credit_expires_before_a_purchase_and_an_adjustment_are_booked() -> None:
    store = store_with(7)
    BookCredit(store, WITHOUT_WAITING)([purchase(amount=50, purchased_at=EXPIRES)])
    assert booked(store) == [(EntryType.EXPIRY, -7), (EntryType.PURCHASE, 50 * MICROS)]


@dataclass
class Raced(InMemoryStore):
    """Somebody else books what is due just before each of our first transactions."""

    times: int = 2

    def commit(self, transaction: Transaction) -> None:
        if self.times:
            self.times -= 1
            account = self.account(ORGANIZATION)
            self.accounts[ORGANIZATION] = account._replace(version=account.version + 1)
        super().commit(transaction)


@pytest.mark.parametrize("what", ["charge", "purchase", "run"])
def test_whoever_finds_the_account_moved_reads_it_again(what: str) -> None:
    store = Raced(**vars(store_with(5 * PAID)), times=2)
    match what:
        case "charge":
            assert isinstance(charging(store)([call("a", EXPIRES)])[0], Accepted)
        case "purchase":
            event = purchase(purchased_at=EXPIRES)
            assert isinstance(BookCredit(store, WITHOUT_WAITING)([event])[0], Accepted)
        case _:
            assert Expiry(store)(EXPIRES) == {ORGANIZATION: Expired()}
    assert booked(store)[0] == (EntryType.EXPIRY, -5 * PAID)
    assert len([one for one in booked(store) if one[0] is EntryType.EXPIRY]) == 1


class Stubborn(InMemoryStore):
    def commit(self, transaction: Transaction) -> None:
        if transaction.before.organization_id == "stuck":
            raise AccountChanged("busy")
        super().commit(transaction)


def test_one_account_that_cannot_be_brought_up_to_date_does_not_hold_up_the_others() -> None:
    store = Stubborn(**vars(store_with(5 * PAID)))
    stuck = holding(lot("1", 5, expires_at=EXPIRES))
    store.accounts["stuck"] = stuck._replace(organization_id="stuck")
    store.listed.add("stuck")
    run = Expiry(store)(EXPIRES)
    assert booked(store) == [(EntryType.EXPIRY, -5 * PAID)]
    assert run[ORGANIZATION] == Expired()
    assert str(run["stuck"].failed).startswith("stuck: busy")


def test_the_warning_comes_once_whoever_is_first_and_the_expiry_after_it() -> None:
    store = InMemoryStore()
    BookCredit(store, WITHOUT_WAITING)([purchase(amount=1)])
    expires_at = twelve_months_after(LONG_AGO)
    for days in range(-32, 3):
        Expiry(store).all(expires_at + timedelta(days=days))
    told = [(type(one.body), one.at) for one in store.outbox]
    assert told == [
        (CreditExpiring, expires_at - WARNING_AHEAD),
        (BalanceExhausted, expires_at),
        (CreditExpired, expires_at),
    ]


# Recharges

REQUESTED = recharge_id(ORGANIZATION, 1)


def recharging() -> InMemoryStore:
    """An account that has asked for a recharge."""
    store = store_with(5 * PAID, expires_at=ANSWERED + timedelta(days=300))
    auto = AutoRecharge(trigger_micros=5 * PAID, recharge_micros=50 * MICROS)
    settings = CreditSettings(
        configured_at=LONG_AGO, event_id="e", currency="USD", auto_recharge=auto
    )
    store.accounts[ORGANIZATION] = store.account(ORGANIZATION)._replace(settings=settings)
    charging(store)([call("a", ANSWERED)])
    assert store.account(ORGANIZATION).recharge.waits_for(REQUESTED)
    return store


def failure(identity: str = REQUESTED, reason: str = "expired card") -> CreditEvent:
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=FailedRecharge(recharge_id=identity, reason=reason),
        processed_event=processed_event(
            identity, kind=IdentityKind.RECHARGE_FAILURE, content={"reason": reason}
        ),
        issued_at=ANSWERED,
    )


def test_a_recharge_is_paid_once_even_by_purchases_of_different_names() -> None:
    store = recharging()
    book = BookCredit(store, WITHOUT_WAITING)
    first = purchase("po-1", recharge_id=REQUESTED, purchased_at=ANSWERED)
    second = purchase("po-2", recharge_id=REQUESTED, purchased_at=ANSWERED)
    accepted, repeated, refused = book([first, first, second])
    assert (type(accepted), repeated) == (Accepted, Duplicate())
    assert isinstance(refused, Refused)
    assert str(refused) == (
        f"rechargeId: conflict: recharge {REQUESTED} was paid by purchase po-1; if credit was "
        "bought twice, send the second purchase without a rechargeId"
    )
    assert store.account(ORGANIZATION).balance_micros == 4 * PAID + 50 * MICROS


def test_a_failure_counts_once_however_often_it_is_reported() -> None:
    store = recharging()
    accepted, repeated = BookCredit(store, WITHOUT_WAITING)([failure(), failure()])
    assert (type(accepted), repeated) == (Accepted, Duplicate())
    assert store.account(ORGANIZATION).recharge.failures == 1
    assert len(store.outbox) == 3
    (conflict,) = BookCredit(store, WITHOUT_WAITING)([failure(reason="another")])
    assert str(conflict).startswith(f"rechargeId: conflict: {REQUESTED} is recorded with another")


def test_a_recharge_that_is_paid_cannot_fail_any_more() -> None:
    store = recharging()
    book = BookCredit(store, WITHOUT_WAITING)
    book([purchase(recharge_id=REQUESTED, purchased_at=ANSWERED)])
    told = list(store.outbox)
    (refused,) = book([failure()])
    assert str(refused) == (
        f"rechargeId: conflict: recharge {REQUESTED} was paid by purchase po-1, so it has not "
        "failed"
    )
    assert store.outbox == told


def test_a_failure_that_came_before_the_payment_is_a_repetition_after_it() -> None:
    store = recharging()
    book = BookCredit(store, WITHOUT_WAITING)
    book([failure(), purchase(recharge_id=REQUESTED, purchased_at=ANSWERED)])
    assert book([failure()]) == [Duplicate()]


def test_events_of_one_batch_are_booked_in_the_order_in_which_they_were_issued() -> None:
    events = [
        purchase("second", amount=5, purchased_at=ANSWERED + timedelta(milliseconds=600)),
        purchase("first", amount=3, purchased_at=ANSWERED + timedelta(milliseconds=100)),
    ]
    for batch in (events, events[::-1]):
        store = store_with(expires_at=ANSWERED)
        charging(store)([call(f"c-{n}", ANSWERED) for n in range(10)])
        results = BookCredit(store, WITHOUT_WAITING)(batch)
        names = [one.purchase_id for one in store.account(ORGANIZATION).lots]
        assert names == ["first", "second"]
        assert [result.result.entries for result in results if isinstance(result, Accepted)] == (
            [3, 2] if batch is events else [2, 3]
        )


def test_when_an_event_was_heard_of_reaches_what_follows_from_it() -> None:
    heard_at = ANSWERED + timedelta(hours=30)
    store = store_with(5 * PAID, expires_at=ANSWERED + timedelta(days=300))
    auto = AutoRecharge(trigger_micros=50 * MICROS, recharge_micros=MICROS)
    settings = CreditSettings(
        configured_at=LONG_AGO, event_id="e", currency="USD", auto_recharge=auto
    )
    account = store.account(ORGANIZATION)._replace(settings=settings, entries=1)
    store.accounts[ORGANIZATION] = account
    charging(store)([replace(call("a", ANSWERED), heard_at=heard_at), call("b", ANSWERED)])
    first = store.account(ORGANIZATION).recharge.open
    assert first is not None
    assert first.requested_at == heard_at
    paid = purchase(amount=1, recharge_id=first.recharge_id, purchased_at=ANSWERED)
    later = heard_at + timedelta(hours=1)
    BookCredit(store, WITHOUT_WAITING)([replace(paid, heard_at=later)])
    second = store.account(ORGANIZATION).recharge.open
    assert second is not None
    assert second.requested_at == later


def test_a_recharge_that_succeeded_after_all_funds_the_account_and_counts_for_the_month() -> None:
    store = recharging()
    BookCredit(store, WITHOUT_WAITING)(
        [failure(), purchase(recharge_id=REQUESTED, purchased_at=ANSWERED)]
    )
    account = store.account(ORGANIZATION)
    assert account.balance_micros == 4 * PAID + 50 * MICROS
    # The one that failed and was paid, and the one that its failure brought about.
    assert account.recharge.month_micros == 100 * MICROS
    (told,) = [one.body for one in store.outbox if isinstance(one.body, RechargeSucceeded)]
    assert told.after_failure


def test_a_recharge_that_nobody_requested_is_paid_all_the_same_and_counts_for_nothing() -> None:
    store = recharging()
    BookCredit(store, WITHOUT_WAITING)([purchase(recharge_id="another", purchased_at=ANSWERED)])
    account = store.account(ORGANIZATION)
    assert account.balance_micros == 4 * PAID + 50 * MICROS
    assert account.recharge.month_micros == 50 * MICROS
    assert account.recharge.waits_for(REQUESTED)


def test_a_failure_that_comes_while_its_recharge_is_being_paid_is_not_overlooked() -> None:
    """Processed events are read after the account, so that its version holds for them."""

    class FailsMeanwhile(InMemoryStore):
        def commit(self, transaction: Transaction) -> None:
            if len(self.accounts) and not self.failed:
                self.failed = True
                BookCredit(self, WITHOUT_WAITING)([failure()])
            super().commit(transaction)

        failed = False

    store = FailsMeanwhile(**vars(recharging()))
    (result,) = BookCredit(store, WITHOUT_WAITING)(
        [purchase(recharge_id=REQUESTED, purchased_at=ANSWERED)]
    )
    assert isinstance(result, Accepted)
    assert store.account(ORGANIZATION).recharge.month_micros == 100 * MICROS


def test_a_recharge_that_nobody_answers_is_named_by_the_daily_run_after_three_days() -> None:
    store = recharging()
    night = ANSWERED.replace(hour=0, minute=5)

    def named(days: int) -> list[str | None]:
        run = Expiry(store)(night + timedelta(days=days))
        return [one.unanswered for one in run.values() if one.unanswered]

    assert [named(days) for days in range(1, 7)] == [[], [], [], *[[REQUESTED]] * 3]
    attempts = [one.body for one in store.outbox if isinstance(one.body, RechargeRequested)]
    # Its first night comes before a day has passed.
    assert [one.attempt for one in attempts] == [1, 2, 3, 4, 5, 6]
    assert {one.recharge_id for one in attempts} == {REQUESTED}
    BookCredit(store, WITHOUT_WAITING)(
        [purchase(recharge_id=REQUESTED, purchased_at=ANSWERED + timedelta(days=7))]
    )
    assert named(8) == []


@pytest.mark.parametrize("off", [False, True])
def test_it_is_named_even_if_calls_send_it_again_or_auto_recharge_is_off(
    off: bool,  # noqa: FBT001 - the two ways not to be due at night
) -> None:
    store = recharging()
    if off:
        account = store.account(ORGANIZATION)
        assert account.settings is not None
        settings = account.settings._replace(auto_recharge=None)
        store.accounts[ORGANIZATION] = account._replace(settings=settings)
    for days in range(1, 4):
        charging(store)([call(f"c-{days}", ANSWERED + timedelta(days=days, minutes=days))])
    night = ANSWERED.replace(hour=0, minute=5) + timedelta(days=4)
    assert not store.account(ORGANIZATION).is_due(night)
    assert Expiry(store)(night) == {ORGANIZATION: Expired(unanswered=REQUESTED)}


@pytest.mark.parametrize("expiring", [False, True])
@pytest.mark.parametrize("paid", [False, True])
def test_a_late_outcome_does_not_send_again_the_request_that_it_answers(
    paid: bool,  # noqa: FBT001 - or failed
    expiring: bool,  # noqa: FBT001 - whether the balance falls just before
) -> None:
    store, at = recharging(), ANSWERED + timedelta(hours=30)
    if expiring:
        account = store.account(ORGANIZATION)
        (left,) = account.lots
        lots = (left._replace(expires_at=at - timedelta(hours=1)),)
        store.accounts[ORGANIZATION] = account._replace(lots=lots)
    outcome = (
        purchase(recharge_id=REQUESTED, purchased_at=at)
        if paid
        else replace(failure(), issued_at=at)
    )
    (result,) = BookCredit(store, WITHOUT_WAITING)([outcome])
    assert isinstance(result, Accepted)
    attempts = [one.body for one in store.outbox if isinstance(one.body, RechargeRequested)]
    following = [] if paid else [(recharge_id(ORGANIZATION, 2), 1)]
    assert [(one.recharge_id, one.attempt) for one in attempts] == [(REQUESTED, 1), *following]


def test_the_outcome_of_another_request_sends_an_unanswered_one_again() -> None:
    store, at = recharging(), ANSWERED + timedelta(hours=30)
    BookCredit(store, WITHOUT_WAITING)([replace(failure("another"), issued_at=at)])
    attempts = [one.body for one in store.outbox if isinstance(one.body, RechargeRequested)]
    assert [(one.recharge_id, one.attempt) for one in attempts] == [(REQUESTED, 1), (REQUESTED, 2)]


# Reconciliation


@dataclass
class Unsettled(InMemoryStore):
    """A store whose first readings see a charge half applied."""

    half: int = 1

    def statement(self, organization_id: str) -> Statement:
        statement = super().statement(organization_id)
        if self.half:
            self.half -= 1
            return replace(statement, entries=statement.entries[:-1])
        return statement


def test_books_that_are_just_being_written_are_read_again_before_a_difference_is_told() -> None:
    store = Unsettled()
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    assert list(ReconcileBooks(store, WITHOUT_WAITING)()) == [
        BooksReport(ORGANIZATION, version=1, entries=1)
    ]


def test_a_difference_that_stays_is_told_and_nothing_is_changed() -> None:
    store = InMemoryStore()
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    wrong = store.account(ORGANIZATION)._replace(balance_micros=49 * MICROS)
    store.accounts[ORGANIZATION] = wrong
    (books,) = ReconcileBooks(store, WITHOUT_WAITING)([ORGANIZATION])
    assert books.differences == (
        Difference(
            ORGANIZATION, "the balance is 49, but the entries add up to 50", ("000000000001",)
        ),
        Difference(ORGANIZATION, "the balance is 49, but lots less debt are 50", ("000000000001",)),
    )
    assert store.account(ORGANIZATION) == wrong


class Unreadable(InMemoryStore):
    def statement(self, organization_id: str) -> Statement:
        if organization_id == ORGANIZATION:
            msg = "no answer"
            raise Unavailable(msg)
        return super().statement(organization_id)


def test_books_that_cannot_be_read_are_named_and_the_others_are_checked() -> None:
    assert list(ReconcileBooks(Unreadable(), WITHOUT_WAITING)([ORGANIZATION, "fabrikam"])) == [
        BooksReport(ORGANIZATION, unavailable="no answer"),
        BooksReport("fabrikam"),
    ]


def test_an_organization_without_an_account_has_nothing_to_reconcile() -> None:
    assert list(ReconcileBooks(InMemoryStore(), WITHOUT_WAITING)(["nobody"])) == [
        BooksReport("nobody")
    ]
    assert Account(organization_id="nobody").due_at is None
