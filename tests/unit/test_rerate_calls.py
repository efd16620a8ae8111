"""Thousands of calls are worked off piece by piece, and a piece that breaks off does no harm."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    IMPATIENT,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    card,
    ended,
    entitled_changes,
    fact,
    purchase,
    receipt,
)

from perminute.adapters.memory import FixedRateCard, InMemoryCalls, InMemoryStore, KeptRejections
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_legs import ChargeLegs
from perminute.application.patience import Deadline
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.application.rerate_calls import CALLS_PER_POSTING, MAX_LOOKED_AT, RerateCalls
from perminute.application.verdicts import Accepted
from perminute.domain.errors import Unavailable
from perminute.domain.ledger import EntryType
from perminute.domain.licensing import LicensingChange, license_attribute
from perminute.domain.pools import Month
from perminute.domain.reconciliation import reconcile
from perminute.domain.usage import Outcome
from perminute.ports import Unsettled, Waiting

if TYPE_CHECKING:
    from perminute.domain.timelines import Fact
    from perminute.ports import Calls, CommitResult, Posting, Work

CALLS = 2_500
PAID = 150_000
NOVEMBER = Month(2026, 11)
BEFORE = ANSWERED - timedelta(days=1)
LATE = Waiting(ORGANIZATION, "event#late")
POOL = Unsettled(ORGANIZATION, NOVEMBER)


def world(calls: int = CALLS, *said: Fact) -> InMemoryStore:
    """An organization whose organizer has had so many calls, one each second."""
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    for number, one in enumerate(said):
        apply(store, one, f"said-{number}")
    BookCredit(store, IMPATIENT)([purchase(amount=1_000)])
    charging = ChargeLegs(store, RememberedLicensing(store), FixedRateCard(card()), IMPATIENT)
    legs = [
        ended(call_id=f"call-{n:05d}", ended_at=ANSWERED + timedelta(seconds=541 + n % 60))
        for n in range(calls)
    ]
    assert all(isinstance(one, Accepted) for one in charging(legs))
    store.waiting.clear()
    return store


def apply(store: InMemoryStore, one: Fact, name: str = "late") -> None:
    subject = "adele" if one.attribute.startswith("license:") else None
    change = LicensingChange(ORGANIZATION, subject, (one,))
    event = LicensingEvent(change, receipt(name), ANSWERED)
    assert ApplyLicensing(store, IMPATIENT)([event]) == [Accepted(None)]


def rerating(store: InMemoryStore, calls: Calls | None = None) -> RerateCalls:
    return RerateCalls(
        credit=store,
        calls=calls or InMemoryCalls(store),
        reratings=store,
        licensing=RememberedLicensing(store),
        rate_cards=FixedRateCard(card()),
        rejections=KeptRejections(),
        patience=IMPATIENT,
    )


LOST = fact(license_attribute("MCOMEETACPEA"), value=False, since=BEFORE, event_id="late")


def test_thousands_of_calls_are_rated_anew_in_bounded_pieces() -> None:
    store = world()
    apply(store, LOST)
    pieces = []
    while LATE in store.waiting:
        progress = rerating(store)([LATE])
        assert progress.failed_at is None
        pieces.append(len(progress.rerated))
    assert sum(pieces) == CALLS
    assert max(pieces) <= MAX_LOOKED_AT + CALLS_PER_POSTING
    assert len(pieces) == 3
    adjustments = [e for e in store.entries if e.type is EntryType.ADJUSTMENT]
    named = Counter(u.adjustments[0].entry_id for u in store.usages.values())
    assert set(named) == {entry.entry_id for entry in adjustments}
    assert max(named.values()) == CALLS_PER_POSTING
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
    pieces = []
    work: list[Work] = [LATE]
    while work:
        progress = rerating(store)(work)
        assert progress.failed_at is None
        pieces.append(progress.looked_at)
        unsettled = store.minute_pools[ORGANIZATION, NOVEMBER].unsettled
        work = [POOL] if unsettled else []
    assert sum(pieces) == CALLS
    assert max(pieces) <= MAX_LOOKED_AT + CALLS_PER_POSTING
    # Ten minutes each, in the order in which they ended.
    pooled = {u.leg.call_id for u in store.usages.values() if u.outcome is Outcome.POOLED}
    in_order = sorted(store.usages.values(), key=lambda u: (u.leg.ended_at, u.leg.call_id))
    assert pooled == {usage.leg.call_id for usage in in_order[:300]}
    assert store.minute_pools[ORGANIZATION, NOVEMBER].used == 3_000
    assert reconcile(store.statement(ORGANIZATION)) == ()


class Breaking(InMemoryStore):
    """A store that fails at its n-th commit, before it or after it."""

    breaks_at = 0
    committed = 0
    after = False

    def commit(self, posting: Posting) -> CommitResult:
        self.committed += 1
        breaks = self.committed == self.breaks_at
        if breaks and not self.after:
            raise Unavailable("crashed before the commit")
        result = super().commit(posting)
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
    progress = rerating(store)([LATE])
    assert (progress.failed_at, LATE in store.waiting) == (0, True)
    while LATE in store.waiting:
        assert rerating(store)([LATE]).failed_at is None
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}
    assert all(len(u.adjustments) == 1 for u in store.usages.values())
    assert store.account(ORGANIZATION).balance_micros == 1_000 * MICROS
    assert reconcile(store.statement(ORGANIZATION)) == ()


def test_what_is_left_without_time_comes_again() -> None:
    store = world(10)
    apply(store, LOST)
    progress = rerating(store)([LATE], Deadline(0, clock=lambda: 1))
    assert (progress.failed_at, progress.rerated) == (0, [])
    assert "no time was left" in progress.why


def test_calls_of_others_and_from_before_are_not_looked_at() -> None:
    store = world(10)
    charging = ChargeLegs(store, RememberedLicensing(store), FixedRateCard(card()), IMPATIENT)
    before = BEFORE - timedelta(seconds=1)
    charging(
        [
            ended(call_id="others", organizer_id="bob"),
            ended(call_id="before", answered_at=before, ended_at=BEFORE + timedelta(hours=1)),
        ]
    )
    apply(store, LOST)
    progress = rerating(store)([LATE, LATE])
    assert progress.looked_at == 10
    assert {usage.leg.call_id for usage in progress.rerated} == {f"call-{n:05d}" for n in range(10)}


def test_a_change_that_takes_effect_later_looks_at_no_call() -> None:
    store = world(10)
    apply(
        store,
        fact(license_attribute("MCOMEETACPEA"), value=False, since=ANSWERED.replace(year=2027)),
    )
    assert rerating(store)([LATE]).looked_at == 0
    assert LATE not in store.waiting


def test_credit_that_turns_out_to_have_been_set_up_earlier_pays_the_calls_since() -> None:
    store = InMemoryStore()
    store.record(ORGANIZATION, entitled_changes())
    charging = ChargeLegs(store, RememberedLicensing(store), FixedRateCard(card()), IMPATIENT)
    early = ANSWERED - timedelta(hours=1)
    charging([ended(call_id="a"), ended(call_id="b", answered_at=early)])
    assert {u.outcome for u in store.usages.values()} == {Outcome.NOT_ENTITLED}
    BookCredit(store, IMPATIENT)([purchase(purchased_at=ANSWERED)])
    assert rerating(store)([Waiting(ORGANIZATION, "purchase#po-1")]).failed_at is None
    outcomes = {call: usage.outcome for (_, call), usage in store.usages.items()}
    assert outcomes == {"a": Outcome.CHARGED, "b": Outcome.NOT_ENTITLED}
    assert store.account(ORGANIZATION).balance_micros == 50 * MICROS - PAID
    BookCredit(store, IMPATIENT)([purchase("po-2", purchased_at=LONG_AGO)])
    rerating(store)([Waiting(ORGANIZATION, "purchase#po-2")])
    assert {u.outcome for u in store.usages.values()} == {Outcome.CHARGED}
    BookCredit(store, IMPATIENT)([purchase("po-3", purchased_at=ANSWERED)])
    assert list(store.waiting) == []
