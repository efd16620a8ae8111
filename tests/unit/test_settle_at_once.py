"""A call that comes late for its minute pool settles it in the transaction that charges it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    fact,
    holds,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application import settle_pools
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.application.settle_pools import MAX_SETTLED_AT_ONCE
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing, LicensingChange
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.notifications.notifications import (
    CallNotEntitled,
    FraudSuspected,
    LowBalance,
    MinutePoolThreshold,
    NotificationBody,
    RechargeRequested,
    SpendLimitReached,
)
from perminute.domain.pools import settling
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.ports.stores import ListedCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pytest

    from perminute.application.charge_calls import EndedCall
    from perminute.application.results import Result
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
NOVEMBER = Month(2026, 11)
NOON = ANSWERED + 3 * HOUR
LATE = NOON + 22 * HOUR
HOLDS = holds("subscription", "communicationsCredits")
CHEAP_MICROS, DEAR_MICROS = 900_000, 3 * MICROS
CARD = card("dialOut,49,DE,USD,0.015,,", "dialOut,44,GB,USD,0.05,,", "tollDialIn,1,US,USD,0.0085,,")
SETTINGS = CreditSettings(
    configured_at=LONG_AGO,
    event_id="settings",
    currency="USD",
    low_balance_thresholds_micros=(2 * MICROS,),
    auto_recharge=AutoRecharge(trigger_micros=MICROS, recharge_micros=50 * MICROS),
)


class PostedStore(InMemoryStore):
    """Remembers what was committed."""

    def commit(self, transaction: Transaction) -> None:
        self.__dict__.setdefault("posted", []).append(transaction)
        super().commit(transaction)

    @property
    def posted(self) -> list[Transaction]:
        found: list[Transaction] = self.__dict__.setdefault("posted", [])
        return found


@dataclass
class ReadCalls(InMemoryCalls):
    """Counts how often the lists are read, which may not be possible."""

    readable: bool = True
    read: list[datetime] = field(default_factory=list)

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        self.read.append(since)
        if not self.readable:
            raise Unavailable("the lists cannot be read")
        return super().lists(organization_id, since=since, after=after)


class World:
    """An organization with a pool of an hour, whose organizer adele draws on it."""

    def __init__(
        self,
        *licenses: str,
        credit: int = 3,
        settings: CreditSettings = SETTINGS,
        purchased_at: datetime = LONG_AGO,
    ) -> None:
        self.store = PostedStore()
        self.calls = ReadCalls(self.store)
        self.say(fact("purchased:MCOMEETADV", 1), fact("licensingProgram", "volume"))
        users = licenses or ("communicationsCredits",)
        self.say(*holds("subscription", *users).facts, user="adele")
        at = LONG_AGO + SECOND
        configured = CreditEvent(
            organization_id=ORGANIZATION,
            change=settings,
            processed_event=processed_event("s"),
            issued_at=at,
        )
        bought = purchase(amount=credit, purchased_at=purchased_at)
        BookCredit(self.store, WITHOUT_WAITING)([bought, configured])
        self.store.reratings.clear()

    def say(self, *facts: Fact, user: str | None = None) -> None:
        """Make facts known; the calls that they concern are not looked at again yet."""
        change = LicensingChange(ORGANIZATION, user, facts)
        self.store.record(
            ORGANIZATION, [(change, processed_event(f"{len(self.store.processed_events)}"))]
        )

    def charge(
        self, *calls: EndedCall, at_once: int = MAX_SETTLED_AT_ONCE
    ) -> Sequence[Result[Usage]]:
        """Charge calls in one batch; of the transactions, those of this batch are remembered."""
        self.store.posted.clear()
        self.calls.read.clear()
        charging = ChargeCalls(
            self.store,
            self.calls,
            LicensingCache(self.store),
            PublishedRateCards(CARD),
            WITHOUT_WAITING,
            settles_at_once=at_once,
        )
        results = charging(calls)
        assert all(isinstance(one, Accepted | Duplicate) for one in results), results
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        assert all(one.items <= MAX_ITEMS_PER_TRANSACTION for one in self.store.posted)
        return results

    @property
    def account(self) -> Account:
        return self.store.account(ORGANIZATION)

    @property
    def is_settled(self) -> bool:
        unsettled = self.store.unsettled_months(ORGANIZATION)
        assert bool(unsettled) == (self.account.provisional is not None)
        return not unsettled

    def usage(self, call_id: str) -> Usage:
        return self.store.usages[ORGANIZATION, call_id]

    def notified(self) -> list[NotificationBody]:
        """All that was told of money and calls."""
        told = [one.body for one in self.store.outbox]
        return [one for one in told if not isinstance(one, MinutePoolThreshold)]


def call(name: str, until: datetime, heard_at: datetime, **changed: object) -> EndedCall:
    """A call out of an hour, by which a pool is used up."""
    parts = {"answered_at": until - HOUR, "ended_at": until, **changed}
    one = ended(call_id=name, **parts)
    return replace(one, reported_at=max(until, heard_at), heard_at=heard_at)


def dear(name: str, until: datetime, heard_at: datetime, **changed: object) -> EndedCall:
    return call(name, until, heard_at, remote_number="+442079460100", **changed)


def late_pool(*licenses: str, credit: int = 3, settings: CreditSettings = SETTINGS) -> World:
    """A call used up the pool, and a dearer one that ended before is reported a day late."""
    world = World(*licenses, credit=credit, settings=settings)
    world.charge(call("first", NOON, NOON))
    world.charge(dear("late", NOON - 2 * HOUR, LATE))
    return world


def test_what_the_pool_bears_is_known_in_the_posting_that_charges_the_late_call() -> None:
    world = late_pool()
    assert world.is_settled
    first, late = world.usage("first"), world.usage("late")
    assert (late.outcome, late.pool_minutes, late.flags) == (Outcome.POOLED, 60, ())
    assert (first.outcome, first.charge_micros) == (Outcome.CHARGED, CHEAP_MICROS)
    assert first.flags == (Flag.RERATED,)
    assert world.account.balance_micros == 3 * MICROS - CHEAP_MICROS
    (transaction,) = world.store.posted
    (entry,) = transaction.entries
    assert (entry.type, entry.cause) == (EntryType.ADJUSTMENT, "rerating#pool#2026-11")
    assert [one.entry_id for one in first.adjustments] == [entry.entry_id]
    assert world.store.minute_pools[ORGANIZATION, NOVEMBER].used == 60
    # It would have left 0 for the moment, below the threshold and the trigger.
    assert world.notified() == []


def test_a_batch_that_costs_something_as_well_has_two_entries_and_is_decided_once() -> None:
    world = World(credit=3)
    world.charge(call("first", NOON, NOON))
    later = dear("later", LATE, LATE, answered_at=LATE - HOUR / 2)
    world.charge(dear("late", NOON - 2 * HOUR, LATE), later)
    types = [(entry.type, entry.amount_micros) for entry in world.store.entries[1:]]
    later_micros = world.usage("later").charge_micros
    assert types == [(EntryType.CHARGE, -later_micros), (EntryType.ADJUSTMENT, -CHEAP_MICROS)]
    balance_micros = 3 * MICROS - later_micros - CHEAP_MICROS
    low, asked = world.notified()
    assert isinstance(low, LowBalance)
    assert isinstance(asked, RechargeRequested)
    # The charge by itself leaves 1.50, which nobody ever had.
    assert low.balance_micros == balance_micros == world.account.balance_micros
    assert world.account.corrections == 0


def test_what_only_recorded_calls_cost_more_calls_for_a_recharge_too() -> None:
    settings = SETTINGS._replace(low_balance_thresholds_micros=())
    world = late_pool(credit=1, settings=settings)
    (asked,) = world.notified()
    assert isinstance(asked, RechargeRequested)
    assert asked.balance_micros == MICROS - CHEAP_MICROS


def test_nothing_is_read_for_calls_that_come_in_order_or_find_enough() -> None:
    world = World()
    for number in range(3):
        at = NOON + number * HOUR
        world.charge(call(f"{number}", at, at, answered_at=at - timedelta(minutes=10)))
        assert world.calls.read == []
    world.charge(call("late", NOON - HOUR, LATE, answered_at=NOON - timedelta(minutes=70)))
    assert world.calls.read == []
    world.charge(dear("too-much", NOON - 2 * HOUR, LATE))
    assert world.calls.read == [NOON.replace(hour=0)]
    assert world.is_settled


def test_of_a_call_that_loses_its_minutes_it_is_told_that_it_is_not_entitled() -> None:
    world = late_pool("payPerMinute")
    assert world.usage("late").outcome is Outcome.POOLED
    assert world.usage("first").outcome is Outcome.NOT_ENTITLED
    (news,) = world.notified()
    assert isinstance(news, CallNotEntitled)
    assert news.call_id == "first"


def test_a_late_call_that_comes_again_changes_nothing() -> None:
    world = late_pool()
    before = world.account, dict(world.store.usages), len(world.store.outbox)
    assert world.charge(dear("late", NOON - 2 * HOUR, LATE)) == [Duplicate()]
    (transaction,) = world.store.posted
    # A transaction must not write one item twice.
    assert transaction.rerated == ()
    assert (world.account, world.store.usages, len(world.store.outbox)) == before


def crowded(calls: int, minutes: int = 60) -> World:
    """So many calls of a minute each have drawn on a pool of so many minutes."""
    world = World(credit=100)
    world.say(fact("poolMinutesPerLicense", minutes, event_id="minutes"))
    world.charge(
        *(
            call(f"{n:03d}", NOON + n * SECOND, NOON + HOUR, answered_at=NOON + (n - 30) * SECOND)
            for n in range(calls)
        )
    )
    return world


def test_so_many_calls_are_settled_at_once_and_with_one_more_afterwards() -> None:
    for calls, is_settled in ((MAX_SETTLED_AT_ONCE, True), (MAX_SETTLED_AT_ONCE + 1, False)):
        world = crowded(calls)
        world.charge(dear("late", NOON - 2 * HOUR, LATE))
        assert world.is_settled is is_settled
        (transaction,) = world.store.posted
        assert len(transaction.rerated) == (calls if is_settled else 0)


def test_lists_are_read_up_to_a_limit_whatever_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle_pools, "MAX_LISTS_AT_ONCE", 3)
    parts = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550199"}
    for dial_ins, is_settled in ((2, True), (3, False)):
        world = World()
        world.charge(call("first", NOON, NOON))
        for number in range(dial_ins):
            at = NOON + (number + 1) * HOUR
            world.charge(call(f"in-{number}", at, at, remote_number=None, **parts))
        world.charge(dear("late", NOON - 2 * HOUR, LATE))
        assert world.is_settled is is_settled


def test_a_batch_that_does_not_fit_with_what_it_corrects_is_cut() -> None:
    world = crowded(MAX_SETTLED_AT_ONCE)
    at = LATE
    others = [call(f"other-{n:02d}", at, at + n * SECOND) for n in range(80)]
    world.charge(dear("late", NOON - 2 * HOUR, LATE), *others)
    first, *rest = world.store.posted
    assert len(first.rerated) == MAX_SETTLED_AT_ONCE
    assert len(rest) == 1
    assert len(first.usages) + len(rest[0].usages) == 81
    assert world.is_settled


def test_what_would_not_fit_even_with_one_call_is_settled_afterwards() -> None:
    calls = MAX_ITEMS_PER_TRANSACTION
    world = crowded(calls, minutes=calls)
    late = dear("late", NOON - HOUR, LATE, answered_at=NOON - 3 * HOUR)
    world.charge(late, at_once=2 * calls)
    assert not world.is_settled


def test_what_cannot_be_read_is_settled_afterwards() -> None:
    world = World()
    world.charge(call("first", NOON, NOON))
    world.calls.readable = False
    world.charge(dear("late", NOON - 2 * HOUR, LATE))
    assert not world.is_settled
    assert world.usage("late").charge_micros == DEAR_MICROS


def test_a_pool_that_is_unsettled_already_is_left_to_those_who_settle_it() -> None:
    world = World(credit=50)
    world.charge(call("first", NOON, NOON))
    world.calls.readable = False
    world.charge(dear("late", NOON - 2 * HOUR, LATE))
    world.calls.readable = True
    world.charge(dear("later", NOON - 3 * HOUR, LATE))
    assert world.calls.read == []
    assert not world.is_settled


def test_two_pools_at_once_are_settled_afterwards() -> None:
    december = NOON + timedelta(days=30)
    world = World(credit=50)
    world.charge(call("first", NOON, NOON), call("second", december, december))
    world.charge(
        dear("late", NOON - 2 * HOUR, december), dear("late-2", december - 2 * HOUR, december)
    )
    assert len(world.store.unsettled_months(ORGANIZATION)) == 2


def test_calls_of_another_month_and_those_listed_out_of_date_are_left_alone() -> None:
    december = NOON.replace(month=12, day=1, hour=9)
    world = World(credit=50)
    world.charge(call("first", NOON, NOON), call("other-month", december, december))
    world.charge(dear("late", NOON - 2 * HOUR, december))
    assert world.is_settled
    assert world.usage("other-month").outcome is Outcome.POOLED
    (transaction,) = world.store.posted
    assert [one.call.call_id for one in transaction.rerated] == ["first"]
    assert ListedCall.of(transaction.rerated[0].call).dial_out


def test_a_call_makes_room_in_the_pool_of_its_answer_though_it_ended_in_the_next_month() -> None:
    """What is settled at once is found by the lists: those of the next month are read as well."""
    turn = NOVEMBER.end
    world = World(credit=50)
    world.charge(call("over-the-turn", turn + HOUR / 2, turn + HOUR / 2))
    assert world.usage("over-the-turn").outcome is Outcome.POOLED
    world.charge(dear("late", turn - HOUR, turn + HOUR))
    assert world.is_settled
    assert world.usage("late").outcome is Outcome.POOLED
    assert world.usage("over-the-turn").outcome is Outcome.CHARGED
    assert world.store.minute_pools[ORGANIZATION, NOVEMBER].used == 60


EXPIRY = LONG_AGO.replace(year=2027) + HOUR * 12
"""When the first lot expires that these worlds have: calls of that day are to be paid."""


def expiring(credit: int = 3) -> World:
    """Credit that was bought twelve months before, and a second lot of half a year later."""
    world = World(credit=credit, purchased_at=EXPIRY.replace(year=2026))
    more = purchase("po-2", amount=20, purchased_at=LONG_AGO + timedelta(days=180))
    BookCredit(world.store, WITHOUT_WAITING)([more])
    world.say(*holds("payPerMinute", "communicationsCredits").facts, user="bob")
    return world


def payers(world: World, call_id: str) -> list[str]:
    return [share.purchase_id for share in world.usage(call_id).lots]


def test_while_lots_expire_between_the_report_and_now_nothing_is_settled_at_once() -> None:
    """What goes back would go to a lot that has as good as expired."""
    world = expiring()
    world.charge(call("first", EXPIRY - HOUR, EXPIRY - HOUR))
    assert world.account.lots_due_at == EXPIRY
    late = dear("late", EXPIRY - 2 * HOUR, EXPIRY - SECOND)
    world.charge(replace(late, heard_at=EXPIRY + HOUR))
    assert not world.is_settled


def test_an_expired_lot_pays_what_is_corrected_if_that_is_known_in_time() -> None:
    """Known when it is heard of, not when it was reported: as if it were settled afterwards."""
    for hours, payer in ((72, "po-1"), (73, "po-2")):
        world = expiring()
        world.charge(call("first", EXPIRY - HOUR, EXPIRY - HOUR))
        late = dear("late", EXPIRY - 2 * HOUR, EXPIRY + 71 * HOUR)
        world.charge(replace(late, heard_at=EXPIRY + hours * HOUR))
        assert world.is_settled
        assert payers(world, "first") == [payer]


def test_an_expired_lot_pays_recorded_calls_of_its_time_though_the_late_one_ended_after() -> None:
    world = expiring()
    gone = fact(license_attribute("MCOPSTNC"), value=False, since=LONG_AGO, event_id="f")
    world.say(gone, user="bob")
    world.charge(call("early", EXPIRY - HOUR, EXPIRY - HOUR, organizer_id="bob"))
    assert world.usage("early").outcome is Outcome.NOT_ENTITLED
    world.charge(call("first", EXPIRY + 3 * HOUR, EXPIRY + 3 * HOUR))
    back = fact(license_attribute("MCOPSTNC"), value=True, since=LONG_AGO, event_id="g")
    world.say(replace(back, issued_at=LONG_AGO + HOUR), user="bob")
    world.charge(dear("late", EXPIRY + 2 * HOUR, EXPIRY + 4 * HOUR))
    assert world.is_settled
    assert payers(world, "early") == ["po-1"]
    assert payers(world, "first") == ["po-2"]


def test_a_lot_that_is_used_up_and_has_expired_by_now_is_not_opened_again() -> None:
    world = expiring()
    world.charge(dear("early", EXPIRY - 4 * HOUR, EXPIRY - 4 * HOUR, organizer_id="bob"))
    assert payers(world, "early") == ["po-1"]
    world.charge(call("first", EXPIRY - HOUR, EXPIRY - HOUR))
    gone = fact(license_attribute("MCOPSTNC"), value=False, since=LONG_AGO, event_id="f")
    world.say(gone, user="bob")
    late = dear("late", EXPIRY - 2 * HOUR, EXPIRY - SECOND)
    world.charge(replace(late, heard_at=EXPIRY + HOUR))
    assert world.is_settled
    assert world.usage("early").outcome is Outcome.NOT_ENTITLED
    assert [lot.purchase_id for lot in world.account.lots] == ["po-2", "rerating#2027-01"]


def test_what_goes_back_finds_its_lot_among_the_further_ones() -> None:
    world = expiring()
    world.charge(dear("early", EXPIRY - 4 * HOUR, EXPIRY - 4 * HOUR, organizer_id="bob"))
    for number in range(10):
        at = LONG_AGO + timedelta(days=181 + number)
        more = purchase(f"more-{number}", amount=1, purchased_at=at)
        BookCredit(world.store, WITHOUT_WAITING)([more])
    assert world.account.further is not None
    world.charge(call("first", EXPIRY - 3 * HOUR, EXPIRY - 3 * HOUR))
    world.say(
        fact(license_attribute("MCOPSTNC"), value=False, since=LONG_AGO, event_id="f"), user="bob"
    )
    world.charge(dear("late", EXPIRY - 3.5 * HOUR, EXPIRY - 2 * HOUR))
    assert world.is_settled
    assert world.account.balance_micros == 33 * MICROS - CHEAP_MICROS


def test_what_a_call_had_reserved_stays_its_own() -> None:
    """It is given back to nobody, and says when it was authorized."""
    licensing = Licensing(Timeline([fact("purchased:MCOMEETADV", 1)]), {"adele": HOLDS})
    context = RatingContext(licensing, CARD, "USD", LONG_AGO)
    calls = (dear("late", NOON - 2 * HOUR, LATE).call, call("first", NOON, NOON).call)
    late, first = (rate_call(call, context) for call in calls)
    reserved = late.usage(0, 60)._replace(authorized_at=NOON - 3 * HOUR)
    pool = MinutePool(organization_id=ORGANIZATION, month=NOVEMBER)
    pool = pool.with_drawn(DrawPosition.of(first.call), 60).with_drawn(
        DrawPosition.of(late.call), 0, 60
    )
    pool = pool.unsettled_from(DrawPosition.of(late.call))
    settlement = settling.settle_at_once(
        pool, [(reserved, late)], [(first.usage(60), first)], licensing, LATE
    )
    assert settlement.charged == (late.usage(60, 60)._replace(authorized_at=NOON - 3 * HOUR),)
    assert (settlement.pool.unsettled, settlement.pool.used) == (None, 60)
    assert [one.after.pool_minutes for one in settlement.corrected] == [0]


def test_a_limit_is_reached_by_what_calls_cost_in_the_end() -> None:
    limited = SETTINGS._replace(
        auto_recharge=None,
        low_balance_thresholds_micros=(),
        daily_spend_limit_micros=2 * MICROS,
    )
    world = late_pool(credit=40, settings=limited)
    assert [one.spent_micros for one in world.account.days if one.spent_micros] == [CHEAP_MICROS]
    world.charge(call("other", NOON - HOUR, LATE))
    assert world.notified() == []
    world.charge(dear("again", NOON - 3 * HOUR, LATE))
    # All but the one that ended first go to credit by now.
    spent_micros = 2 * CHEAP_MICROS + DEAR_MICROS
    assert [one.spent_micros for one in world.account.days if one.spent_micros] == [spent_micros]


def test_a_limit_that_a_late_batch_reaches_is_told_by_what_was_corrected_with_it() -> None:
    limited = SETTINGS._replace(
        auto_recharge=None,
        low_balance_thresholds_micros=(),
        daily_spend_limit_micros=DEAR_MICROS + CHEAP_MICROS,
    )
    world = World(credit=40, settings=limited)
    world.charge(call("first", NOON, NOON))
    world.charge(dear("late", NOON - 2 * HOUR, LATE), dear("other", NOON + HOUR, LATE))
    (told,) = world.notified()
    assert isinstance(told, SpendLimitReached)


def test_a_limit_of_an_hour_is_reached_by_what_was_corrected_with_it() -> None:
    limited = SETTINGS._replace(
        auto_recharge=None,
        low_balance_thresholds_micros=(),
        prefix_hourly_spend_limit_micros=2 * DEAR_MICROS,
    )
    world = World(credit=40, settings=limited)
    world.charge(dear("first", NOON, NOON))
    world.charge(dear("late", NOON - 2 * HOUR, LATE), dear("other", NOON + SECOND, LATE))
    (told,) = world.notified()
    assert isinstance(told, FraudSuspected)
