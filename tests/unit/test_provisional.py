"""Nothing is notified or bought from a balance that settling a minute pool may still change."""

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
    fact,
    holding,
    holds,
    lot,
    processed_event,
    purchase,
)
from daily import Expiry

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import settle_pools
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit, CreditEvent, FailedRecharge
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.credit.accounts import PROVISIONAL_FOR, Provisional
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge, recharge_id
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.credit.transaction_builder import TransactionBuilder
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallNotEntitled,
    LowBalance,
    MinutePoolThreshold,
    Notification,
    NotificationBody,
    RechargeFailed,
    RechargeRequested,
    SpendLimitReached,
)
from perminute.domain.pools.pools import Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute.application.charge_calls import EndedCall
    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList, Calls

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
NOVEMBER = Month(2026, 11)
NOON = ANSWERED + 3 * HOUR
LATE = NOON + 22 * HOUR
CARD = card("dialOut,49,DE,USD,0.015,,", "dialOut,44,GB,USD,0.05,,", "tollDialIn,1,US,USD,0.0085,,")
CHEAP_MICROS, DEAR_MICROS = 900_000, 3 * MICROS
SETTINGS = CreditSettings(
    configured_at=LONG_AGO,
    event_id="settings",
    currency="USD",
    low_balance_thresholds_micros=(2 * MICROS,),
    auto_recharge=AutoRecharge(trigger_micros=MICROS, recharge_micros=50 * MICROS),
)


@dataclass
class Unreadable:
    """Calls of which the lists can be read so many times more."""

    calls: InMemoryCalls
    times: int

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        return self.calls.lists(organization_id, since=since, after=after)

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        if not self.times:
            raise Unavailable("the lists cannot be read")
        self.times -= 1
        return self.calls.dial_outs(organization_id, since=since)

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        return self.calls.usages(organization_id, call_ids)

    def usages_by_id(self, organization_id: str, call_ids: Collection[str]) -> Mapping[str, Usage]:
        return self.calls.usages_by_id(organization_id, call_ids)


def configured(identity: str, settings: CreditSettings, at: datetime) -> CreditEvent:
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=settings,
        processed_event=processed_event(identity),
        issued_at=at,
    )


class World:
    """An organization with a pool of an hour, whose organizer adele draws on it.

    What comes late for it is never settled at once, as where there are too many calls for that.
    """

    def __init__(
        self, *licenses: str, credit: int = 3, settings: CreditSettings = SETTINGS
    ) -> None:
        self.store = InMemoryStore()
        self.licensing = LicensingCache(self.store)
        self.cards = PublishedRateCards(CARD)
        bought = fact("purchased:MCOMEETADV", 1)
        adele = tuple(holds("subscription", *licenses).facts)
        for user, facts in ((None, (bought,)), ("adele", adele)):
            change = LicensingChange(ORGANIZATION, user, facts)
            self.store.record(ORGANIZATION, [(change, processed_event(f"{user}"))])
        self.book(purchase(amount=credit), configured("settings", settings, LONG_AGO + SECOND))
        # There were no calls yet that the set-up of the credits could concern.
        self.store.reratings.clear()

    def book(self, *events: CreditEvent) -> None:
        results = BookCredit(self.store, WITHOUT_WAITING)(events)
        assert all(isinstance(one, Accepted) for one in results), results

    def charge(self, *calls: EndedCall) -> None:
        charging = ChargeCalls(
            self.store,
            InMemoryCalls(self.store),
            self.licensing,
            self.cards,
            WITHOUT_WAITING,
            settles_at_once=0,
        )
        results = charging(calls)
        assert all(isinstance(one, Accepted) for one in results), results

    def settle(self, heard_at: datetime | None = None, calls: Calls | None = None) -> None:
        again = RecordedCalls(
            self.store,
            calls or InMemoryCalls(self.store),
            self.licensing,
            self.cards,
            WITHOUT_WAITING,
        )
        (result,) = RerateCalls(again, self.store)([ReratingRequest(ORGANIZATION, heard_at)])
        if calls is None:
            assert isinstance(result, Accepted), result

    def wait(self, at: datetime) -> None:
        """Another quarter of an hour, in which nothing settles the pool."""
        self.settle(at, Unreadable(InMemoryCalls(self.store), times=0))

    @property
    def account(self) -> Account:
        return self.store.account(ORGANIZATION)

    def usage(self, call_id: str) -> Usage:
        return self.store.usages[ORGANIZATION, call_id]

    def told(self) -> list[Notification]:
        """All but the thresholds of the pool, which are told when it is settled."""
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        assert len({one.id for one in self.store.outbox}) == len(self.store.outbox)
        return [one for one in self.store.outbox if not isinstance(one.body, MinutePoolThreshold)]

    def notified(self) -> list[NotificationBody]:
        return [one.body for one in self.told()]


