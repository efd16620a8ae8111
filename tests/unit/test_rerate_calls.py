"""Thousands of calls are worked off piece by piece, and a piece that breaks off does no harm."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
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
    fact,
    processed_event,
    purchase,
)

from perminute.adapters.memory import (
    InMemoryCalls,
    InMemoryReratingQueue,
    InMemoryStore,
    PublishedRateCards,
    StoredRejections,
)
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.queue_reratings import QueueMissed, QueueReratings
from perminute.application.recorded_calls import (
    CALLS_PER_PIECE,
    CALLS_PER_TRANSACTION,
    RecordedCalls,
    ReratingProgress,
    fit_one_transaction,
)
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.application.settle_pools import settle_pool
from perminute.domain.credit.ledger import EntryType, Producer
from perminute.domain.errors import Unavailable
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import DrawPosition, MinutePool, Month, minutes_wanted
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute.domain.reporting.postings import MAX_REVISED_DAYS
from perminute.domain.rerating.rerating import Rerating
from perminute.ports.messaging import Rejection, Waiting
from perminute.ports.stores import ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList, Calls

CALLS = 2_500
PAID = 150_000
NOVEMBER = Month(2026, 11)
BEFORE = ANSWERED - timedelta(days=1)


def world(calls: int = CALLS, *said: Fact) -> InMemoryStore:
    """An organization whose organizer has had so many calls, one each second."""
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    for number, one in enumerate(said):
        apply(store, one, f"said-{number}")
    BookCredit(store, WITHOUT_WAITING)([purchase(amount=1_000)])
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    ended_calls = [
        ended(call_id=f"call-{n:05d}", ended_at=ANSWERED + timedelta(seconds=541 + n % 60))
        for n in range(calls)
    ]
    assert all(isinstance(one, Accepted) for one in charging(ended_calls))
    store.reratings.clear()
    return store


def apply(store: InMemoryStore, one: Fact, name: str = "late") -> None:
    subject = "adele" if one.attribute.startswith("license:") else None
    change = LicensingChange(ORGANIZATION, subject, (one,))
    event = LicensingEvent(change, processed_event(name), ANSWERED)
    assert ApplyLicensing(store, WITHOUT_WAITING)([event]) == [Accepted(None)]


def recorded_calls(store: InMemoryStore, calls: Calls) -> RecordedCalls:
    return RecordedCalls(
        credit=store,
        calls=calls,
        licensing=LicensingCache(store),
        rate_cards=PublishedRateCards(card()),
        retry=WITHOUT_WAITING,
    )


def rerating(store: InMemoryStore, calls: Calls | None = None) -> RerateCalls:
    return RerateCalls(recorded_calls(store, calls or InMemoryCalls(store)), store)


def piece(store: InMemoryStore, calls: Calls | None = None) -> ReratingProgress:
    """Do a piece of what waits."""
    (result,) = rerating(store, calls)([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Accepted), result
    return result.result


def pieces(store: InMemoryStore) -> list[ReratingProgress]:
    """Do all of it, piece by piece."""
    done = []
    while store.waiting(ORGANIZATION) or store.unsettled_months(ORGANIZATION):
        done.append(piece(store))
    return done


LOST = fact(license_attribute("MCOMEETACPEA"), value=False, since=BEFORE, event_id="late")


def test_thousands_of_calls_are_rated_anew_in_bounded_pieces() -> None:
    store = world()
    apply(store, LOST)
    rerated = [len(one.rerated) for one in pieces(store)]
    assert sum(rerated) == CALLS
    assert max(rerated) <= CALLS_PER_PIECE + CALLS_PER_TRANSACTION
    assert len(rerated) == 3
    adjustments = [e for e in store.entries if e.type is EntryType.ADJUSTMENT]
    named = Counter(u.adjustments[0].entry_id for u in store.usages.values())
    assert set(named) == {entry.entry_id for entry in adjustments}
    assert max(named.values()) == CALLS_PER_TRANSACTION
    assert store.account(ORGANIZATION).balance_micros == 1_000 * MICROS
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_a_pool_of_thousands_of_calls_is_settled_in_bounded_pieces() -> None:
    store = world(
        CALLS,
        fact(license_attribute("SPE_E5"), value=True, event_id="s-1"),
        fact("purchased:SPE_E5", 100, LONG_AGO, "s-2"),
    )
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 6_000
    apply(store, fact("purchased:SPE_E5", 50, BEFORE, "late"))
    looked_at = [one.looked_at for one in pieces(store)]
    assert sum(looked_at) == CALLS
    assert max(looked_at) <= CALLS_PER_PIECE + CALLS_PER_TRANSACTION
    # Ten minutes each, in the order in which they ended.
    pooled = {u.call.call_id for u in store.usages.values() if u.outcome is Outcome.POOLED}
    in_order = sorted(store.usages.values(), key=lambda u: (u.call.ended_at, u.call.call_id))
    assert pooled == {usage.call.call_id for usage in in_order[:300]}
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 3_000
    assert reconcile(store.statement(ORGANIZATION)) == ()


class Breaking(InMemoryStore):
    """A store that fails at its n-th commit, before it or after it."""

    breaks_at = 0
    committed = 0
    after = False

    def commit(self, transaction: Transaction) -> None:
        self.committed += 1
        breaks = self.committed == self.breaks_at
        if breaks and not self.after:
            raise Unavailable("crashed before the commit")
        result = super().commit(transaction)
        if breaks:
            raise Unavailable("crashed after the commit")
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("breaks_at", [1, 2, 5])
def test_a_piece_that_breaks_off_is_carried_out_again_without_harm(
    breaks_at: int, *, after: bool
) -> None:
    plain = world(300)
    store = Breaking(**vars(plain))
    apply(store, LOST)
    store.breaks_at, store.after = breaks_at, after
    (result,) = rerating(store)([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Unavailable)
    assert store.waiting(ORGANIZATION)
    pieces(store)
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}
    assert all(len(u.adjustments) == 1 for u in store.usages.values())
    assert store.account(ORGANIZATION).balance_micros == 1_000 * MICROS
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_what_is_left_without_time_comes_again() -> None:
    store = world(10)
    apply(store, LOST)
    (result,) = rerating(store)([ReratingRequest(ORGANIZATION)], Deadline(0, clock=lambda: 1))
    assert isinstance(result, Unavailable)
    assert "no time was left" in str(result)


def test_time_that_runs_out_ends_a_piece_whose_record_brings_the_next() -> None:
    store = world(300)
    apply(store, LOST)
    ticks = iter(range(10_000))
    rerating(store)([ReratingRequest(ORGANIZATION)], Deadline(4, clock=lambda: next(ticks)))
    (left,) = store.waiting(ORGANIZATION)
    assert left.steps == 1
    assert sum(len(one.rerated) for one in pieces(store)) < 300
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}


def test_calls_of_others_and_from_before_are_not_looked_at() -> None:
    store = world(10)
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    before = BEFORE - timedelta(seconds=1)
    charging(
        [
            ended(call_id="others", organizer_id="bob"),
            ended(call_id="before", answered_at=before, ended_at=BEFORE + timedelta(hours=1)),
        ]
    )
    apply(store, LOST)
    progress = piece(store)
    assert progress.looked_at == 10
    assert {usage.call.call_id for usage in progress.rerated} == {
        f"call-{n:05d}" for n in range(10)
    }


def test_a_change_that_takes_effect_later_looks_at_no_call() -> None:
    store = world(10)
    apply(
        store,
        fact(license_attribute("MCOMEETACPEA"), value=False, since=ANSWERED.replace(year=2027)),
    )
    assert piece(store).looked_at == 0
    assert list(store.waiting(ORGANIZATION)) == []


def test_credit_that_turns_out_to_have_been_set_up_earlier_pays_the_calls_since() -> None:
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    early = ANSWERED - timedelta(hours=1)
    charging([ended(call_id="a"), ended(call_id="b", answered_at=early)])
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}
    BookCredit(store, WITHOUT_WAITING)([purchase(purchased_at=ANSWERED)])
    pieces(store)
    outcomes = {call: usage.outcome for (_, call), usage in store.usages.items()}
    assert outcomes == {"a": Outcome.CHARGED, "b": Outcome.NOT_ENTITLED}
    assert store.account(ORGANIZATION).balance_micros == 50 * MICROS - PAID
    sender = Producer("123456789012", "perminute.billing")
    earlier = replace(purchase("po-2", purchased_at=LONG_AGO), producer=sender)
    BookCredit(store, WITHOUT_WAITING)([earlier])
    pieces(store)
    senders = {entry.cause: entry.producer for entry in store.entries}
    assert senders["rerating#purchase#po-2"] == senders["purchase#po-2"] == sender
    assert senders["rerating#purchase#po-1"] is None
    assert {u.outcome for u in store.usages.values()} == {Outcome.CHARGED}
    BookCredit(store, WITHOUT_WAITING)([purchase("po-3", purchased_at=ANSWERED)])
    assert list(store.waiting(ORGANIZATION)) == []


def test_a_burst_of_changes_is_one_pass_over_the_calls() -> None:
    store = world(60)
    for number in range(120):
        country = fact("country", "FR", BEFORE, f"f-{number}")
        change = LicensingChange(ORGANIZATION, f"user-{number % 5}", (country,))
        event = LicensingEvent(change, processed_event(f"f-{number}"), ANSWERED)
        assert ApplyLicensing(store, WITHOUT_WAITING)([event]) == [Accepted(None)]
    apply(store, LOST)
    counting = Counting(InMemoryCalls(store))
    while store.waiting(ORGANIZATION):
        piece(store, counting)
    assert counting.passes == 3
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}
    cause = next(e.cause for e in store.entries if e.type is EntryType.ADJUSTMENT)
    assert re.fullmatch(r"rerating#event#(f-[0-9]+|late) and [0-9]+ more", cause or "")


def test_what_has_not_begun_when_it_is_enough_is_left_so_that_it_wakes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own wake-up may have been heard already: only a change of its record brings another."""
    monkeypatch.setattr("perminute.application.rerate_calls.MAX_MERGED", 0)
    store = world(600)
    for number in range(3):
        mode = fact("dialOutPolicy", "none", BEFORE, f"p-{number}")
        change = LicensingChange(ORGANIZATION, "adele", (mode,))
        event = LicensingEvent(change, processed_event(f"p-{number}"), ANSWERED)
        assert ApplyLicensing(store, WITHOUT_WAITING)([event]) == [Accepted(None)]
    assert piece(store).looked_at == 1_200
    (left,) = store.waiting(ORGANIZATION)
    assert (left.after, left.steps) == (None, 1)


