"""Batch splitting, order and duplication never change what an organization pays."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    ENDED,
    IMPATIENT,
    ORGANIZATION,
    card,
    ended,
    entitled_changes,
    fact,
    purchase,
    receipt,
)
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_legs import ChargeLegs
from perminute.application.remembered_licensing import RememberedLicensing
from perminute.application.verdicts import Accepted
from perminute.domain.licensing import LicensingChange
from perminute.ports import ReceiptKind

if TYPE_CHECKING:
    from perminute.application.charge_legs import EndedLeg
    from perminute.domain.usage import Outcome

ORGANIZATIONS = (ORGANIZATION, "fabrikam")
NUMBERS = ("+493023125042", "+442079460100", "+449098790100", "+881612345678")

legs = st.lists(
    st.builds(
        ended,
        organization_id=st.sampled_from(ORGANIZATIONS),
        call_id=st.uuids().map(str),
        organizer_id=st.sampled_from(["adele", "nobody"]),
        remote_number=st.sampled_from(NUMBERS),
        answered_at=st.sampled_from([ANSWERED, None]),
        ended_at=st.integers(0, 7_200).map(lambda s: ANSWERED + timedelta(seconds=s)),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda one: one.leg.call_id,
)


def funded() -> InMemoryStore:
    store = InMemoryStore()
    for organization_id in ORGANIZATIONS:
        store.record(organization_id, entitled_changes(organization_id))
        bought = receipt("po", kind=ReceiptKind.PURCHASE, organization_id=organization_id)
        BookCredit(store, IMPATIENT)([purchase(organization_id=organization_id, receipt=bought)])
    return store


def charge(deliveries: list[list[EndedLeg]]) -> InMemoryStore:
    store = funded()
    charging = ChargeLegs(
        store,
        InMemoryCalls(store),
        RememberedLicensing(store),
        PublishedRateCards(card()),
        IMPATIENT,
    )
    for batch in deliveries:
        charging(batch)
    return store


def outcomes(store: InMemoryStore) -> dict[tuple[str, str], tuple[Outcome, int]]:
    return {key: (usage.outcome, usage.charge_micros) for key, usage in store.usages.items()}


@given(legs, st.data())
def test_splitting_order_and_duplication_never_change_balances_or_outcomes(
    ended_legs: list[EndedLeg], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(ended_legs), max_size=20))
    shuffled: list[EndedLeg] = data.draw(st.permutations([*ended_legs, *again]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(shuffled)), max_size=6)))
    bounds = [0, *cuts, len(shuffled)]
    disturbed = charge([shuffled[start:end] for start, end in pairwise(bounds)])
    plain = charge([ended_legs])
    assert outcomes(disturbed) == outcomes(plain)
    for organization_id in ORGANIZATIONS:
        account = disturbed.account(organization_id)
        assert account.balance_micros == plain.account(organization_id).balance_micros


@given(legs)
def test_the_balance_is_the_sum_of_the_ledger_and_each_entry_the_sum_of_its_calls(
    ended_legs: list[EndedLeg],
) -> None:
    store = charge([ended_legs[:7], ended_legs[7:], ended_legs[:3]])
    for organization_id in ORGANIZATIONS:
        entries = [e for e in store.entries if e.organization_id == organization_id]
        balance = store.account(organization_id).balance_micros
        assert balance == sum(entry.amount_micros for entry in entries)
        assert balance == entries[-1].balance_after_micros
        for entry in entries[1:]:
            paid = [u for u in store.usages.values() if u.entry_id == entry.entry_id]
            ours = [u for u in paid if u.leg.organization_id == organization_id]
            assert entry.amount_micros == -sum(usage.charge_micros for usage in ours)


changes = st.lists(
    st.tuples(
        st.sampled_from([("license:MCOMEETACPEA", True), ("license:MCOMEETACPEA", False)]),
        st.integers(-3, 3),
    ),
    max_size=8,
)


@given(changes, st.data())
def test_licensing_events_in_any_order_and_twice_leave_the_same_state(
    history: list[tuple[tuple[str, bool], int]], data: st.DataObject
) -> None:
    events = [_event(number, *one) for number, one in enumerate(history)]
    shuffled: list[LicensingEvent] = data.draw(st.permutations([*events, *events[:3]]))
    results: list[Any] = []
    for order in (events, shuffled):
        store = InMemoryStore()
        store.record(ORGANIZATION, entitled_changes())
        BookCredit(store, IMPATIENT)([purchase()])
        ApplyLicensing(store, IMPATIENT)(order)
        charging = ChargeLegs(
            store,
            InMemoryCalls(store),
            RememberedLicensing(store),
            PublishedRateCards(card()),
            IMPATIENT,
        )
        (verdict,) = charging([ended(answered_at=ANSWERED, ended_at=ENDED)])
        assert isinstance(verdict, Accepted)
        results.append((verdict.result.outcome, verdict.result.reason))
    assert results[0] == results[1]


def _event(number: int, change: tuple[str, bool], hours: int) -> LicensingEvent:
    attribute, held = change
    since = ANSWERED + timedelta(hours=hours)
    facts = (fact(attribute, held, since, f"e-{number}"),)
    content = {"event": f"{number}"}
    change_ = LicensingChange(ORGANIZATION, "adele", facts)
    return LicensingEvent(change_, receipt(f"e-{number}", content=content), ANSWERED)