def call(name: str, until: datetime, heard_at: datetime, **changed: object) -> EndedCall:
    """A call out of an hour, by which a pool is used up."""
    one = ended(call_id=name, answered_at=until - HOUR, ended_at=until, **changed)
    return replace(one, reported_at=max(until, heard_at), heard_at=heard_at)


def cheap(name: str, until: datetime, heard_at: datetime) -> EndedCall:
    return call(name, until, heard_at)


def dear(name: str, until: datetime, heard_at: datetime) -> EndedCall:
    return call(name, until, heard_at, remote_number="+442079460100")


def dial_in(name: str, heard_at: datetime) -> EndedCall:
    """A call that no pool bears: of ten minutes, toll, included in the subscription."""
    parts = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550199"}
    return call(name, heard_at, heard_at, remote_number=None, **parts)


def late_pool(*licenses: str, credit: int = 3, settings: CreditSettings = SETTINGS) -> World:
    """A cheap call has the pool; a dear one that ended before it is reported a day late."""
    world = World(*licenses or ("communicationsCredits",), credit=credit, settings=settings)
    world.charge(cheap("first", NOON, NOON))
    world.charge(dear("late", NOON - 2 * HOUR, LATE))
    return world


def low(balance_micros: int) -> LowBalance:
    return LowBalance(threshold_micros=2 * MICROS, balance_micros=balance_micros, currency="USD")


def asked(balance_micros: int, number: int = 1) -> RechargeRequested:
    return RechargeRequested(
        recharge_id=recharge_id(ORGANIZATION, number),
        amount_micros=50 * MICROS,
        balance_micros=balance_micros,
        currency="USD",
    )


EXHAUSTED = BalanceExhausted(balance_micros=0, currency="USD")


@pytest.mark.parametrize("at", [None, LATE, LATE + PROVISIONAL_FOR - SECOND])
def test_what_settling_gives_back_was_never_missing(at: datetime | None) -> None:
    world = late_pool()
    assert world.account.balance_micros == 0
    assert world.account.provisional == Provisional(
        months=frozenset({NOVEMBER}), since=LATE, balance_micros=3 * MICROS
    )
    world.settle(at)
    assert world.account.balance_micros == 3 * MICROS - CHEAP_MICROS
    assert (world.usage("first").pool_minutes, world.usage("late").pool_minutes) == (0, 60)
    assert world.account.provisional is None
    assert world.notified() == []


def test_what_is_below_a_threshold_in_the_end_is_told_as_it_stands_then() -> None:
    world = late_pool(credit=2, settings=SETTINGS._replace(auto_recharge=None))
    world.charge(dear("later", LATE, LATE + SECOND))
    assert world.account.balance_micros == 2 * MICROS - 2 * DEAR_MICROS
    assert world.notified() == []
    world.settle()
    balance_micros = 2 * MICROS - CHEAP_MICROS - DEAR_MICROS
    exhausted = BalanceExhausted(balance_micros=balance_micros, currency="USD")
    assert world.notified() == [low(balance_micros), exhausted]
    assert {one.at for one in world.told()} == {LATE + SECOND}


