"""Batch splitting, order and duplication never change what an organization pays."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    ENDED,
    ORGANIZATION,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.licensing import LicensingChange

if TYPE_CHECKING:
    from perminute.application.charge_calls import EndedCall
    from perminute.domain.rating.usage_record import Outcome

ORGANIZATIONS = (ORGANIZATION, "fabrikam")
NUMBERS = ("+493023125042", "+442079460100", "+449098790100", "+881612345678")

calls = st.lists(
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
    unique_by=lambda one: one.call.call_id,
)


def funded() -> InMemoryStore:
    store = InMemoryStore()
    for organization_id in ORGANIZATIONS:
        store.record(organization_id, entitled_changes(organization_id))
        bought = processed_event("po", kind=IdentityKind.PURCHASE, organization_id=organization_id)
        BookCredit(store, WITHOUT_WAITING)(
            [purchase(organization_id=organization_id, processed_event=bought)]
        )
    return store


def charge(deliveries: list[list[EndedCall]]) -> InMemoryStore:
    store = funded()
    charging = ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
    )
    for batch in deliveries:
        charging(batch)
    return store


def outcomes(store: InMemoryStore) -> dict[tuple[str, str], tuple[Outcome, int]]:
    return {key: (usage.outcome, usage.charge_micros) for key, usage in store.usages.items()}


@given(calls, st.data())
def test_splitting_order_and_duplication_never_change_balances_or_outcomes(
    ended_calls: list[EndedCall], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(ended_calls), max_size=20))
    shuffled: list[EndedCall] = data.draw(st.permutations([*ended_calls, *again]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(shuffled)), max_size=6)))
    bounds = [0, *cuts, len(shuffled)]
    disturbed = charge([shuffled[start:end] for start, end in pairwise(bounds)])
    plain = charge([ended_calls])
    assert outcomes(disturbed) == outcomes(plain)
    for organization_id in ORGANIZATIONS:
        account = disturbed.account(organization_id)
        assert account.balance_micros == plain.account(organization_id).balance_micros


@given(calls)
def test_the_balance_is_the_sum_of_the_ledger_and_each_entry_the_sum_of_its_calls(
    ended_calls: list[EndedCall],
) -> None:
    store = charge([ended_calls[:7], ended_calls[7:], ended_calls[:3]])
    for organization_id in ORGANIZATIONS:
        entries = [e for e in store.entries if e.organization_id == organization_id]
        balance = store.account(organization_id).balance_micros
        assert balance == sum(entry.amount_micros for entry in entries)
        assert balance == entries[-1].balance_after_micros
        for entry in entries[1:]:
            paid = [u for u in store.usages.values() if u.entry_id == entry.entry_id]
            ours = [u for u in paid if u.call.organization_id == organization_id]
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
        BookCredit(store, WITHOUT_WAITING)([purchase()])
        ApplyLicensing(store, WITHOUT_WAITING)(order)
        charging = ChargeCalls(
            store,
            InMemoryCalls(store),
            LicensingCache(store),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )
        (result,) = charging([ended(answered_at=ANSWERED, ended_at=ENDED)])
        assert isinstance(result, Accepted)
        results.append((result.result.outcome, result.result.reason))
    assert results[0] == results[1]


def _event(number: int, change: tuple[str, bool], hours: int) -> LicensingEvent:
    attribute, held = change
    since = ANSWERED + timedelta(hours=hours)
    facts = (fact(attribute, held, since, f"e-{number}"),)
    content = {"event": f"{number}"}
    change_ = LicensingChange(ORGANIZATION, "adele", facts)
    return LicensingEvent(change_, processed_event(f"e-{number}", content=content), ANSWERED)
