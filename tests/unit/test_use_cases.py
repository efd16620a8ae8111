"""The use cases over the in-memory twin: exactly once, whatever is delivered."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from builders import (
    ANSWERED,
    MICROS,
    ORGANIZATION,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import CALLS_PER_BATCH, ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import Deadline, RetryPolicy
from perminute.domain.credit.booking import Adjustment
from perminute.domain.credit.transaction import AccountChanged, IdentityKind, TimelineFull
from perminute.domain.errors import Contended, Refused, Unavailable, Unwritable
from perminute.domain.licensing.attributes import MONTHLY_SPEND_LIMIT, license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import MAX_FACTS
from perminute.domain.rating.usage_record import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import ProcessedEvent, Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rerating.rerating import Rerating

PAID = 150_000


def funded() -> InMemoryStore:
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    return store


def charging(store: InMemoryStore) -> ChargeCalls:
    return ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )


def balance(store: InMemoryStore) -> int:
    return store.account(ORGANIZATION).balance_micros


def test_a_leg_is_charged_once_however_often_it_is_delivered() -> None:
    store = funded()
    charge = charging(store)
    first = charge([ended(), ended()])
    again = charge([ended()])
    assert [type(result) for result in (*first, *again)] == [Accepted, Duplicate, Duplicate]
    assert balance(store) == 50 * MICROS - PAID


@dataclass
class Counting(InMemoryStore):
    """A store that counts transactions."""

    transactions: int = 0

    def commit(self, transaction: Transaction) -> None:
        self.transactions += 1
        super().commit(transaction)


def test_a_copy_in_the_same_batch_costs_no_transaction() -> None:
    store = Counting()
    charging(store)([ended(), ended(), ended(call_id="b"), ended()])
    assert store.transactions == 1


def test_a_full_batch_of_one_organization_is_one_transaction_also_at_the_end_of_a_month() -> None:
    store = Counting()
    store.record(ORGANIZATION, entitled_changes())
    limit = LicensingChange(ORGANIZATION, ORGANIZER, (fact(MONTHLY_SPEND_LIMIT, 10**12),))
    store.record(ORGANIZATION, [(limit, processed_event("limit"))])
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    store.transactions = 0
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    calls = [
        ended(call_id=f"c-{n}", answered_at=at - timedelta(minutes=2), ended_at=at)
        for n in range(CALLS_PER_BATCH)
        for at in [midnight + timedelta(minutes=n - CALLS_PER_BATCH // 2)]
    ]
    results = charging(store)(calls)
    assert {result.result.outcome for result in results if isinstance(result, Accepted)} == {
        Outcome.CHARGED
    }
    assert len(store.spending) == 2
    assert store.transactions == 1


def test_the_same_call_with_other_content_is_refused_and_the_rest_of_the_batch_is_charged() -> None:
    store = funded()
    charge = charging(store)
    charge([ended(call_id="a")])
    results = charge(
        [
            ended(call_id="a", meeting_id="other", organizer_id="other"),
            ended(call_id="b"),
            ended(call_id="a"),
            ended(call_id="b", meeting_id="other"),
        ]
    )
    conflict_a, accepted_b, repeated_a, conflict_b = results
    assert str(conflict_a) == (
        "callId: conflict: call a of contoso is recorded with another organizerId, meetingId; "
        "the record stands, send a correction as a credit adjustment"
    )
    assert isinstance(accepted_b, Accepted)
    assert isinstance(repeated_a, Duplicate)
    assert isinstance(conflict_b, Refused)
    assert balance(store) == 50 * MICROS - 2 * PAID


def test_a_large_batch_is_posted_in_even_pieces_with_an_entry_each() -> None:
    store = funded()
    results = charging(store)([ended(call_id=f"c-{n}") for n in range(100)])
    assert all(isinstance(result, Accepted) for result in results)
    charges = [entry.amount_micros for entry in store.entries if entry.amount_micros < 0]
    assert charges == [-50 * PAID, -50 * PAID]


def test_organizations_in_one_batch_are_charged_each_to_its_own_account() -> None:
    store = funded()
    store.record("fabrikam", entitled_changes("fabrikam"))
    bought = purchase(
        processed_event=processed_event(
            "po-f", kind=IdentityKind.PURCHASE, organization_id="fabrikam"
        )
    )
    BookCredit(store, WITHOUT_WAITING)([replace(bought, organization_id="fabrikam")])
    charging(store)([ended(), ended(organization_id="fabrikam"), ended(call_id="call-2")])
    assert (balance(store), store.account("fabrikam").balance_micros) == (
        50 * MICROS - 2 * PAID,
        50 * MICROS - PAID,
    )


@dataclass
class Interleaved(InMemoryStore):
    """Lets something happen right after the account was read, each time it is read."""

    between: list[Callable[[], object]] = field(default_factory=list)

    def account(self, organization_id: str) -> Account:
        account = super().account(organization_id)
        if self.between:
            self.between.pop(0)()
        return account


def test_a_license_that_is_lost_while_a_charge_is_in_flight_is_not_missed() -> None:
    store = Interleaved()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    lost = fact(license_attribute("MCOMEETACPEA"), value=False, since=ANSWERED, event_id="lost")
    change = LicensingChange(ORGANIZATION, "adele", (lost,))
    store.between = [lambda: store.record(ORGANIZATION, [(change, processed_event("lost"))])]
    (result,) = charging(store)([ended()])
    assert isinstance(result, Accepted)
    assert (result.result.outcome, balance(store)) == (Outcome.NOT_ENTITLED, 50 * MICROS)


def test_a_license_that_is_lost_between_two_batches_is_not_missed() -> None:
    store = funded()
    charge = charging(store)
    charge([ended()])
    lost = fact(license_attribute("MCOMEETACPEA"), value=False, since=ANSWERED, event_id="lost")
    store.record(
        ORGANIZATION, [(LicensingChange(ORGANIZATION, "adele", (lost,)), processed_event("lost"))]
    )
    (result,) = charge([ended(call_id="call-2")])
    assert isinstance(result, Accepted)
    assert (result.result.outcome, balance(store)) == (Outcome.NOT_ENTITLED, 50 * MICROS - PAID)


def test_credit_that_is_bought_while_a_charge_is_in_flight_is_not_lost() -> None:
    store = Interleaved()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    store.between = [lambda: BookCredit(store, WITHOUT_WAITING)([purchase("po-2")])]
    charging(store)([ended()])
    assert balance(store) == 100 * MICROS - PAID


@dataclass
class Interfering(InMemoryStore):
    """Lets credit be interfered between the transactions of one batch."""

    interfered: bool = False

    def commit(self, transaction: Transaction) -> None:
        result = super().commit(transaction)
        if transaction.usages and not self.interfered:
            self.interfered = True
            BookCredit(self, WITHOUT_WAITING)([purchase("po-2")])
        return result


def test_a_batch_of_two_postings_does_not_rely_on_an_account_that_moved_in_between() -> None:
    store = Interfering()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    results = charging(store)([ended(call_id=f"c-{n}") for n in range(100)])
    assert {type(result) for result in results} == {Accepted}
    assert balance(store) == 100 * MICROS - 100 * PAID


@dataclass
class NeverStill(InMemoryStore):
    """An account that somebody else changes before every commit."""

    attempts: int = 0

    def commit(self, transaction: Transaction) -> None:
        self.attempts += 1
        if transaction.usages:
            raise AccountChanged
        super().commit(transaction)


def test_after_so_many_collisions_the_legs_are_handed_back_to_come_again() -> None:
    store = NeverStill()
    store.record(ORGANIZATION, entitled_changes())
    pauses: list[float] = []
    retry = RetryPolicy(attempts=4, sleep=pauses.append, jitter=lambda: 1.0)
    charge = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        retry,
    )
    (result,) = charge([ended()])
    assert type(result) is Contended
    assert str(result) == "contoso: the account kept changing; it is tried again later"
    assert (store.attempts, pauses) == (4, [0.02, 0.04, 0.08])


@dataclass
class BeingChanged(InMemoryStore):
    """Timelines that somebody is just changing, a few times."""

    times: int = 3

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        self.times -= 1
        if self.times >= 0:
            raise Contended("reading licensing: TransactionConflict")
        return super().licensing(organization_id, user_ids)


def test_timelines_that_are_just_being_changed_are_read_again() -> None:
    store = BeingChanged()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    (result,) = charging(store)([ended()])
    assert isinstance(result, Accepted)
    assert result.result.outcome is Outcome.CHARGED


@dataclass
class Choosy(InMemoryStore):
    """A store that takes no transaction with one particular call or event in it."""

    def commit(self, transaction: Transaction) -> None:
        if any(usage.call.call_id == "huge" for usage in transaction.usages):
            raise Unwritable("item size has exceeded the maximum allowed size")
        super().commit(transaction)

    def record(
        self,
        organization_id: str,
        changes: Sequence[tuple[LicensingChange, ProcessedEvent]],
        rerating: Rerating | None = None,
    ) -> None:
        if any(proof.key.id == "huge" for _, proof in changes):
            raise Unwritable("item size has exceeded the maximum allowed size")
        super().record(organization_id, changes, rerating)


def test_what_the_store_does_not_take_is_handed_back_alone() -> None:
    store = Choosy()
    events = [licensing_event("1"), licensing_event("huge", "alex"), licensing_event("2")]
    results = ApplyLicensing(store, WITHOUT_WAITING)(events)
    assert [type(result) for result in results] == [Accepted, Unwritable, Accepted]
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    charged = charging(store)([ended(), ended(call_id="huge"), ended(call_id="call-3")])
    assert [type(result) for result in charged] == [Accepted, Unwritable, Accepted]
    assert balance(store) == 50 * MICROS - 2 * PAID


def test_what_has_not_begun_when_time_runs_out_is_handed_back() -> None:
    store = funded()
    instants = iter([0.0, 1.0, 5.0])
    deadline = Deadline(at=5.0, clock=lambda: next(instants))
    calls = [ended(), ended(organization_id="fabrikam"), ended(organization_id="northwind")]
    results = charging(store)(calls, deadline)
    assert [type(result) for result in results] == [Accepted, Accepted, Unavailable]
    passed = Deadline(at=0.0, clock=lambda: 0.0)
    (bought,) = BookCredit(store, WITHOUT_WAITING)([purchase("po-2")], passed)
    (applied,) = ApplyLicensing(store, WITHOUT_WAITING)([licensing_event("1")], passed)
    assert [type(result) for result in (bought, applied)] == [Unavailable, Unavailable]


def test_the_deadline_leaves_a_margin_of_what_lambda_says_is_left() -> None:
    assert Deadline.in_milliseconds(30_000, clock=lambda: 100.0).at == 120.0


@dataclass
class Down(InMemoryStore):
    """A store that is down for one organization."""

    def account(self, organization_id: str) -> Account:
        if organization_id == "fabrikam":
            raise Unavailable("fabrikam's partition is throttled")
        return super().account(organization_id)


def test_one_organizations_trouble_is_not_anothers() -> None:
    store = Down()
    store.record(ORGANIZATION, entitled_changes())
    BookCredit(store, WITHOUT_WAITING)([purchase()])
    results = charging(store)([ended(organization_id="fabrikam"), ended()])
    assert [type(result) for result in results] == [Unavailable, Accepted]


class NoCard:
    def current(self) -> RateCard:
        raise Unavailable("no card")

    def version(self, version: str) -> RateCard:
        raise Unavailable(f"no card {version}")


def test_without_a_rate_card_every_leg_comes_again_and_nothing_is_written() -> None:
    store = funded()
    results = ChargeCalls(
        store, InMemoryCalls(store), LicensingCache(store), NoCard(), WITHOUT_WAITING
    )([ended(), ended(call_id="b")])
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert not store.usages


def test_a_purchase_never_funds_twice_and_a_reused_number_is_refused() -> None:
    store = InMemoryStore()
    book = BookCredit(store, WITHOUT_WAITING)
    results = book([purchase(), purchase(), purchase(amount=60), purchase("po-2")])
    assert [type(result) for result in results] == [Accepted, Duplicate, Refused, Accepted]
    assert str(results[2]) == (
        "purchaseId: conflict: po-1 is recorded with another amount; the record stands, "
        "send the new facts under an identity of their own"
    )
    assert balance(store) == 100 * MICROS


def test_an_amount_in_another_currency_is_refused() -> None:
    store = funded()
    (result,) = BookCredit(store, WITHOUT_WAITING)([purchase("po-2", currency="EUR")])
    assert isinstance(result, Refused)
    assert (result.field, balance(store)) == ("currency", 50 * MICROS)


def test_an_adjustment_before_any_currency_is_refused_and_is_booked_when_it_comes_again() -> None:
    store = InMemoryStore()
    book = BookCredit(store, WITHOUT_WAITING)
    down = purchase(
        change=Adjustment(adjustment_id="a", amount_micros=-5, expires_at=ANSWERED),
        processed_event=processed_event("a", kind=IdentityKind.ADJUSTMENT),
    )
    (refused,) = book([down])
    assert isinstance(refused, Refused)
    assert store.account(ORGANIZATION).version == 0
    results = book([purchase(currency="EUR")]) + book([down]) + book([down])
    assert [type(result) for result in results] == [Accepted, Accepted, Duplicate]
    assert (balance(store), store.account(ORGANIZATION).currency) == (50 * MICROS - 5, "EUR")


def licensing_event(identity: str, user_id: str = "adele", **content: str) -> LicensingEvent:
    change = LicensingChange(ORGANIZATION, user_id, (fact("country", "FR", event_id=identity),))
    proof = processed_event(identity, content=content or {"userId": user_id})
    return LicensingEvent(change, proof, ANSWERED)


def test_licensing_events_are_taken_in_once_and_a_reused_id_is_refused() -> None:
    store = InMemoryStore()
    apply = ApplyLicensing(store, WITHOUT_WAITING)
    results = apply(
        [
            licensing_event("1"),
            licensing_event("1"),
            licensing_event("1", "alex"),
            licensing_event("2"),
        ]
    )
    assert [type(result) for result in results] == [Accepted, Duplicate, Refused, Accepted]
    assert len(store.licensing(ORGANIZATION, ["adele"]).users["adele"].facts) == 2


def test_many_licensing_events_are_taken_in_in_several_transactions() -> None:
    store = InMemoryStore()
    events = [licensing_event(str(number), f"user-{number}") for number in range(120)]
    results = ApplyLicensing(store, WITHOUT_WAITING)(events)
    assert results == [Accepted(None)] * 120
    assert store.account(ORGANIZATION).version == 3


def test_a_full_timeline_is_rolled_over_and_takes_more() -> None:
    store = InMemoryStore()
    facts = tuple(
        fact("country", "FR", ANSWERED + timedelta(seconds=n), str(n)) for n in range(MAX_FACTS)
    )
    full = (LicensingChange(ORGANIZATION, "adele", facts), processed_event("full"))
    store.record(ORGANIZATION, [full])
    results = ApplyLicensing(store, WITHOUT_WAITING)(
        [licensing_event("1"), licensing_event("2", "alex")]
    )
    assert results == [Accepted(None)] * 2
    known = store.licensing(ORGANIZATION, ["adele"]).users["adele"]
    assert known.facts > set(facts)
    assert store.account(ORGANIZATION).user_facts == MAX_FACTS + 2


def said(
    days: int, country: str = "DE", user_id: str = "adele", issued_at: datetime = ANSWERED
) -> LicensingEvent:
    """Says where a user has been since so many days before the call was answered."""
    since, identity = ANSWERED - timedelta(days=days), f"{country}-{user_id}-{days}"
    one = replace(fact("country", country, since, identity), issued_at=issued_at)
    change = LicensingChange(ORGANIZATION, user_id, (one,))
    return LicensingEvent(change, processed_event(identity), ANSWERED)


def known_days(store: InMemoryStore) -> list[int]:
    facts = store.licensing(ORGANIZATION, ["adele"]).users["adele"].facts
    return sorted((ANSWERED - one.effective_at).days for one in facts)


def test_facts_are_folded_once_the_horizon_and_its_margin_are_past() -> None:
    store = InMemoryStore(max_facts=4)
    apply = ApplyLicensing(store, WITHOUT_WAITING)
    for days in (600, 446, 445, 401, 1):
        assert apply([said(days)]) == [Accepted(None)]
    assert known_days(store) == [1, 401, 445, 600]


def test_an_archive_is_folded_by_its_own_time_however_late_it_is_replayed() -> None:
    apply = ApplyLicensing(InMemoryStore(max_facts=4), WITHOUT_WAITING)
    for days in range(2_000, 600, -100):
        event = said(days, issued_at=ANSWERED - timedelta(days=days))
        assert apply([event]) == [Accepted(None)]


def test_what_takes_effect_before_folded_facts_is_refused_by_name_whatever_the_horizon_is() -> None:
    """The horizon was 10 days for a while, and is 400 again; repeats of 200 days ago are gone."""
    store = InMemoryStore(max_facts=3)
    shortly = ApplyLicensing(store, WITHOUT_WAITING, horizon=timedelta(days=10))
    for days in (300, 200, 90, 1):
        assert shortly([said(days)]) == [Accepted(None)]
    assert known_days(store) == [1, 300]
    late = [said(250, "FR"), said(250, "FR", "alex"), said(54, "FR")]
    results = ApplyLicensing(store, WITHOUT_WAITING)(late)
    assert [type(result) for result in results] == [Refused, Accepted, Accepted]
    assert str(results[0]) == (
        "effectiveAt: lies before 2026-09-08T00:00:00Z, and this user's earlier facts are folded; "
        "send the event with that effectiveAt or a later one"
    )
    assert ApplyLicensing(store, WITHOUT_WAITING)([said(300)]) == [Duplicate()]
    assert known_days(store) == [1, 54, 300]


def test_a_timeline_that_never_has_room_is_given_up_and_comes_again() -> None:
    class AlwaysFull(InMemoryStore):
        def record(self, *_: object) -> None:
            raise TimelineFull(frozenset({"adele"}))

    (result,) = ApplyLicensing(AlwaysFull(), WITHOUT_WAITING)([licensing_event("1")])
    assert isinstance(result, Contended)
    assert "full again and again" in str(result)