def test_once_settled_credit_is_bought_by_the_balance_as_it_stands() -> None:
    world = late_pool(credit=2, settings=SETTINGS._replace(low_balance_thresholds_micros=()))
    world.charge(cheap("other", NOON + HOUR, LATE))
    assert world.notified() == []
    world.settle()
    assert world.notified() == [asked(2 * MICROS - 2 * CHEAP_MICROS)]


def test_a_failure_that_calls_for_another_recharge_is_told_at_once_and_asked_for_once_settled() -> (
    None
):
    settings = SETTINGS._replace(low_balance_thresholds_micros=())
    world = World("communicationsCredits", credit=50, settings=settings)
    trigger = AutoRecharge(trigger_micros=60 * MICROS, recharge_micros=50 * MICROS)
    again = settings._replace(auto_recharge=trigger, event_id="again", configured_at=NOON)
    world.book(configured("again", again, NOON))
    assert world.notified() == [asked(50 * MICROS)]
    world.charge(cheap("first", NOON, NOON))
    world.charge(cheap("late", NOON - 2 * HOUR, LATE))
    failed = recharge_id(ORGANIZATION, 1)
    failure = CreditEvent(
        organization_id=ORGANIZATION,
        change=FailedRecharge(recharge_id=failed, reason="no"),
        processed_event=processed_event(failed, kind=IdentityKind.RECHARGE_FAILURE),
        issued_at=LATE + SECOND,
    )
    world.book(failure)
    balance_micros = 50 * MICROS - CHEAP_MICROS
    refused = RechargeFailed(
        recharge_id=failed, reason="no", balance_micros=balance_micros, currency="USD"
    )
    assert world.notified()[1:] == [refused]
    # So the balance does not even fall; it is the failure that is remembered.
    world.book(purchase("by-hand", amount=1, issued_at=LATE, heard_at=LATE + SECOND))
    world.settle()
    assert world.notified()[2:] == [asked(balance_micros + MICROS, number=2)]


def test_credit_bought_by_hand_meanwhile_asks_for_nothing_more() -> None:
    """It leaves the balance below the trigger, as it was before; nothing has fallen."""
    settings = SETTINGS._replace(auto_recharge=None, low_balance_thresholds_micros=())
    world = late_pool(credit=4, settings=settings)
    trigger = AutoRecharge(trigger_micros=60 * MICROS, recharge_micros=50 * MICROS)
    assert world.account.provisional is not None
    world.store.accounts[ORGANIZATION] = world.account._replace(
        settings=settings._replace(auto_recharge=trigger),
        provisional=world.account.provisional._replace(balance_micros=MICROS),
    )
    world.book(purchase("by-hand", amount=1, issued_at=LATE, heard_at=LATE))
    world.settle()
    assert world.notified() == []


def late_pool_at_four(threshold_micros: int) -> World:
    """Three of four are charged for the moment; nothing has been requested below the trigger."""
    unasked = SETTINGS._replace(auto_recharge=None, low_balance_thresholds_micros=())
    world = late_pool(credit=4, settings=unasked)
    auto = AutoRecharge(trigger_micros=threshold_micros, recharge_micros=50 * MICROS)
    settings = unasked._replace(
        auto_recharge=auto, low_balance_thresholds_micros=(threshold_micros,)
    )
    world.store.accounts[ORGANIZATION] = world.account._replace(settings=settings)
    return world


def given(amount: int) -> CreditEvent:
    one = Adjustment(
        adjustment_id="given",
        amount_micros=amount * MICROS,
        expires_at=twelve_months_after(LATE),
    )
    return CreditEvent(
        organization_id=ORGANIZATION,
        change=one,
        processed_event=processed_event("given"),
        issued_at=LATE,
    )


