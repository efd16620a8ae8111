"""For any history: balance = sum of the ledger = lots - debt, and every crossing is told once.

The model is a list of balances and a few lines that say, from each to the next, what is to be
told. It knows nothing of lots, transactions, batches or duplicates.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from builders import (
    ANSWERED,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    processed_event,
)
from daily import Expiry
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.book_credit import BookCredit, CreditEvent, FailedRecharge
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.domain.credit import lots
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import LATE_USAGE, CreditSettings
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.credit.lots import WARNING_AHEAD, FurtherLots, total_micros
from perminute.domain.credit.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, AutoRecharge
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CreditExpired,
    CreditExpiring,
    LowBalance,
    RechargeRequested,
    RechargeSucceeded,
)
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.domain.credit.transaction import Transaction

PAID = 150_000
THRESHOLDS = (0, PAID, 3 * PAID, 3 * PAID + 1, 10 * PAID)
AUTO = AutoRecharge(trigger_micros=3 * PAID, recharge_micros=4 * PAID)
CONFIGURED = CreditSettings(
    configured_at=ANSWERED - timedelta(days=1),
    event_id="settings",
    currency="USD",
    low_balance_thresholds_micros=THRESHOLDS,
)

Step = EndedCall | CreditEvent | datetime
"""A call, an event about the credit, or a daily run."""


@pytest.fixture(scope="module", autouse=True)
def _accounts_with_two_lots() -> Iterator[None]:
    """Has histories of a few purchases reach further lots."""
    with patch.object(lots, "MAX_LOTS_IN_ACCOUNT", 2):
        yield


@dataclass
class RecordingStore(InMemoryStore):
    """Keeps, for each transaction with entries, the balance before it and after each entry."""

    balances: list[list[int]] = field(default_factory=list)

    def commit(self, transaction: Transaction) -> None:
        super().commit(transaction)
        if transaction.entries:
            after = [entry.balance_after_micros for entry in transaction.entries]
            self.balances.append([transaction.before.balance_micros, *after])


@dataclass
class World:
    """A store and the functions over it, each with its own memory."""

    store: RecordingStore = field(default_factory=RecordingStore)

    def __post_init__(self) -> None:
        self.store.record(ORGANIZATION, entitled_changes())
        # An adjustment is refused before any currency is known, and histories begin with any step.
        account = self.store.account(ORGANIZATION)._replace(currency="USD")
        self.store.accounts[ORGANIZATION] = account
        licensing = LicensingCache(self.store)
        self.charge = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            licensing,
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )
        self.book = BookCredit(self.store, WITHOUT_WAITING)
        self.expire = Expiry(self.store)

    def deliver(self, batch: Sequence[Step]) -> None:
        """Hand a batch to the function that it belongs to; all of it must be settled."""
        match batch[0]:
            case EndedCall():
                results = self.charge([one for one in batch if isinstance(one, EndedCall)])
                assert all(isinstance(one, Accepted | Duplicate) for one in results)
            case CreditEvent():
                booked = self.book([one for one in batch if isinstance(one, CreditEvent)])
                assert all(isinstance(one, Accepted | Duplicate) for one in booked)
            case at:
                self.expire.all(at)

    def entries(self) -> list[LedgerEntry]:
        return self.store.entries


def configuration(auto: AutoRecharge | None = None) -> CreditEvent:
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=CONFIGURED._replace(auto_recharge=auto),
        processed_event=processed_event("settings"),
        issued_at=CONFIGURED.configured_at,
    )


def bought(
    number: int, micros: int, at: datetime, days: int, recharge_id: str | None = None
) -> CreditEvent:
    identity = f"po-{number}"
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=Purchase(
            purchase_id=identity,
            amount_micros=micros,
            currency="USD",
            purchased_at=at,
            expires_at=at + timedelta(days=days),
            recharge_id=recharge_id,
        ),
        processed_event=processed_event(identity, kind=IdentityKind.PURCHASE),
        issued_at=at,
    )


def adjusted(number: int, micros: int, at: datetime) -> CreditEvent:
    identity = f"a-{number}"
    expires_at = at + timedelta(days=60)
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=Adjustment(adjustment_id=identity, amount_micros=micros, expires_at=expires_at),
        processed_event=processed_event(identity, kind=IdentityKind.ADJUSTMENT),
        issued_at=at,
    )


def failed(recharge_id: str, at: datetime) -> CreditEvent:
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=FailedRecharge(recharge_id=recharge_id, reason="no"),
        processed_event=processed_event(recharge_id, kind=IdentityKind.RECHARGE_FAILURE),
        issued_at=at,
    )


def called(number: int, at: datetime, reported_at: datetime | None = None) -> EndedCall:
    answered = at - timedelta(minutes=10)
    one = ended(call_id=f"call-{number}", answered_at=answered, ended_at=at)
    return EndedCall(one.call, reported_at or at)


@st.composite
def histories(draw: st.DrawFn, *, late: bool = False) -> list[Step]:
    """Calls, purchases, adjustments and daily runs, as time goes on over some months.

    Late ones are told hours or weeks after they happened, so their times go back and forth.
    """
    clock, steps = ANSWERED, list[Step]()
    delays = [timedelta(0), timedelta(hours=5), timedelta(hours=30), timedelta(days=20)]
    for number in range(draw(st.integers(1, 25))):
        clock += draw(st.sampled_from([timedelta(0), timedelta(seconds=1), timedelta(days=7)]))
        at = clock - draw(st.sampled_from(delays)) if late else clock
        kind = draw(st.sampled_from(["call", "call", "call", "buy", "adjust", "run"]))
        match kind:
            case "call" if draw(st.booleans()):
                steps.append(called(number, at, clock))
            case "call":
                steps.append(called(number, at))
            case "buy":
                micros = draw(st.sampled_from([1, PAID, 4 * PAID, 12 * PAID]))
                steps.append(bought(number, micros, at, draw(st.sampled_from([7, 28, 45, 90]))))
            case "adjust":
                micros = draw(st.sampled_from([-12 * PAID, -PAID, -1, 1, 3 * PAID]))
                steps.append(adjusted(number, micros, at))
            case _:
                steps.append(clock)
    return steps


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[Step]]:
    """A history cut into batches of one kind, with steps of it delivered again later on."""
    history = draw(histories(late=draw(st.booleans())))
    batches: list[list[Step]] = []
    for step in history:
        joins = batches and type(batches[-1][0]) is type(step) and not isinstance(step, datetime)
        if joins and draw(st.booleans()):
            batches[-1].append(step)
        else:
            batches.append([step])
        if draw(st.integers(0, 3)) == 0:
            again = draw(st.sampled_from(history[: history.index(step) + 1]))
            batches.append([again])
    return batches


def check_books(store: InMemoryStore) -> None:
    account = store.account(ORGANIZATION)
    further = store.further_lots(ORGANIZATION)
    lots = (*account.lots, *further)
    assert account.balance_micros == sum(entry.amount_micros for entry in store.entries)
    assert account.balance_micros == total_micros(lots) - account.debt_micros
    assert not (lots and account.debt_micros)
    assert all(one.remaining_micros > 0 for one in lots)
    assert list(lots) == sorted(lots, key=lambda one: one.purchased_at)
    assert account.further == FurtherLots.of(further)
    assert reconcile(store.statement(ORGANIZATION)) == ()


def expected(transactions: Sequence[Sequence[int]]) -> Iterator[tuple[str, int, int]]:
    """What the falls of the balance call for: type, which threshold, and the balance stated.

    A threshold that one entry passes and another one of its transaction takes back is not passed.
    """
    for balances in transactions:
        first, last = balances[0], balances[-1]
        for threshold in THRESHOLDS:
            if first >= threshold > last:
                yield "LowBalance", threshold, _below(balances, threshold)
        if first > 0 >= last:
            yield "BalanceExhausted", 0, _below(balances, 1)


def _below(balances: Sequence[int], threshold: int) -> int:
    """The balance after the last step that led below a threshold."""
    return [after for before, after in pairwise(balances) if before >= threshold > after][-1]


def told(store: InMemoryStore) -> Iterator[tuple[str, int, int]]:
    for one in store.outbox:
        match one.body:
            case LowBalance(threshold_micros=threshold, balance_micros=balance):
                yield "LowBalance", threshold, balance
            case BalanceExhausted(balance_micros=balance):
                yield "BalanceExhausted", 0, balance


@given(deliveries())
def test_books_balance_at_every_instant_and_each_crossing_is_told_once(
    batches: list[list[Step]],
) -> None:
    world = World()
    world.deliver([configuration()])
    for batch in batches:
        world.deliver(batch)
        check_books(world.store)
    assert Counter(told(world.store)) == Counter(expected(world.store.balances))
    assert len({one.id for one in world.store.outbox}) == len(world.store.outbox)


@given(histories(), st.data())
def test_how_batches_are_cut_changes_no_balance_no_lot_and_no_expiry(
    history: list[Step], data: st.DataObject
) -> None:
    one_by_one, batched = World(), World()
    batches: list[list[Step]] = []
    for step in history:
        one_by_one.deliver([step])
        joins = batches and isinstance(step, EndedCall) and isinstance(batches[-1][0], EndedCall)
        if joins and data.draw(st.booleans()):
            batches[-1].append(step)
        else:
            batches.append([step])
    for batch in batches:
        batched.deliver(data.draw(st.permutations(batch)))
    assert _state(batched) == _state(one_by_one)


def _state(world: World) -> tuple[object, ...]:
    """What money says, without the numbers of entries, of which batches need fewer."""
    account = world.store.account(ORGANIZATION)
    all_lots = (*account.lots, *world.store.further_lots(ORGANIZATION))
    lots = [(one.purchase_id, one.remaining_micros, one.warned) for one in all_lots]
    expiries = [
        (entry.at, entry.amount_micros)
        for entry in world.entries()
        if entry.type is EntryType.EXPIRY
    ]
    return account.balance_micros, lots, account.debt_micros, expiries


@given(deliveries())
def test_an_expired_lot_is_forfeited_and_told_of_once_and_pays_only_calls_that_ended_before(
    batches: list[list[Step]],
) -> None:
    world = World()
    for batch in batches:
        world.deliver(batch)
    world.deliver([ANSWERED + timedelta(days=400)])
    steps = [step for batch in batches for step in batch]
    expires_at = {
        step.change.purchase_id: step.change.expires_at
        for step in steps
        if isinstance(step, CreditEvent) and isinstance(step.change, Purchase)
    }
    calls = {step.call.call_id: step for step in steps if isinstance(step, EndedCall)}
    expired, late_micros, paid_late_micros = Counter[str](), Counter[str](), Counter[str]()
    for entry in world.entries():
        for lot_id, purchase_id, micros, late in entry.lots:
            expiry = expires_at.get(purchase_id)
            if entry.type is EntryType.EXPIRY and micros < 0:
                expired[purchase_id] += 1
            elif entry.type is EntryType.EXPIRY:
                call = calls[entry.call_ids[0]]
                late_micros[lot_id] += micros
                assert expiry is None or call.call.ended_at < expiry
                assert expiry is None or call.reported_at <= expiry + LATE_USAGE
            elif micros < 0 and expired[purchase_id]:
                # Booked after the expiry, even if it was reported before.
                assert late
                paid_late_micros[lot_id] -= micros
    assert paid_late_micros == late_micros
    assert set(expired.values()) <= {1}
    account = world.store.account(ORGANIZATION)
    assert (account.lots, account.further) == ((), None)
    forfeited_micros = sum(one.remaining_micros for one in world.store.expired.values())
    assert all(one.remaining_micros >= 0 for one in world.store.expired.values())
    expiries = (e.amount_micros for e in world.entries() if e.type is EntryType.EXPIRY)
    assert forfeited_micros == -sum(expiries)
    news = [one.body for one in world.store.outbox]
    assert Counter(n.purchase_id for n in news if isinstance(n, CreditExpired)) == expired
    warned = Counter(n.purchase_id for n in news if isinstance(n, CreditExpiring))
    assert set(warned.values()) <= {1}


@given(histories())
def test_with_a_run_every_day_every_lot_that_expires_was_warned_of_ahead(
    history: list[Step],
) -> None:
    world = World()
    day = ANSWERED.replace(hour=0)
    for step in [*history, ANSWERED + timedelta(days=400)]:
        at = _time_of(step)
        while day <= at:
            world.deliver([day])
            day += timedelta(days=1)
        world.deliver([step])
    warned = {
        one.body.purchase_id: one.at
        for one in world.store.outbox
        if isinstance(one.body, CreditExpiring)
    }
    for one in world.store.outbox:
        if isinstance(one.body, CreditExpired):
            assert warned[one.body.purchase_id] < one.at
            assert one.at - warned[one.body.purchase_id] <= WARNING_AHEAD


def _time_of(step: Step) -> datetime:
    match step:
        case EndedCall(reported_at=at) | CreditEvent(issued_at=at):
            return at
        case at:
            return at


@given(histories(late=False) | histories(late=True), st.data())
def test_recharges_are_asked_for_one_at_a_time_and_paid_once(
    history: list[Step], data: st.DataObject
) -> None:
    world = World()
    world.deliver([configuration(AUTO)])
    paid: list[CreditEvent] = []
    for number, step in enumerate(history):
        before_micros = world.store.account(ORGANIZATION).balance_micros
        world.deliver([step])
        _check_asked(world, before_micros)
        request = world.store.account(ORGANIZATION).recharge.open
        pays: bool = data.draw(st.booleans())
        repeats: bool = data.draw(st.booleans())
        if request and pays:
            name, micros = request.recharge_id, request.amount_micros
            paid.append(bought(1_000 + number, micros, _time_of(step), 30, recharge_id=name))
            world.deliver([paid[-1], paid[-1]])
        if paid and repeats:
            world.deliver([data.draw(st.sampled_from(paid))])
        check_books(world.store)
        _check_recharges(world)
    succeeded = [one for one in world.store.outbox if isinstance(one.body, RechargeSucceeded)]
    assert len(succeeded) == len(paid)


def _check_asked(world: World, before_micros: int) -> None:
    """Once the balance fell, and is below the trigger, somebody has been asked."""
    account = world.store.account(ORGANIZATION)
    if account.balance_micros < min(before_micros, AUTO.trigger_micros):
        assert account.recharge.open or account.recharge.stopped_by


def _check_recharges(world: World) -> None:
    """One id for one crossing: it is sent again after a day, and no other before its outcome."""
    account = world.store.account(ORGANIZATION)
    asked = [
        (one.at, one.body) for one in world.store.outbox if isinstance(one.body, RechargeRequested)
    ]
    assert len({news.recharge_id for _, news in asked}) == account.recharge.requests
    answered = {
        one.body.recharge_id
        for one in world.store.outbox
        if isinstance(one.body, RechargeSucceeded)
    }
    for (first_at, first), (second_at, second) in pairwise(asked):
        if first.recharge_id == second.recharge_id:
            assert second_at - first_at >= timedelta(hours=24)
            assert second.attempt == first.attempt + 1
            assert second.amount_micros == first.amount_micros
        else:
            assert first.recharge_id in answered
            assert second.attempt == 1
    assert max(Counter(at.date() for at, _ in asked).values(), default=0) <= MAX_REQUESTS_A_DAY


outcomes = st.lists(
    st.sampled_from(["paid", "failed", "failed", "failed", "silence", "by hand"]), max_size=25
)


@given(outcomes)
def test_auto_recharge_stops_at_the_third_failure_in_a_row_and_only_then(
    answers: list[str],
) -> None:
    """The model is a count of failures that a purchase sets back to none, and one of the day's.

    Each silence lasts a day; so a day has as many requests as there are answers in it, and one.
    """
    world, at = World(), ANSWERED
    world.deliver([configuration(AutoRecharge(trigger_micros=10**12, recharge_micros=1))])
    world.deliver([called(0, at)])
    asked, today, failures, disabled = 1, 1, 0, 0
    is_open, is_told = True, False
    for number, answer in enumerate(answers):
        request = world.store.account(ORGANIZATION).recharge.open
        assert (request is not None) == is_open
        identity = request.recharge_id if request else f"unknown-{number}"
        asks = False
        match answer:
            case "silence":
                at += timedelta(hours=24)
                today, asks = 0, is_open or is_told
                is_told = False
                world.deliver([at])
            case "failed":
                failures += is_open
                disabled += is_open and failures == MAX_FAILURES
                asks = is_open and failures < MAX_FAILURES
                is_open = False
                world.deliver([failed(identity, at)])
            case _:
                is_paid = is_open and answer == "paid"
                asks = is_paid or failures == MAX_FAILURES
                is_open = is_open and not is_paid
                failures = 0
                paid = identity if is_paid else None
                world.deliver([bought(number, 1, at, 300, recharge_id=paid)])
        if asks and today == MAX_REQUESTS_A_DAY:
            disabled += not is_told
            is_told = True
        elif asks:
            asked, today, is_open = asked + 1, today + 1, True
        news = Counter(type(one.body).__name__ for one in world.store.outbox)
        assert (news["RechargeRequested"], news["RechargeDisabled"]) == (asked, disabled)
