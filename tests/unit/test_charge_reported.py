"""Calls that bridges reported and nobody ended: charged by the reports, corrected by the event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
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
    entitled_changes,
    fact,
    holds,
    phone_call,
    processed_event,
    purchase,
)
from daily import charged_by, reported_by

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.authorize_call import AuthorizeCall, ReceivedRequest
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.daily_expiry import ChargedByReports, ChargeReported
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import Deadline
from perminute.domain.authorization.reservations import ChargingRequest, Decision, Denied, Operation
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.ledger import EntryType
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.notifications.notifications import CallFlagged
from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Flag, Outcome, Reason
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from datetime import datetime

    from perminute.application.results import Result
    from perminute.domain.authorization.reservations import Answer, Reservation
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage

RATE = 15_000
NOVEMBER, DECEMBER = Month(2026, 11), Month(2026, 12)
UPDATED, RELEASED = ANSWERED + timedelta(seconds=305), ANSWERED + timedelta(seconds=347)
DUE = ANSWERED + timedelta(hours=75)
SECOND = timedelta(seconds=1)


@dataclass
class Store(InMemoryStore):
    """A twin, between whose reading and writing something may happen."""

    meanwhile: Callable[[], object] | None = None
    after_reading: Callable[[], object] | None = None
    found_too: tuple[str, ...] = ()

    def commit(self, transaction: Transaction) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        super().commit(transaction)

    def reservations(
        self, organization_id: str, call_ids: Collection[str]
    ) -> Mapping[str, Reservation]:
        found = super().reservations(organization_id, call_ids)
        after_reading, self.after_reading = self.after_reading, None
        if after_reading is not None:
            after_reading()
        return found

    def reported_calls(self, organization_id: str, *, due_by: datetime) -> Iterator[str]:
        return iter([*self.found_too, *super().reported_calls(organization_id, due_by=due_by)])


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
        self.charge_reported = ChargeReported(self.store, self.charging)
        again = RecordedCalls(self.store, calls, licensing, rate_cards, WITHOUT_WAITING)
        self.rerating = RerateCalls(again, self.store)
        self.authorizing = AuthorizeCall(
            under_way=self.store,
            credit=self.store,
            calls=calls,
            licensing=LicensingCache(self.store),
            rate_cards=rate_cards,
            retry=WITHOUT_WAITING,
        )

    def authorize(self, call_id: str = "call-1", **changed: Any) -> Answer:
        one = phone_call(call_id=call_id, ended_at=ANSWERED, **changed)
        asked = ChargingRequest(Operation.AUTHORIZE, 0, 300)
        return self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, ANSWERED, one))

    def update(self, seconds: int = 300, at: datetime = UPDATED, call_id: str = "call-1") -> Answer:
        asked = ChargingRequest(Operation.UPDATE, 1, None, seconds)
        return self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at))

    def release(
        self, seconds: int = 42, at: datetime = RELEASED, call_id: str = "call-1"
    ) -> Answer:
        asked = ChargingRequest(Operation.RELEASE, 2, None, seconds)
        return self.authorizing(ReceivedRequest(ORGANIZATION, call_id, asked, at))

    def report(self, call_id: str = "call-1", **changed: Any) -> None:
        """Have a bridge report 342 seconds of a call, of whose end nobody tells."""
        self.authorize(call_id, **changed)
        self.update(call_id=call_id)
        self.release(call_id=call_id)

    def end(self, at: datetime = DUE, **changed: Any) -> Result[Usage]:
        (result,) = self.charging([EndedCall(as_told(**changed), at)])
        return result

    def run(self, at: datetime = DUE) -> list[Usage]:
        charged = charged_by(self.charge_reported, at)
        self.check()
        return charged

    def settle(self) -> None:
        (result,) = self.rerating([ReratingRequest(ORGANIZATION)])
        assert isinstance(result, Accepted)
        self.check()

    def say(self, *facts: Fact, user: str | None = None) -> None:
        self.events += 1
        change = LicensingChange(ORGANIZATION, user, facts)
        self.store.record(ORGANIZATION, [(change, processed_event(f"said-{self.events}"))])

    def configure(self, **settings: Any) -> None:
        said = CreditSettings(
            configured_at=LONG_AGO, event_id="settings", currency="USD", **settings
        )
        event = CreditEvent(
            organization_id=ORGANIZATION,
            change=said,
            processed_event=processed_event("s"),
            issued_at=LONG_AGO,
        )
        assert isinstance(BookCredit(self.store, WITHOUT_WAITING)([event])[0], Accepted)

    def usage(self, call_id: str = "call-1") -> Usage:
        return self.store.usages[ORGANIZATION, call_id]

    @property
    def balance(self) -> int:
        return self.store.account(ORGANIZATION).balance_micros

    def reasons(self) -> list[Any]:
        return [one.body.reason for one in self.store.outbox if isinstance(one.body, CallFlagged)]

    def check(self) -> None:
        """Hold the books against each other, and what is reserved against the calls under way."""
        assert reconcile(self.store.statement(ORGANIZATION)) == ()
        held = [held for one in self.store.under_way.values() for held in one.held if held.used]
        reserved = self.store.account(ORGANIZATION).reserved
        assert sum(one.calls for one in reserved.by_instant if one.used) == len(held)
        assert reserved.amount_at(DUE) == sum(one.micros for one in held)


def as_told(**changed: Any) -> Call:
    """The call as telephony tells of it: as it was reported, unless said otherwise."""
    parts = {"answered_at": RELEASED - 342 * SECOND, "ended_at": RELEASED, **changed}
    return phone_call(**parts)


@pytest.fixture
def world() -> World:
    return World()


def test_what_a_bridge_reported_is_charged_once_when_its_end_is_overdue(world: World) -> None:
    world.report()
    assert world.run(DUE - SECOND) == []
    assert world.store.account(ORGANIZATION).reserved.amount_at(DUE) == 6 * RATE
    (usage,) = world.run()
    assert usage == world.usage()
    assert usage.call == as_told()
    assert (usage.outcome, usage.charge_micros) == (Outcome.CHARGED, 6 * RATE)
    assert usage.flags == (Flag.REPORTED_BY_BRIDGE,)
    assert usage.authorized_at == ANSWERED
    assert world.balance == MICROS - 6 * RATE
    account = world.store.account(ORGANIZATION)
    assert not account.reserved
    entry = world.store.entries[-1]
    assert (entry.type, entry.at, entry.entry_id) == (EntryType.CHARGE, DUE, usage.entry_id)
    assert world.reasons() == ["reportedByBridge"]
    assert account.digests_due_at == DUE.replace(hour=0) + timedelta(days=1)
    assert world.balance == MICROS - 6 * RATE


def test_a_call_that_was_never_released_is_charged_up_to_its_last_report(world: World) -> None:
    world.authorize()
    world.update()
    (usage,) = world.run()
    assert usage.call == as_told(answered_at=UPDATED - 300 * SECOND, ended_at=UPDATED)
    assert world.balance == MICROS - 5 * RATE


def test_a_call_of_which_no_second_was_reported_costs_nothing(world: World) -> None:
    world.authorize()
    world.update(0)
    world.release(0)
    assert list(world.store.organizations(due_by=DUE)) == []
    assert world.store.usages == {}
    assert not world.store.account(ORGANIZATION).reserved


@pytest.mark.parametrize(("hours", "due_after_hours"), [(1, 3), (100, 105)])
def test_how_long_is_waited_for_is_set_by_the_admin(
    world: World, hours: int, due_after_hours: int
) -> None:
    world.configure(late_usage_hours=hours)
    world.report()
    due = ANSWERED + timedelta(hours=due_after_hours)
    assert world.run(due - SECOND) == []
    assert len(world.run(due)) == 1


def test_what_the_index_says_is_asked_of_the_calls_themselves(world: World) -> None:
    """It may still name calls that have ended, or go on; what it lacks, the next run finds."""
    world.store.found_too = ("ended", "goes-on", "unknown", "denied")
    for call_id in ("ended", "goes-on"):
        world.report(call_id)
    world.authorize("denied", remote_number="+881612345678")
    assert isinstance(world.end(call_id="ended"), Accepted)
    world.store.under_way[ORGANIZATION, "goes-on"] = replace_due(world, "goes-on")
    assert charged_by(world.charge_reported, DUE) == []
    assert set(world.store.usages) == {(ORGANIZATION, "ended")}
    assert world.store.account(ORGANIZATION).due_at == DUE


def replace_due(world: World, call_id: str) -> Reservation:
    """Have a call due much later."""
    one = world.store.under_way[ORGANIZATION, call_id]
    held = tuple(held._replace(until=DUE + timedelta(days=9)) for held in one.held)
    return replace(one, held=held)


@pytest.mark.parametrize("when", ["meanwhile", "after_reading"])
def test_a_call_that_goes_on_while_it_is_to_be_charged_is_left_alone(
    world: World, when: str
) -> None:
    world.authorize()
    world.update()
    setattr(world.store, when, lambda: world.release(at=DUE))
    assert world.run() == []
    assert world.store.usages == {}
    (usage,) = world.run(DUE + timedelta(hours=72))
    rang = timedelta(seconds=60)
    assert (usage.call.ended_at, usage.call.connected_seconds) == (
        ANSWERED + rang + 342 * SECOND,
        342,
    )


def test_an_event_that_comes_at_that_very_moment_is_charged_instead(world: World) -> None:
    world.report()
    told = {"ended_at": RELEASED + 60 * SECOND}
    world.store.meanwhile = lambda: world.end(**told)
    assert world.run() == []
    assert world.usage().call == as_told(**told)
    assert world.usage().flags == ()
    assert world.balance == MICROS - 7 * RATE


@pytest.mark.parametrize(
    ("changed", "outcome", "reason", "charge"),
    [
        ({"ended_at": RELEASED + 18 * SECOND}, Outcome.CHARGED, None, 6 * RATE),
        ({"ended_at": RELEASED + 60 * SECOND}, Outcome.CHARGED, None, 7 * RATE),
        ({"ended_at": UPDATED}, Outcome.CHARGED, None, 5 * RATE),
        ({"billable_seconds": 1}, Outcome.CHARGED, None, RATE),
        ({"answered_at": None}, Outcome.FREE, "notAnswered", 0),
        ({"remote_number": "+881612345678"}, Outcome.UNRATED, "noRate", 0),
        ({"organizer_id": "nobody"}, Outcome.NOT_ENTITLED, "noLicense", 0),
    ],
)
def test_an_event_that_comes_after_all_replaces_what_was_reported_once(
    world: World, changed: dict[str, Any], outcome: Outcome, reason: Reason | None, charge: int
) -> None:
    world.report()
    world.run()
    later = DUE + timedelta(hours=20)
    result = world.end(later, **changed)
    usage = world.usage()
    assert result == Accepted(usage)
    assert usage.call == as_told(**changed)
    assert (usage.outcome, usage.reason, usage.charge_micros) == (outcome, reason, charge)
    assert usage.flags == (Flag.RERATED,)
    assert usage.authorized_at == ANSWERED
    assert world.balance == MICROS - charge
    world.check()
    adjustments = [one for one in world.store.entries if one.type is EntryType.ADJUSTMENT]
    if charge == 6 * RATE:
        assert (adjustments, usage.adjustments) == ([], ())
    else:
        (entry,) = adjustments
        assert (entry.amount_micros, entry.at, entry.cause) == (
            6 * RATE - charge,
            later,
            "rerating#callEnded",
        )
        assert usage.adjustments == ((entry.entry_id, charge - 6 * RATE),)
    before = world.store.account(ORGANIZATION)
    assert world.end(later, **changed) == Duplicate()
    third = world.end(later, **{**changed, "meeting_id": "another"})
    assert isinstance(third, Refused)
    assert "conflict: call call-1 of contoso is recorded with another meetingId" in str(third)
    assert world.store.account(ORGANIZATION) == before
    assert world.usage() == usage


@pytest.mark.parametrize(("seconds", "of_expired"), [(0, 6 * RATE), (1, 0)])
def test_an_expired_lot_pays_what_a_bridge_reported_however_late_the_event_comes(
    world: World, seconds: int, of_expired: int
) -> None:
    expires_at = RELEASED + timedelta(hours=1)
    long_before = expires_at - timedelta(days=365)
    BookCredit(world.store, WITHOUT_WAITING)([purchase("older", 1, purchased_at=long_before)])
    world.report()
    BookCredit(world.store, WITHOUT_WAITING)([purchase("later", 1, purchased_at=expires_at)])
    assert isinstance(
        world.end(expires_at + timedelta(hours=73), ended_at=RELEASED + seconds * SECOND), Accepted
    )
    (expiry, *again) = [one for one in world.store.entries if one.type is EntryType.EXPIRY]
    assert expiry.amount_micros == -MICROS
    assert sum(one.amount_micros for one in again) == of_expired


def test_an_event_that_says_the_same_confirms_what_was_reported(world: World) -> None:
    world.report()
    (reported,) = world.run()
    assert isinstance(world.end(), Accepted)
    assert world.usage() == reported._replace(flags=())
    assert world.balance == MICROS - 6 * RATE
    assert world.end() == Duplicate()


def test_among_many_calls_each_is_replaced_charged_or_repeated(world: World) -> None:
    BookCredit(world.store, WITHOUT_WAITING)([purchase("po-2", amount=9)])
    reported = [f"call-{n}" for n in range(60)]
    for call_id in reported:
        world.report(call_id)
    world.run()
    told = [*reported, "new", *reported[:2]]
    calls = [as_told(call_id=call_id, ended_at=RELEASED + 60 * SECOND) for call_id in told]
    results = world.charging([EndedCall(one, DUE) for one in calls])
    assert [type(one) for one in results] == [Accepted] * 61 + [Duplicate] * 2
    assert world.balance == 10 * MICROS - 61 * 7 * RATE
    world.check()


def test_what_cannot_be_replaced_now_comes_again(world: World) -> None:
    world.report()
    world.run()
    over = Deadline(at=1, clock=iter(range(9)).__next__)
    (result,) = world.charging([EndedCall(as_told(ended_at=UPDATED), DUE)], over)
    assert isinstance(result, Unavailable)
    assert world.usage().reported_by_bridge


@pytest.mark.parametrize(
    ("changed", "is_known"),
    [
        ({"ended_at": RELEASED + 60 * SECOND}, True),
        ({"answered_at": RELEASED - 341 * SECOND}, False),
        ({"remote_number": "+442079460018"}, False),
    ],
    ids=["it lasted longer", "it was answered later", "another number was called"],
)
def test_the_card_is_read_again_only_where_another_row_of_it_may_price_the_call(
    world: World, changed: dict[str, Any], *, is_known: bool
) -> None:
    world.report()
    world.run()
    other = card("dialOut,33,FR,USD,0.016,,")
    other.version = "other"
    world.rate_cards.card = other
    result = world.end(**changed)
    assert isinstance(result, Accepted if is_known else Unavailable)
    assert world.usage().price.rate_card_version == "card-1"


def test_a_late_change_leaves_it_reported_until_its_event_comes(world: World) -> None:
    world.report()
    world.run()
    policy = LicensingChange(ORGANIZATION, ORGANIZER, (fact("dialOutPolicy", "none"),))
    event = LicensingEvent(policy, processed_event("late"), DUE)
    assert ApplyLicensing(world.store, WITHOUT_WAITING)([event]) == [Accepted(None)]
    world.settle()
    assert set(world.usage().flags) == {
        Flag.DIAL_OUT_NOT_ALLOWED,
        Flag.REPORTED_BY_BRIDGE,
        Flag.RERATED,
    }
    assert world.reasons() == ["reportedByBridge", "dialOutNotAllowed"]
    assert isinstance(world.end(), Accepted)
    assert set(world.usage().flags) == {Flag.DIAL_OUT_NOT_ALLOWED, Flag.RERATED}
    assert world.reasons() == ["reportedByBridge", "dialOutNotAllowed"]


def test_it_is_told_beside_the_policy_that_it_went_against(world: World) -> None:
    world.report()
    world.say(fact("dialOutPolicy", "none"), user=ORGANIZER)
    world.run()
    assert world.reasons() == ["dialOutNotAllowed", "reportedByBridge"]
    assert len({one.id for one in world.store.outbox}) == len(world.store.outbox)


def test_after_that_a_bridge_is_answered_as_of_any_call_that_has_ended(world: World) -> None:
    world.authorize()
    world.update()
    world.run()
    late = world.release(at=DUE + SECOND)
    assert late.decision is Decision.ALLOW
    asked = ChargingRequest(Operation.UPDATE, 2, None, 60)
    answer = world.authorizing(ReceivedRequest(ORGANIZATION, "call-1", asked, DUE + SECOND))
    assert (answer.decision, answer.reason) == (Decision.DENY, Denied.CALL_ENDED)
    assert world.usage().call.ended_at == UPDATED


def test_one_organization_that_cannot_be_charged_does_not_hold_up_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.report()
    account = world.store.account(ORGANIZATION)
    world.store.accounts["damaged"] = account._replace(organization_id="damaged")
    world.store.listed.add("damaged")
    reservations = world.store.reservations

    def damaged(organization_id: str, call_ids: Collection[str]) -> Mapping[str, Reservation]:
        if organization_id == "damaged":
            msg = "cannot be read"
            raise Unavailable(msg)
        return reservations(organization_id, call_ids)

    monkeypatch.setattr(world.store, "found_too", ("call-1",))
    monkeypatch.setattr(world.store, "reservations", damaged)
    done = reported_by(world.charge_reported, DUE)
    assert {one: (len(r.charged), str(r.failed)) for one, r in done.items()} == {
        ORGANIZATION: (1, "None"),
        "damaged": (0, "cannot be read"),
    }


def test_a_run_without_time_left_says_that_it_goes_on(world: World) -> None:
    world.report()
    done = world.charge_reported(ORGANIZATION, DUE, Deadline(at=0, clock=lambda: 1))
    assert done == ChargedByReports(goes_on=True)
    assert len(world.run()) == 1


def test_a_run_that_charges_nothing_in_its_time_fails_rather_than_go_round_for_ever(
    world: World,
) -> None:
    world.report()
    clock = count()
    done = world.charge_reported(ORGANIZATION, DUE, Deadline(at=1, clock=lambda: next(clock)))
    assert (done.charged, done.goes_on) == ([], False)
    assert done.failed is not None
    assert len(world.run()) == 1


def test_limits_count_what_was_reported_and_then_what_was_told(world: World) -> None:
    world.configure(daily_spend_limit_micros=MICROS)
    world.report()
    day = world.store.account(ORGANIZATION).days[0]
    assert (day.spent_micros, day.held.amount_at(DUE)) == (0, 6 * RATE)
    world.say(fact("monthlySpendLimit", MICROS), user=ORGANIZER)
    world.report("call-2")
    (held,) = world.store.spending.values()
    assert held.held.amount_at(DUE) == 6 * RATE
    world.run()
    (spent,) = world.store.spending.values()
    assert (spent.spent_micros, bool(spent.held)) == (12 * RATE, False)


# ── Minute pools ──────────────────────────────────────────────────────────────────────────────


def subscribed(minutes: int) -> World:
    world = World()
    world.say(fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", minutes))
    for user in ("bob", "carol"):
        world.say(*holds("subscription", "communicationsCredits").facts, user=user)
    return world


def pooled(world: World, month: Month = NOVEMBER) -> tuple[int, Mapping[datetime, int]]:
    pool = world.store.pools(ORGANIZATION, [month])[month]
    assert pool.unsettled is None
    assert not pool.held
    return pool.used, pool.used_by_day  # type: ignore[return-value] # days are compared as keys


def test_minutes_that_were_reported_stay_reserved_and_are_drawn(world: World) -> None:
    world = subscribed(8)
    world.report(organizer_id="bob")
    pool = world.store.pools(ORGANIZATION, [NOVEMBER])[NOVEMBER]
    assert pool.held.amount_at(DUE) == 6
    other = as_told(call_id="other", organizer_id="carol")
    assert isinstance(world.charging([EndedCall(other, RELEASED)])[0], Accepted)
    assert world.usage("other").pool_minutes == 2
    world.run()
    usage = world.usage()
    assert (usage.outcome, usage.pool_minutes, usage.reserved_minutes) == (Outcome.POOLED, 6, 6)
    assert pooled(world)[0] == 8


@pytest.mark.parametrize("minutes", [4, 6, 7, 8, 9, 60])
@pytest.mark.parametrize("seconds", [0, 100, 341, 342, 343, 480, 3_000])
@pytest.mark.parametrize("moved", [-1, 0, 1])
def test_it_costs_the_same_whether_the_event_was_before_or_after(
    minutes: int, seconds: int, moved: int
) -> None:
    """And so do the others that want minutes, whichever of them are read again."""
    ended_at = RELEASED + moved * timedelta(days=1)
    told: dict[str, Any] = {
        "organizer_id": "bob",
        "answered_at": ended_at - seconds * SECOND if seconds else None,
        "ended_at": ended_at,
    }
    stands = []
    for is_before in (True, False):
        world = subscribed(minutes)
        world.report(organizer_id="bob")
        if is_before:
            world.end(**told)
        world.run()
        world.end(**told)
        world.settle()
        one = world.usage()._replace(flags=(), adjustments=(), lots=(), entry_id=None)
        stands.append((one, pooled(world), world.balance))
    assert stands[0] == stands[1]


def test_a_call_that_turns_out_to_be_of_another_month_draws_on_that(world: World) -> None:
    world = subscribed(10)
    world.report(organizer_id="bob")
    world.run()
    at = DECEMBER.start + timedelta(hours=1)
    told = as_told(organizer_id="bob", answered_at=at - 120 * SECOND, ended_at=at)
    assert isinstance(world.charging([EndedCall(told, at)])[0], Accepted)
    world.settle()
    assert (pooled(world)[0], pooled(world, DECEMBER)[0]) == (0, 2)
    assert world.usage().pool_minutes == 2


def test_what_it_drew_is_its_own_although_there_are_fewer_minutes_by_now(world: World) -> None:
    world = subscribed(12)
    world.report(organizer_id="bob")
    world.run()
    world.authorize("under-way", organizer_id="carol")
    world.update(call_id="under-way")
    world.say(fact("poolMinutesPerLicense", 6, ANSWERED - timedelta(days=1)))
    world.end(organizer_id="bob", ended_at=RELEASED - 42 * SECOND)
    assert world.usage().pool_minutes == 5


def test_minutes_that_go_back_are_those_of_who_had_none(world: World) -> None:
    world = subscribed(6)
    world.report(organizer_id="bob")
    world.run()
    others = Counter[str]()
    for n in range(3):
        other = as_told(call_id=f"other-{n}", organizer_id="carol", ended_at=RELEASED + n * SECOND)
        assert isinstance(world.charging([EndedCall(other, DUE)])[0], Accepted)
        others[other.call_id] = world.usage(other.call_id).pool_minutes
    assert others.total() == 0
    world.end(organizer_id="bob", answered_at=RELEASED - 60 * SECOND)
    world.settle()
    assert world.usage().pool_minutes == 1
    assert world.usage("other-0").pool_minutes == 5
    assert pooled(world)[0] == 6