@pytest.mark.parametrize(
    "credit", [purchase("by-hand", amount=10, issued_at=LATE, heard_at=LATE), given(10)]
)
def test_what_fell_after_credit_came_in_meanwhile_is_told_once_settled(credit: CreditEvent) -> None:
    """The balance was below five before, above it in between, and is below it in the end."""
    world = late_pool_at_four(5 * MICROS)
    world.book(credit)
    for name in ("later", "and-later"):
        world.charge(dear(name, LATE, LATE + SECOND))
    assert world.notified() == []
    world.charge(dear("last", LATE, LATE + SECOND))
    world.settle()
    balance_micros = 14 * MICROS - 3 * DEAR_MICROS - CHEAP_MICROS
    assert balance_micros == 4_100_000
    crossed = LowBalance(threshold_micros=5 * MICROS, balance_micros=balance_micros, currency="USD")
    request = asked(balance_micros)
    # The notification of the low balance says that a recharge is requested.
    assert world.notified() == [crossed._replace(recharge_id=request.recharge_id), request]


@pytest.mark.parametrize("threshold_micros", [3_500_000, 5_500_000])
def test_credit_that_only_makes_up_for_what_settling_gives_back_crosses_nothing(
    threshold_micros: int,
) -> None:
    world = late_pool_at_four(threshold_micros)
    world.book(purchase("by-hand", amount=2, issued_at=LATE, heard_at=LATE))
    assert world.account.balance_micros == 3 * MICROS
    assert world.account.provisional is not None
    assert world.account.provisional.balance_micros == 4 * MICROS
    world.settle()
    assert world.account.balance_micros == 6 * MICROS - CHEAP_MICROS
    assert world.notified() == []


@pytest.mark.parametrize(
    ("entries", "compared_with"),
    [
        ([(EntryType.PURCHASE, 3, "purchase#a")], 8),
        ([(EntryType.ADJUSTMENT, 3, "adjustment#a")], 8),
        ([(EntryType.PURCHASE, 3, "purchase#a"), (EntryType.EXPIRY, -1, "lot#a")], 7),
        ([(EntryType.PURCHASE, 3, "purchase#a"), (EntryType.EXPIRY, -3, "lot#a")], 4),
        ([(EntryType.ADJUSTMENT, 3, "rerating#pool#2026-11")], 4),
        ([(EntryType.EXPIRY, 3, "call#a")], 4),
        ([(EntryType.ADJUSTMENT, -3, "adjustment#a")], 4),
    ],
)
def test_only_credit_that_is_bought_or_given_raises_what_the_balance_is_compared_with(
    entries: list[tuple[EntryType, int, str]], compared_with: int
) -> None:
    provisional = Provisional(
        months=frozenset({NOVEMBER}), since=ANSWERED, balance_micros=4 * MICROS
    )
    before = holding(lot("1", 5 * MICROS))._replace(provisional=provisional)
    builder = TransactionBuilder(before, ANSWERED)
    for entry_type, amount, cause in entries:
        builder.enter(entry_type, amount * MICROS, (), cause)
    after = builder.build(may_ask=False).after
    assert after.provisional == provisional._replace(balance_micros=compared_with * MICROS)


@pytest.mark.parametrize("how", ["a charge", "a wake-up", "the daily run"])
def test_after_a_quarter_of_an_hour_it_is_told_although_nobody_has_settled_the_pool(
    how: str,
) -> None:
    world = late_pool()
    assert world.account.due_at == LATE + PROVISIONAL_FOR
    for at in (LATE + PROVISIONAL_FOR - SECOND, LATE + PROVISIONAL_FOR):
        assert world.notified() == []
        match how:
            case "a charge":
                world.charge(dial_in(f"dial-in-{at}", at))
            case "a wake-up":
                world.wait(at)
            case _:
                Expiry(world.store).all(at)
    request = asked(0)
    fell = [one._replace(recharge_id=request.recharge_id) for one in (low(0), EXHAUSTED)]
    assert world.notified() == [*fell, request]
    assert {one.at for one in world.told()} == {LATE + PROVISIONAL_FOR}
    assert world.account.provisional is not None
    assert world.account.due_at != LATE + PROVISIONAL_FOR
    world.settle()
    assert len(world.notified()) == 3
    assert world.account.provisional is None


