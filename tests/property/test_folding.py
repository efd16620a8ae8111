"""A timeline of any length gives the results of all facts that were ever said, in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import TYPE_CHECKING

from builders import ORGANIZATION, WITHOUT_WAITING, fact, phone_call, processed_event, volume
from hypothesis import given, settings
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryStore
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.results import Accepted
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import Licensing, LicensingChange, Seats
from perminute.domain.licensing.timelines import RERATING_HORIZON, Fact, Timeline, fold
from perminute.domain.reference.licenses import product_named

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.licensing.licensing import Entitlement

HORIZON = datetime(2026, 1, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FIRST = datetime(2021, 1, 1, tzinfo=UTC)
LICENSE = license_attribute(product_named("subscription"))
CREDITS = license_attribute(product_named("communicationsCredits"))

days = st.integers(-3, 1).map(lambda n: HORIZON + n * DAY)
facts = st.builds(
    Fact,
    attribute=st.sampled_from([LICENSE, LICENSE, "poolMinutesUsed"]),
    value=st.booleans(),
    effective_at=days,
    issued_at=days,
    event_id=st.sampled_from(["1", "2"]),
)


@st.composite
def copies(draw: st.DrawFn) -> list[Fact]:
    """Facts of an event that has a `changeId`, and of copies that say another time of issue."""
    of_event = replace(draw(facts), has_change_id=True)
    issued = draw(st.sets(days, min_size=1, max_size=3))
    return [replace(of_event, issued_at=issued_at) for issued_at in sorted(issued)]


@st.composite
def statements(draw: st.DrawFn) -> list[Fact]:
    # An event says one thing of an attribute.
    single = draw(st.lists(facts, max_size=12, unique_by=lambda one: (one.attribute, one.order)))
    of_events = draw(
        st.lists(copies(), max_size=3, unique_by=lambda all_: (all_[0].attribute, all_[0].event_id))
    )
    return draw(st.permutations([*single, *chain.from_iterable(of_events)]))


@given(statements(), st.integers(0, 18), st.data())
def test_whatever_goes_of_what_may_go_no_value_changes_at_any_instant(
    said: list[Fact], heard: int, data: st.DataObject
) -> None:
    known, later = said[:heard], said[heard:]
    may_go = sorted(set(known) - fold(known, HORIZON), key=str)
    gone = data.draw(st.sets(st.sampled_from(may_go))) if may_go else set()
    all_of_them = [*known, *(one for one in later if one.effective_at >= HORIZON)]
    whole, rest = Timeline(all_of_them), Timeline(set(all_of_them) - gone)
    for day in range(-4, 3):
        at = HORIZON + day * DAY
        assert rest.value_at(LICENSE, at) == whole.value_at(LICENSE, at)
        assert _said_of(rest, at) == _said_of(whole, at)


def _said_of(timeline: Timeline, at: datetime) -> object:
    """What holds for one instant only, as the minutes used of a month do."""
    return dict(timeline.changes_of("poolMinutesUsed")).get(at)


def _event(stated: Fact, heard_at: datetime) -> LicensingEvent:
    change = LicensingChange(ORGANIZATION, "adele", (stated,))
    return LicensingEvent(change, processed_event(stated.event_id), heard_at)


def _synchronized(nights: int, drawn: Random) -> list[LicensingEvent]:
    """Each night says once more what is held; and licenses are gone for days in between.

    What is gone is learned of up to a year later.
    """
    events = []
    for night in range(nights):
        for attribute in (LICENSE, CREDITS):
            at = FIRST + night * DAY
            nightly = fact(attribute, value=True, since=at, event_id=f"{night}-{attribute}")
            events.append(_event(nightly, at + drawn.randrange(48) * HOUR))
        if drawn.randrange(10) == 0:
            at = FIRST + night * DAY + drawn.randrange(24) * HOUR
            gone = fact(LICENSE, value=False, since=at, event_id=f"{night}-gone")
            events.append(_event(gone, at + drawn.randrange(RERATING_HORIZON.days) * DAY))
    return events


def _store_of(events: Sequence[LicensingEvent], max_facts: int) -> InMemoryStore:
    store = InMemoryStore(max_facts=max_facts)
    apply = ApplyLicensing(store, WITHOUT_WAITING)
    for start in range(0, len(events), 7):
        some = events[start : start + 7]
        assert apply(some) == [Accepted(None)] * len(some)
    return store


def _verdicts(licensing: Licensing, nights: int) -> list[Entitlement]:
    return [
        licensing.entitlement(
            phone_call(answered_at=at, ended_at=at + HOUR, organizer_id="adele"), FIRST, "DE"
        )
        for at in (FIRST + night * DAY + 6 * HOUR for night in range(-1, nights + 1))
    ]


def _expected(events: Sequence[LicensingEvent]) -> Licensing:
    user = Timeline(one for event in events for one in event.change.facts)
    return Licensing(volume(), {"adele": user}, Seats([user]))


def _assert_judges_alike(store: InMemoryStore, events: Sequence[LicensingEvent]) -> None:
    nights, expected = len(events) // 2, _expected(events)
    licensing = store.licensing(ORGANIZATION, ["adele"])
    assert _verdicts(licensing, nights) == _verdicts(expected, nights)
    seats = store.seats(store.account(ORGANIZATION))
    at = [FIRST + hours * 12 * HOUR for hours in range(2 * nights)]
    assert list(map(seats.count_at, at)) == list(map(expected.seats.count_at, at))


@settings(max_examples=4)
@given(st.integers(0, 10**6))
def test_years_of_nights_and_late_removals_judge_calls_as_if_nothing_were_folded(
    seed: int,
) -> None:
    events = _synchronized(1_000, Random(seed))
    assert len(events) > 2_000
    events.sort(key=lambda event: event.heard_at)
    store = _store_of(events, max_facts=100)
    known = store.licensing(ORGANIZATION, ["adele"]).users["adele"].facts
    # About half of them are gone; of 230 histories one had kept 1,438 of 2,100.
    assert len(known) < len(events) * 4 // 5
    assert store.account(ORGANIZATION).user_facts == len(known)
    _assert_judges_alike(store, events)


@settings(max_examples=4)
@given(st.integers(0, 10**6))
def test_within_the_horizon_any_shuffle_of_two_thousand_facts_judges_alike(seed: int) -> None:
    drawn = Random(seed)
    nightly = [
        fact(attribute, value=True, since=FIRST + n * 9 * HOUR, event_id=f"{n}-{attribute}")
        for n in range(950)
        for attribute in (LICENSE, CREDITS)
    ]
    gone = [
        fact(LICENSE, value=False, since=FIRST + drawn.randrange(950 * 9) * HOUR, event_id=f"-{n}")
        for n in range(100)
    ]
    heard_at = FIRST + 399 * DAY
    events = [_event(one, heard_at) for one in (*nightly, *gone)]
    drawn.shuffle(events)
    store = _store_of(events, max_facts=100)
    assert store.account(ORGANIZATION).user_facts == 2_000
    _assert_judges_alike(store, events)