@dataclass
class Counting:
    """Counts how often the lists of calls are gone through."""

    calls: Calls
    passes: int = 0

    def lists(
        self, organization_id: str, *, since: datetime, after: str | None = None
    ) -> Iterator[CallList]:
        self.passes += 1
        return self.calls.lists(organization_id, since=since, after=after)

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        return self.calls.dial_outs(organization_id, since=since)

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        return self.calls.usages(organization_id, call_ids)

    def usages_by_id(self, organization_id: str, call_ids: Collection[str]) -> Mapping[str, Usage]:
        return self.calls.usages_by_id(organization_id, call_ids)


def subscribed(calls: int, licenses: int = 5) -> InMemoryStore:
    """Calls of a subscriber, all of which the pool bears; then fewer licenses, since yesterday."""
    store = world(
        calls,
        fact(license_attribute("SPE_E5"), value=True, event_id="s-1"),
        fact("purchased:SPE_E5", 100, LONG_AGO, "s-2"),
    )
    apply(store, fact("purchased:SPE_E5", licenses, BEFORE, "late"))
    return store


def charge_one(store: InMemoryStore, call_id: str, ended_at: datetime) -> None:
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    one = ended(call_id=call_id, ended_at=ended_at)
    assert isinstance(charging([one])[0], Accepted)