def test_what_was_waited_for_once_is_not_waited_for_again_until_it_is_settled() -> None:
    world = late_pool(settings=SETTINGS._replace(auto_recharge=None))
    world.wait(LATE + PROVISIONAL_FOR)
    world.book(purchase("more", amount=3, issued_at=LATE, heard_at=LATE + PROVISIONAL_FOR))
    world.charge(dear("later", NOON - 3 * HOUR, LATE + HOUR))
    assert world.notified() == [low(0), EXHAUSTED] * 2
    world.settle()
    world.charge(dear("last", NOON - 4 * HOUR, LATE + 2 * HOUR))
    assert len(world.notified()) == 4
    assert world.account.provisional is not None
    assert world.account.provisional.since == LATE + 2 * HOUR


def test_of_a_call_that_the_pool_may_still_bear_it_is_not_told_that_it_is_not_entitled() -> None:
    world = late_pool("payPerMinute")
    assert world.usage("late").outcome is Outcome.NOT_ENTITLED
    assert world.usage("late").notifications_held
    assert world.notified() == []
    world.settle()
    assert world.usage("late").outcome is Outcome.POOLED
    assert not world.usage("late").notifications_held
    assert [news_of(one) for one in world.notified()] == ["first"]


def test_what_stays_as_it_was_is_told_once_that_is_known_and_is_not_rerated() -> None:
    world = late_pool("payPerMinute")
    world.charge(dear("later", LATE, LATE + SECOND))
    before = world.usage("later")
    assert before.notifications_held
    world.settle()
    after = world.usage("later")
    assert after._replace(notified_again=()) == before._replace(notifications_held=False)
    assert Flag.RERATED in world.usage("late").flags
    assert [news_of(one) for one in world.notified()] == ["first", "later"]


def test_of_a_call_that_no_pool_bears_it_is_told_at_once() -> None:
    world = late_pool("payPerMinute")
    parts = {"leg_type": LegType.TOLL_FREE_DIAL_IN, "service_number": "+18005550199"}
    world.charge(call("toll-free", LATE, LATE + SECOND, remote_number=None, **parts))
    assert [news_of(one) for one in world.notified()] == ["toll-free"]


def test_what_a_late_license_makes_of_a_call_waits_for_its_pool_too() -> None:
    world = late_pool()
    removed = fact("license:MCOPSTNC", value=False, since=LONG_AGO + SECOND, event_id="removed")
    change = LicensingChange(ORGANIZATION, "adele", (removed,))
    event = LicensingEvent(change, processed_event("removed"), LATE)
    assert ApplyLicensing(world.store, WITHOUT_WAITING)([event]) == [Accepted(None)]
    # The license is known, and what the pool gives to each call is not yet.
    world.settle(calls=Unreadable(InMemoryCalls(world.store), times=0))
    assert world.usage("late").outcome is Outcome.NOT_ENTITLED
    assert world.notified() == []
    world.settle()
    assert [news_of(one) for one in world.notified()] == ["first"]


def test_news_of_calls_goes_out_after_a_quarter_of_an_hour_by_what_they_are_then() -> None:
    world = late_pool("payPerMinute")
    at = LATE + PROVISIONAL_FOR
    world.wait(at - SECOND)
    assert world.notified() == []
    world.settle(at, Unreadable(InMemoryCalls(world.store), times=1))
    assert [news_of(one) for one in world.notified()] == ["late"]
    assert not world.usage("late").notifications_held
    assert world.account.provisional == Provisional(
        months=frozenset({NOVEMBER}), since=LATE, balance_micros=None
    )
    # Nothing is looked for any more: the lists are read to settle the pool, which takes two steps.
    world.settle(at, Unreadable(InMemoryCalls(world.store), times=2))
    assert world.account.provisional is None
    assert [news_of(one) for one in world.notified()] == ["late", "first"]


