"""Authorizing calls over the twin of the stores: races, torn readings, limits and ends of calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import RetryPolicy
from perminute.domain.authorization.reservations import Answer, ChargingRequest, Decision, Operation
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.transaction import AccountChanged
from perminute.domain.errors import Conflict, Contended, FormerRateCardUnavailable, Refused
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.limits.spending import SpendKey, SpendKind, day_of
from perminute.domain.notifications.notifications import SpendLimitReached
from perminute.domain.rating.rate_card import RateCard
from perminute.ports.stores import CallUnderWay

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.timelines import Fact

PAID = 150_000
"""What ten minutes cost."""


@dataclass
class Store(InMemoryStore):
    """A twin that may be moved by others, and read torn."""

    moved: int = 0
    torn: CallUnderWay | None = None
    readings: int = 0

    def commit(self, transaction: Transaction) -> None:
        if transaction.authorized is not None and self.moved > 0:
            self.moved -= 1
            raise AccountChanged("somebody was faster")
        super().commit(transaction)

    def read(self, organization_id: str, call_id: str) -> CallUnderWay:
        self.readings += 1
        torn, self.torn = self.torn, None
        return torn or super().read(organization_id, call_id)


@dataclass
class World:
    store: Store = field(default_factory=Store)
    events: int = 0

    def __post_init__(self) -> None:
        self.store.record(ORGANIZATION, entitled_changes())
        BookCredit(self.store, WITHOUT_WAITING)([purchase(amount=1)])
        calls, licensing = InMemoryCalls(self.store), LicensingCache(self.store)
        rate_cards = self.rate_cards = PublishedRateCards(card())
        self.charging = ChargeCalls(self.store, calls, licensing, rate_cards, WITHOUT_WAITING)
        self.authorizing = AuthorizeCall(
            under_way=self.store,
            credit=self.store,
            calls=calls,
            licensing=LicensingCache(self.store),
            rate_cards=rate_cards,
            retry=RetryPolicy(attempts=3, sleep=lambda _: None),
        )

    def own(self, micros: int) -> None:
        """Have no more credit than this."""
        account = self.store.account(ORGANIZATION)
        (one,) = account.lots
        lots = (one._replace(remaining_micros=micros),)
        self.store.accounts[ORGANIZATION] = account._replace(lots=lots, balance_micros=micros)

    def authorize(self, call_id: str, at: datetime = ANSWERED, **changed: Any) -> Answer:
        one = phone_call(call_id=call_id, answered_at=at, ended_at=at)
        asked = replace_asked(ChargingRequest(Operation.AUTHORIZE, 0, 600), **changed)
        return self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at, one))

    def report(
        self, operation: Operation, call_id: str, sequence: int, used: int, at: datetime
    ) -> Answer:
        asked = ChargingRequest(operation, sequence, None, used)
        return self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at))

    def end(self, call_id: str, at: datetime = ANSWERED, **changed: Any) -> None:
        one = ended(
            call_id=call_id,
            answered_at=at,
            ended_at=at + timedelta(minutes=10),
            **changed,
        )
        (result,) = self.charging([one])
        assert isinstance(result, Accepted | Duplicate)

    def configure(self, **limits: Any) -> None:
        self.events += 1
        at = LONG_AGO + timedelta(seconds=self.events)
        settings = CreditSettings(
            configured_at=at, event_id=f"s-{self.events}", currency="USD", **limits
        )
        key = processed_event(settings.event_id)
        event = CreditEvent(
            organization_id=ORGANIZATION, change=settings, processed_event=key, issued_at=at
        )
        assert isinstance(BookCredit(self.store, WITHOUT_WAITING)([event])[0], Accepted)

    def say(self, *facts: Fact) -> None:
        self.events += 1
        change = LicensingChange(ORGANIZATION, ORGANIZER, facts)
        event = LicensingEvent(change, processed_event(f"f-{self.events}"), ANSWERED)
        assert isinstance(ApplyLicensing(self.store, WITHOUT_WAITING)([event])[0], Accepted)

    def reserved(self, at: datetime = ANSWERED) -> int:
        return self.store.account(ORGANIZATION).reserved.amount_at(at)


def replace_asked(asked: ChargingRequest, **changed: Any) -> ChargingRequest:
    return asked._replace(**changed)


def test_who_is_overtaken_decides_anew_until_it_is_enough() -> None:
    world = World(Store(moved=2))
    assert world.authorize("a").decision is Decision.ALLOW
    assert world.store.readings == 3
    world.store.moved = 3
    with pytest.raises(Contended, match="somebody was faster"):
        world.authorize("b")
    assert world.reserved() == PAID


def test_an_account_that_was_read_before_its_call_does_not_lose_what_that_has_reserved() -> None:
    """A bridge gives up waiting and releases, while its authorization is just being written."""
    world = World()
    before = world.store.account(ORGANIZATION)
    world.authorize("a")
    call = world.store.under_way[ORGANIZATION, "a"]
    world.store.torn = CallUnderWay(before, call)
    world.report(Operation.RELEASE, "a", 1, 0, ANSWERED)
    assert world.reserved() == 0


def test_an_account_that_was_read_after_its_call_is_not_charged_with_it_twice() -> None:
    world = World()
    world.authorize("a")
    world.store.torn = CallUnderWay(world.store.account(ORGANIZATION), None)
    assert world.authorize("a").decision is Decision.ALLOW
    assert world.reserved() == PAID


def test_the_end_of_a_call_gives_back_what_it_had_reserved_once() -> None:
    world = World()
    world.authorize("a")
    world.authorize("b")
    for _ in range(2):
        world.end("a")
    assert world.reserved() == PAID
    assert world.store.account(ORGANIZATION).balance_micros == MICROS - PAID


def test_an_end_that_comes_when_all_has_lapsed_still_charges() -> None:
    world = World()
    world.authorize("a")
    late = ANSWERED + timedelta(hours=1)
    world.authorize("b", late)
    assert world.reserved(late) == PAID
    world.end("a")
    assert world.reserved(late) == PAID
    assert world.store.account(ORGANIZATION).balance_micros == MICROS - PAID


def test_an_end_of_a_call_whose_reservation_was_not_looked_for_finds_it_all_the_same() -> None:
    """Nothing is reserved any more, so that the account does not say that there is anything."""
    world = World()
    world.authorize("a")
    account = world.store.account(ORGANIZATION)
    lapsed = account.reserved.lapsed(ANSWERED + timedelta(days=1))
    world.store.accounts[ORGANIZATION] = account._replace(reserved=lapsed)
    world.end("a")
    assert world.store.account(ORGANIZATION).balance_micros == MICROS - PAID
    assert world.store.under_way == {}


def test_what_is_asked_of_a_call_that_has_ended_says_so() -> None:
    world = World()
    world.authorize("a")
    world.end("a")
    update = world.report(Operation.UPDATE, "a", 1, 60, ANSWERED)
    assert (update.decision, update.reason, update.final_unit) == (
        Decision.DENY,
        "callEnded",
        True,
    )
    assert world.report(Operation.RELEASE, "a", 2, 60, ANSWERED).decision is Decision.ALLOW
    with pytest.raises(Conflict, match="has ended already"):
        world.authorize("a", sequence=3)


def test_what_a_denied_update_has_used_waits_a_day_for_its_end() -> None:
    world = World()
    world.authorize("a", requested_seconds=4_000)
    later = ANSWERED + timedelta(minutes=66)
    denied = world.report(Operation.UPDATE, "a", 1, 3_960, later)
    assert denied.reason == "insufficientCredit"
    assert world.reserved(later + timedelta(hours=20)) == 66 * 15_000
    assert world.store.account(ORGANIZATION).reserved.calls_at(later) == 0


# ── Limits ───────────────────────────────────────────────────────────────────────────────────


def test_a_limit_that_is_set_in_the_midst_of_its_period_counts_what_was_spent_before() -> None:
    world = World()
    world.end("a")
    world.end("old", ANSWERED - timedelta(days=10))
    world.say(fact("monthlySpendLimit", 2 * PAID, ANSWERED - timedelta(days=1)))
    assert world.authorize("b").granted_seconds == 600
    answer = world.authorize("c")
    assert (answer.reason, answer.limit) == ("spendLimit", "monthlySpendLimit")


def test_a_user_with_a_limit_has_all_calls_of_the_month_counted_in_any_order() -> None:
    """Those answered before it holds as well, though they are heard of after others."""
    spent = []
    for late in (False, True):
        world = World()
        world.say(fact("monthlySpendLimit", 2 * PAID, ANSWERED))
        before = ANSWERED - timedelta(hours=1)
        calls = [("a", before), ("b", ANSWERED)]
        for call_id, at in reversed(calls) if late else calls:
            world.end(call_id, at)
        assert world.authorize("c").reason == "spendLimit"
        ((_, record),) = world.store.spending.items()
        spent.append(record.spent_micros)
    assert spent == [2 * PAID, 2 * PAID]


def test_a_limit_of_prefixes_that_was_off_counts_what_was_spent_meanwhile() -> None:
    world = World()
    world.configure(prefix_hourly_spend_limit_micros=3 * PAID)
    world.end("a")
    world.configure()
    world.end("b")
    world.configure(prefix_hourly_spend_limit_micros=3 * PAID)
    assert world.authorize("c").granted_seconds == 600
    assert world.authorize("d").reason == "fraudSuspected"


def test_what_was_counted_is_written_down_even_if_the_call_is_denied() -> None:
    world = World()
    for number in range(7):
        world.end(f"a-{number}")
    world.say(fact("monthlySpendLimit", 20 * PAID))
    assert world.authorize("b").reason == "insufficientCredit"
    ((_, key),) = world.store.spending
    assert (key.kind, key.subject) == (SpendKind.USER, ORGANIZER)
    assert world.store.spending[ORGANIZATION, key].spent_micros == 7 * PAID


def test_a_call_of_a_day_to_come_does_not_have_today_forgotten() -> None:
    world = World()
    world.configure(daily_spend_limit_micros=2 * PAID)
    world.end("a")
    far = ANSWERED + timedelta(days=400)
    one = ended(call_id="wrong clock", answered_at=far, ended_at=far + timedelta(minutes=10))
    world.charging([replace(one, reported_at=ANSWERED)])
    assert [day.key for day in world.store.account(ORGANIZATION).days] == [day_of(ANSWERED)]
    assert world.authorize("b").granted_seconds == 600
    assert world.authorize("c").reason == "spendLimit"


def test_a_call_over_midnight_counts_for_the_day_on_which_it_began() -> None:
    world = World()
    world.configure(daily_spend_limit_micros=PAID)
    midnight = ANSWERED.replace(hour=0) + timedelta(days=1)
    before = midnight - timedelta(minutes=5)
    assert world.authorize("a", before).granted_seconds == 600
    other = world.authorize("b", midnight)
    assert other.granted_seconds == 600
    more = world.report(Operation.UPDATE, "a", 1, 600, midnight + timedelta(minutes=5))
    assert more.reason == "spendLimit"
    world.end("a", before)
    days = {day.key: day.spent_micros for day in world.store.account(ORGANIZATION).days}
    assert days[day_of(before)] == PAID
    assert days[day_of(midnight)] == 0


def test_a_call_counts_for_the_hour_in_which_it_was_authorized() -> None:
    world = World()
    world.configure(prefix_hourly_spend_limit_micros=PAID)
    asked_at = ANSWERED - timedelta(seconds=30)
    world.authorize("a", asked_at)
    world.end("a")
    assert world.store.usages[ORGANIZATION, "a"].began_at == asked_at
    hour_before = world.store.spending[ORGANIZATION, prefix_hour(ANSWERED - timedelta(hours=1))]
    assert hour_before.spent_micros == PAID
    assert world.authorize("b").granted_seconds == 600
    assert world.store.spending[ORGANIZATION, prefix_hour(ANSWERED)].spent_micros == 0


def test_a_call_that_ends_with_another_organizer_counts_for_that_one() -> None:
    world = World()
    world.say(fact("monthlySpendLimit", 10 * PAID))
    change = LicensingChange(
        ORGANIZATION, "bob", (*entitled_changes()[1][0].facts, fact("monthlySpendLimit", 10 * PAID))
    )
    world.store.record(ORGANIZATION, [(change, processed_event("bob"))])
    world.authorize("a")
    world.end("a", organizer_id="bob")
    spent = {key.subject: one.spent_micros for (_, key), one in world.store.spending.items()}
    assert spent == {ORGANIZER: 0, "bob": PAID}
    assert not any(one.held for one in world.store.spending.values())


def test_a_call_of_a_day_long_past_does_not_tell_a_limit_again_and_again() -> None:
    world = World()
    world.configure(daily_spend_limit_micros=PAID)
    for number in range(3):
        world.end(f"now-{number}")
        one = ended(
            call_id=f"old-{number}",
            answered_at=ANSWERED - timedelta(days=9),
            ended_at=ANSWERED - timedelta(days=9) + timedelta(minutes=10),
        )
        world.charging([replace(one, reported_at=ANSWERED)])
    told = [n for n in world.store.outbox if isinstance(n.body, SpendLimitReached)]
    assert len(told) == 1


def test_a_denied_call_that_took_place_all_the_same_is_charged_as_if_nobody_had_asked() -> None:
    usages = []
    for asked in (False, True):
        world = World()
        world.configure(daily_spend_limit_micros=0)
        if asked:
            assert world.authorize("a").decision is Decision.DENY
        world.end("a")
        usages.append(world.store.usages[ORGANIZATION, "a"])
    assert usages[0] == usages[1]


def prefix_hour(at: datetime) -> SpendKey:
    return SpendKey(SpendKind.PREFIX, "49", at)


def test_charges_that_reach_a_limit_without_authorization_tell_it_once() -> None:
    world = World()
    world.configure(daily_spend_limit_micros=2 * PAID)
    world.say(fact("monthlySpendLimit", 3 * PAID))
    for call_id in "abcd":
        world.end(call_id)
    told = [n.body.limit for n in world.store.outbox if isinstance(n.body, SpendLimitReached)]
    assert told == ["dailySpendLimit", "monthlySpendLimit"]


def test_a_lost_answer_uncovers_no_call() -> None:
    """Ten blocks are paid: what `a` asks less for, and is not told of, is not for `b`."""
    world = World()
    world.own(PAID)
    assert world.authorize("a").granted_seconds == 600
    at = ANSWERED + timedelta(seconds=55)
    asked = ChargingRequest(Operation.UPDATE, 1, 60, 55)
    assert world.authorizing(ReceivedRequest(ORGANIZATION, "a", asked, at)).granted_seconds == 65
    denied = world.authorize("b", ANSWERED + timedelta(seconds=60))
    assert (denied.decision, denied.reason) == (Decision.DENY, "insufficientCredit")
    world.end("a")
    assert world.store.account(ORGANIZATION).balance_micros == 0


def test_a_card_that_is_published_in_mid_call_prices_no_call_under_way() -> None:
    world = World()
    world.authorize("a", requested_seconds=60)
    dearer = card("dialOut,49,DE,USD,0.90,,").rates
    world.rate_cards.publish(RateCard(dearer, version="dearer"))
    answer = world.report(Operation.UPDATE, "a", 1, 60, ANSWERED + timedelta(minutes=1))
    assert answer.rate_micros_per_minute == PAID // 10
    assert world.reserved(ANSWERED + timedelta(minutes=1)) == PAID // 5
    world.authorize("b", ANSWERED + timedelta(minutes=1))
    world.end("a")
    world.end("b", ANSWERED + timedelta(minutes=1))
    charged = {name: usage.charge_micros for (_, name), usage in world.store.usages.items()}
    assert charged == {"a": PAID, "b": 9_000_000}


def test_a_report_that_cannot_be_true_uses_up_no_number() -> None:
    world = World()
    world.authorize("a")
    at = ANSWERED + timedelta(minutes=1)
    with pytest.raises(Refused, match="makes 300 s in all"):
        world.report(Operation.UPDATE, "a", 1, 300, at)
    assert world.report(Operation.UPDATE, "a", 1, 60, at).granted_seconds == 600


def test_a_former_card_that_cannot_be_read_holds_up_only_the_calls_that_it_prices() -> None:
    world = World()
    world.authorize("a", requested_seconds=60)
    world.rate_cards.publish(RateCard(card().rates, version="newer"))
    world.authorize("b", requested_seconds=60)
    world.rate_cards.former.clear()
    calls = [
        ended(call_id=name, answered_at=ANSWERED, ended_at=ANSWERED + timedelta(minutes=1))
        for name in "ab"
    ]
    waits, charged = world.charging(calls)
    assert isinstance(waits, FormerRateCardUnavailable)
    assert isinstance(charged, Accepted)