class Busy(Counting):
    """Has a call charged each time that somebody has read the dial-outs, the first few times."""

    reads = 0
    times: int
    store: InMemoryStore
    at: datetime

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        yield from list(self.calls.dial_outs(organization_id, since=since))
        self.reads += 1
        if self.reads <= self.times:
            charge_one(self.store, f"busy-{self.reads:04d}", self.at)


@pytest.mark.parametrize(
    ("seconds", "times", "reads"),
    [
        # Later than all: each step is made at the first reading, until it comes to these calls.
        (3_600, 20, 23),
        # Among those just read: they are read again, as long as there are more of them.
        (541 + 30, 20, 39),
        # One that comes to draw beyond the first step is not missed by the later ones.
        (541 + 30, 1, 3),
    ],
)
def test_a_pool_settles_however_busy_its_organization_is(
    seconds: int, times: int, reads: int
) -> None:
    store = subscribed(400, licenses=40)
    busy = Busy(InMemoryCalls(store))
    busy.store, busy.at, busy.times = store, ANSWERED + timedelta(seconds=seconds), times
    while store.waiting(ORGANIZATION) or store.unsettled_months(ORGANIZATION):
        piece(store, busy)
    assert busy.reads <= reads
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 2_400
    in_order = sorted(store.usages.values(), key=lambda u: (u.call.ended_at, u.call.call_id))
    drawn, left = [], 2_400
    for usage in in_order:
        drawn.append(min(left, minutes_wanted(usage.call)))
        left -= drawn[-1]
    assert [usage.pool_minutes for usage in in_order] == drawn
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_the_calls_of_a_day_are_read_once_if_nobody_draws_meanwhile() -> None:
    store = subscribed(400)
    quiet = Quiet(InMemoryCalls(store))
    while store.waiting(ORGANIZATION) or store.unsettled_months(ORGANIZATION):
        piece(store, quiet)
    # Once the day's calls, and once that there are no more.
    assert quiet.reads == 2
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 300
    assert reconcile(store.statement(ORGANIZATION)) == ()