def test_calls_that_ended_in_the_next_month_are_told_and_settled_with_that_of_their_answer() -> (
    None
):
    turn = NOVEMBER.end
    heard_at = turn + 3 * HOUR
    world = World("payPerMinute")
    world.charge(cheap("first", turn + HOUR / 2, turn + HOUR / 2))
    world.charge(dear("late", turn + HOUR / 3, heard_at))
    assert world.notified() == []
    at = heard_at + PROVISIONAL_FOR
    world.settle(at, Unreadable(InMemoryCalls(world.store), times=1))
    assert [news_of(one) for one in world.notified()] == ["late"]
    world.settle(at)
    assert world.usage("late").outcome is Outcome.POOLED
    assert world.usage("first").outcome is not Outcome.POOLED
    assert world.store.minute_pools[ORGANIZATION, NOVEMBER].used == 60


def test_of_so_many_calls_those_are_told_that_come_first_and_the_others_as_they_are_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settle_pools, "CALLS_PER_PIECE", 1)
    world = late_pool("payPerMinute")
    world.charge(dear("later", LATE, LATE + SECOND))
    world.settle(LATE + PROVISIONAL_FOR, Unreadable(InMemoryCalls(world.store), times=1))
    assert [news_of(one) for one in world.notified()] == ["late"]
    assert world.account.provisional is not None
    assert world.account.provisional.notifications_held
    monkeypatch.undo()
    world.settle()
    assert [news_of(one) for one in world.notified()] == ["late", "first", "later"]


def test_a_limit_is_not_reached_by_what_the_pool_may_still_bear() -> None:
    limited = SETTINGS._replace(
        auto_recharge=None,
        low_balance_thresholds_micros=(),
        daily_spend_limit_micros=2 * MICROS,
    )
    world = late_pool(credit=40, settings=limited)
    assert world.notified() == []
    world.settle()
    world.charge(cheap("other", NOON - HOUR, LATE))
    assert world.notified() == []
    # 1.80 by now, and 3 more for the moment: nobody has settled that within a quarter of an hour.
    world.charge(dear("again", NOON - 3 * HOUR, LATE))
    assert world.notified() == []
    world.wait(LATE + PROVISIONAL_FOR)
    world.charge(dear("more", NOON - 3 * HOUR, LATE + PROVISIONAL_FOR))
    (told,) = world.notified()
    assert isinstance(told, SpendLimitReached)


def news_of(news: NotificationBody) -> str:
    assert isinstance(news, CallNotEntitled)
    return str(news.call_id)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_lot_that_expires_before_a_late_pool_call_is_reported_makes_no_difference(
    *, is_late: bool
) -> None:
    """The late call is charged from the expired lot for the moment, and pooled once settled."""
    quiet = SETTINGS._replace(auto_recharge=None, low_balance_thresholds_micros=())
    world = World("communicationsCredits", credit=1, settings=quiet)
    old = Purchase(
        purchase_id="old",
        amount_micros=3 * MICROS,
        currency="USD",
        purchased_at=LONG_AGO - HOUR,
        expires_at=NOON + HOUR,
    )
    proof = processed_event("old", kind=IdentityKind.PURCHASE)
    world.book(
        CreditEvent(
            organization_id=ORGANIZATION,
            change=old,
            processed_event=proof,
            issued_at=LONG_AGO + HOUR,
        )
    )
    if not is_late:
        world.charge(dear("late", NOON - 2 * HOUR, NOON - 2 * HOUR))
    world.charge(cheap("first", NOON, NOON))
    Expiry(world.store).all(NOON + 2 * HOUR)
    if is_late:
        world.charge(dear("late", NOON - 2 * HOUR, LATE))
        world.settle()
    assert world.usage("late").outcome is Outcome.POOLED
    assert [one.purchase_id for one in world.account.lots] == ["po-1"]
    assert world.account.balance_micros == MICROS
    forfeited = [one.remaining_micros for one in world.store.expired.values()]
    assert forfeited == [3 * MICROS - 900_000]