class Quiet(Counting):
    """Counts how often somebody reads the dial-outs."""

    reads = 0

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        self.reads += 1
        return self.calls.dial_outs(organization_id, since=since)


class Racing(Counting):
    """Has another worker go on with the same pool each time that one has read the dial-outs."""

    store: InMemoryStore
    reads = 0

    def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
        yield from list(self.calls.dial_outs(organization_id, since=since))
        self.reads += 1
        if self.reads % 3 == 1:
            ticks = count()
            one_step = Deadline(1, clock=lambda: next(ticks))
            recorded = recorded_calls(self.store, InMemoryCalls(self.store))
            settle_pool(recorded, ORGANIZATION, NOVEMBER, ReratingProgress(), one_step)


def test_two_that_settle_one_pool_do_not_keep_each_other_from_it() -> None:
    store = subscribed(400)
    racing = Racing(InMemoryCalls(store))
    racing.store = store
    before = store.account(ORGANIZATION).version
    while store.waiting(ORGANIZATION) or store.unsettled_months(ORGANIZATION):
        piece(store, racing)
    steps = -(-400 // CALLS_PER_TRANSACTION) + 1
    assert store.account(ORGANIZATION).version - before == steps + 1
    assert racing.reads <= 2 * steps
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 300
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_a_call_that_begins_to_draw_after_the_pool_was_read_gets_what_is_its_own() -> None:
    """Bob's call was not covered when it was read; the news that it is comes before the step."""
    store = world(
        3,
        fact(license_attribute("SPE_E5"), value=True, event_id="s-1"),
        fact("purchased:SPE_E5", 100, LONG_AGO, "s-2"),
    )
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    bobs = ended(call_id="bob", organizer_id="bob", ended_at=ANSWERED + timedelta(seconds=1))

    class Late(Counting):
        def dial_outs(self, organization_id: str, *, since: datetime) -> Iterator[CallList]:
            yield from list(self.calls.dial_outs(organization_id, since=since))
            if self.passes < 10:
                self.passes = 10
                assert isinstance(charging([bobs])[0], Accepted)
                held = fact(license_attribute("SPE_E5"), value=True, event_id="b")
                change = LicensingChange(ORGANIZATION, "bob", (held,))
                event = LicensingEvent(change, processed_event("b"), ANSWERED)
                assert ApplyLicensing(store, WITHOUT_WAITING)([event]) == [Accepted(None)]
                again = recorded_calls(store, InMemoryCalls(store))
                (waiting,) = store.waiting(ORGANIZATION)
                assert RerateCalls(again, store)._piece(waiting, ReratingProgress(), NEVER)  # noqa: SLF001

    apply(store, fact("purchased:SPE_E5", 50, BEFORE, "late"))
    late = Late(InMemoryCalls(store))
    while store.waiting(ORGANIZATION) or store.unsettled_months(ORGANIZATION):
        piece(store, late)
    assert late.passes >= 10
    assert store.usages[ORGANIZATION, "bob"].outcome is Outcome.POOLED
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_a_pool_for_which_no_time_was_left_comes_again() -> None:
    """Nothing was written, so no record would bring it back."""
    store = subscribed(10)
    clock = iter([0, 0, 0, *[9] * 100])
    (result,) = rerating(store)(
        [ReratingRequest(ORGANIZATION)], Deadline(5, clock=lambda: next(clock))
    )
    assert list(store.waiting(ORGANIZATION)) == []
    assert isinstance(result, Unavailable)
    assert store.unsettled_months(ORGANIZATION)


def test_time_that_runs_out_while_a_pool_is_settled_ends_the_piece_after_a_step() -> None:
    store = subscribed(400)
    clock = iter([0, 0, 0, 0, *[9] * 100])
    (result,) = rerating(store)(
        [ReratingRequest(ORGANIZATION)], Deadline(5, clock=lambda: next(clock))
    )
    assert isinstance(result, Accepted)
    assert result.result.looked_at == CALLS_PER_TRANSACTION
    assert store.unsettled_months(ORGANIZATION)


def test_a_listed_call_without_a_record_is_said_and_comes_again() -> None:
    store = world(3)
    apply(store, LOST)

    class Lossy(Counting):
        def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
            return list(super().usages(organization_id, call_ids))[1:]

    (result,) = rerating(store, Lossy(InMemoryCalls(store)))([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Unavailable)
    assert "call call-00000 of contoso is listed, but has no usage record" in str(result)


def test_one_organizations_trouble_is_not_anothers() -> None:
    store = world(3)
    apply(store, LOST)

    class Broken(Counting):
        def lists(
            self,
            organization_id: str,
            *,
            since: datetime,  # noqa: ARG002 - the port's
            after: str | None = None,  # noqa: ARG002 - the port's
        ) -> Iterator[CallList]:
            raise Unavailable(f"the lists of {organization_id} cannot be read")

    results = rerating(store, Broken(InMemoryCalls(store)))(
        [ReratingRequest(ORGANIZATION), ReratingRequest("fabrikam")]
    )
    assert [type(result) for result in results] == [Unavailable, Accepted]


def test_calls_fit_one_transaction_if_they_ended_within_32_days() -> None:
    first = ListedCall("a", "adele", dial_out=True, answered_at=ANSWERED, ended_at=ANSWERED)
    last = first._replace(ended_at=ANSWERED + timedelta(days=MAX_REVISED_DAYS))
    assert fit_one_transaction([last, first] * (CALLS_PER_TRANSACTION // 2))
    assert not fit_one_transaction([last, first, last] * CALLS_PER_TRANSACTION)
    after = last._replace(ended_at=last.ended_at + timedelta(microseconds=1))
    assert not fit_one_transaction([first, after])


def test_the_nightly_run_wakes_whoever_still_has_something_waiting() -> None:
    """All that told of it may have been lost: the record's own message, and those of each step."""
    store, rerating_requests = InMemoryStore(), InMemoryReratingQueue()
    store.reratings["has-rerating", "event#e"] = Rerating(
        organization_id="has-rerating", rerating_id="event#e", at=ANSWERED
    )
    pool = MinutePool(organization_id="has-unsettled", month=NOVEMBER)
    store.minute_pools["has-unsettled", NOVEMBER] = pool.unsettled_from(
        DrawPosition.start_of(ANSWERED.date())
    )
    store.minute_pools["settled", NOVEMBER] = pool._replace(organization_id="settled")
    assert QueueMissed(store, rerating_requests)() == 2
    assert rerating_requests.sent == ["has-rerating", "has-unsettled"]


def test_waking_names_each_organization_once_and_keeps_what_cannot_be_read() -> None:
    rerating_requests, rejections = InMemoryReratingQueue(), StoredRejections()
    strange = Rejection("e-1", "why", "body")
    records: list[Waiting | Rejection] = [
        Waiting("a"),
        strange,
        Waiting("b", ANSWERED),
        Waiting("a"),
        Waiting("b"),
    ]
    assert QueueReratings(rerating_requests, rejections)(records) == 2
    assert (rerating_requests.sent, rejections.stored) == (["a", "b"], [strange])
    assert rerating_requests.later == [("b", ANSWERED + timedelta(minutes=15))]


def test_a_late_call_has_only_days_gone_over_on_which_something_can_change() -> None:
    """Its own, and the one on which the pool was used up: those between have what they wanted."""
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    for number, one in enumerate(
        (
            fact("purchased:MCOMEETADV", 1),
            fact("poolMinutesPerLicense", 100),
            fact(license_attribute("MCOMEETADV"), value=True),
        )
    ):
        apply(store, one, f"said-{number}")
    BookCredit(store, WITHOUT_WAITING)([purchase(amount=1_000)])
    store.reratings.clear()
    calls = CountedUsages(store)
    again = recorded_calls(store, calls)
    charging = ChargeCalls(store, calls, again.licensing, again.rate_cards, WITHOUT_WAITING, 0)

    def call(name: str, until: datetime) -> EndedCall:
        return ended(call_id=name, answered_at=until - timedelta(minutes=1), ended_at=until)

    first = datetime(2026, 11, 1, 9, tzinfo=UTC)
    ended_calls = [call(f"call-{n:03}", first + timedelta(hours=4 * n)) for n in range(150)]
    assert all(isinstance(one, Accepted) for one in charging(ended_calls))
    assert isinstance(charging([call("late", first + timedelta(days=2))])[0], Accepted)
    calls.read = 0
    (result,) = RerateCalls(again, store)([ReratingRequest(ORGANIZATION)])
    assert isinstance(result, Accepted)
    assert store.unsettled_months(ORGANIZATION) == []
    assert [one.call.call_id for one in result.result.rerated] == ["late", "call-099"]
    # Six calls a day, and at the end all of a step.
    assert calls.read <= 2 * 6 + 1


@dataclass
class CountedUsages(InMemoryCalls):
    """Counts the usages that are read."""

    read: int = 0

    def usages(self, organization_id: str, call_ids: Collection[str]) -> Sequence[Usage]:
        self.read += len(call_ids)
        return super().usages(organization_id, call_ids)


def test_the_slowness_of_one_organization_takes_no_time_of_the_others() -> None:
    """Their messages would fail for it, and be given up after ten of these failures."""
    store = InMemoryStore()
    now = 0.0
    asked: dict[str, list[float]] = {}

    class Slow(InMemoryStore):
        def waiting(self, organization_id: str) -> Sequence[Rerating]:
            nonlocal now
            asked.setdefault(organization_id, []).append(now)
            now += 30 if organization_id == "slow" else 1
            if organization_id != "slow":
                return ()
            one = Rerating(organization_id="slow", rerating_id=f"r-{now}", at=ANSWERED)
            self.reratings["slow", one.rerating_id] = one
            return [one]

    slow = Slow()
    rerating_requests = [ReratingRequest(name) for name in ("slow", "a", "b")]
    deadline = Deadline(80, clock=lambda: now)
    results = RerateCalls(recorded_calls(store, InMemoryCalls(store)), slow)(
        rerating_requests, deadline
    )
    assert [type(result) for result in results] == [Accepted] * 3
    assert set(asked) == {"slow", "a", "b"}


def test_time_is_shared_equally_and_what_is_left_goes_to_the_next() -> None:
    now = 10.0
    deadline = Deadline(40, clock=lambda: now)
    assert deadline.share(3).at == 20
    now = 12.0
    assert deadline.share(2).at == 26
    now = 50.0
    assert deadline.share(1) is deadline
    assert deadline.share(2).passed
    assert not NEVER.share(2).passed


def test_a_piece_that_has_no_time_left_leaves_pools_to_the_next() -> None:
    """It has written how far it came, so the next is on its way: to fail would gain nothing."""
    store = world(CALLS_PER_PIECE // 10, fact("license:MCOMEETACPEA", value=True))
    apply(store, fact("license:MCOMEETACPEA", value=False, since=BEFORE))
    pool = MinutePool(organization_id=ORGANIZATION, month=NOVEMBER)
    store.minute_pools[ORGANIZATION, NOVEMBER] = pool.unsettled_from(DrawPosition(ANSWERED, "a"))
    times = iter(range(1_000))
    deadline = Deadline(6, clock=lambda: next(times))
    (result,) = rerating(store)([ReratingRequest(ORGANIZATION)], deadline)
    assert isinstance(result, Accepted), result
    assert store.waiting(ORGANIZATION)
    assert store.unsettled_months(ORGANIZATION)
