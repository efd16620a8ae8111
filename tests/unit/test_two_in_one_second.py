"""Events of one second, or of one decision: how the use cases take them in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    WITHOUT_WAITING,
    fact,
    processed_event,
    purchase,
)

from perminute.adapters.memory import InMemoryStore
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit, CreditEvent
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import Deadline
from perminute.domain.credit.booking import Adjustment
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.licensing.licensing import Licensing, LicensingChange
from perminute.domain.licensing.timelines import Tie
from perminute.domain.notifications.notifications import RechargeRequested
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event

if TYPE_CHECKING:
    from collections.abc import Collection

    from perminute.domain.licensing.attributes import FactValue

SECOND = timedelta(seconds=1)
LICENSE = "license:MCOMEETACPEA"


@dataclass
class Reported:
    """Remembers what was reported."""

    found: list[Collection[Tie] | Unavailable] = field(default_factory=list)

    def __call__(self, organization_id: str, found: Collection[Tie] | Unavailable) -> None:
        assert organization_id == ORGANIZATION
        self.found.append(found)

    @property
    def ties(self) -> set[Tie]:
        return {tie for found in self.found if not isinstance(found, Unavailable) for tie in found}


def says(
    identity: str,
    value: FactValue,
    *,
    attribute: str = LICENSE,
    user: str | None = "adele",
    later: int = 0,
) -> LicensingEvent:
    stated = replace(
        fact(attribute, value, event_id=identity), issued_at=LONG_AGO + later * SECOND / 1_000
    )
    change = LicensingChange(ORGANIZATION, user, (stated,))
    return LicensingEvent(change, processed_event(identity), ANSWERED)


def tie(holds: str, yields: str, *, what: str = LICENSE, user: str | None = "adele") -> Tie:
    return Tie(
        organization_id=ORGANIZATION,
        user_id=user,
        what=what,
        issued_at=LONG_AGO,
        holds=holds,
        yields=yields,
    )


def saves(identity: str, limit: int | None, configured_at: int = 0) -> CreditEvent:
    said = CreditSettings(
        configured_at=LONG_AGO + configured_at * SECOND,
        event_id=identity,
        currency="USD",
        max_concurrent_calls=limit,
    )
    return purchase(change=said, processed_event=processed_event(identity), issued_at=ANSWERED)


def test_credit_of_one_second_is_booked_in_the_order_in_which_it_was_decided() -> None:
    store = InMemoryStore()
    decided = {"po-a": 3, "po-b": 1, "po-c": 2}
    BookCredit(store, WITHOUT_WAITING)(
        [
            purchase(name, issued_at=ANSWERED, decided_at=ANSWERED + n * SECOND / 10)
            for name, n in decided.items()
        ]
    )
    causes = [entry.cause for entry in store.statement(ORGANIZATION).entries]
    assert causes == ["purchase#po-b", "purchase#po-c", "purchase#po-a"]


def test_what_was_decided_before_is_booked_no_earlier_than_it_was_sent() -> None:
    """Else a lot that expires in between would be gone before the adjustment is taken from it."""
    store = InMemoryStore()
    book = BookCredit(store, WITHOUT_WAITING)
    bought_before = ANSWERED.replace(year=ANSWERED.year - 1)
    book([purchase("short", 100, purchased_at=bought_before), purchase("long", 100)])
    taken = Adjustment(
        adjustment_id="a", amount_micros=-60 * MICROS, expires_at=ANSWERED, purchase_id=None
    )
    adjusted = purchase(
        change=taken, processed_event=processed_event("a"), issued_at=ANSWERED - SECOND
    )
    settings = replace(saves("s", 5), issued_at=ANSWERED + SECOND, decided_at=ANSWERED - 2 * SECOND)
    book([settings, adjusted])
    assert store.account(ORGANIZATION).balance_micros == 100 * MICROS


def test_of_settings_saved_in_one_second_those_that_do_not_hold_buy_nothing() -> None:
    for identity, other in (("a", "b"), ("b", "a")):
        store = InMemoryStore()
        book = BookCredit(store, WITHOUT_WAITING)
        book([purchase("po", 100)])
        buying = AutoRecharge(trigger_micros=200 * MICROS, recharge_micros=500 * MICROS)
        on = CreditSettings(
            configured_at=LONG_AGO, event_id=identity, currency="USD", auto_recharge=buying
        )
        saved = purchase(change=on, processed_event=processed_event(identity), issued_at=ANSWERED)
        book([saved, saves(other, None)])
        asked = [one.body for one in store.outbox if isinstance(one.body, RechargeRequested)]
        assert asked == []


def test_settings_are_booked_when_they_were_sent_and_hold_since_they_were_decided() -> None:
    store = InMemoryStore()
    said = CreditSettings(configured_at=LONG_AGO, event_id="e", currency="USD")
    event = purchase(change=said, processed_event=processed_event("e"), issued_at=ANSWERED)
    BookCredit(store, WITHOUT_WAITING)([event])
    account = store.account(ORGANIZATION)
    assert (account.as_of, account.credits_set_up_at) == (ANSWERED, LONG_AGO)


def test_a_change_id_that_is_used_for_something_else_is_refused_by_its_name() -> None:
    def sent(event_id: str, issued_at: str) -> LicensingEvent:
        detail = {
            "organizationId": ORGANIZATION,
            "changeId": "hr-1",
            "issuedAt": issued_at,
            "userId": "adele",
            "license": "payPerMinute",
            "effectiveAt": "2026-11-02T09:00:00Z",
        }
        event = {
            "id": event_id,
            "source": "perminute.licensing",
            "detail-type": "License Assigned",
            "time": "2026-11-02T09:00:00Z",
            "detail": detail,
        }
        return licensing_event(read_event(json.dumps(event), LICENSING))

    first, again = sent("e-1", "2026-11-02T09:00:00.5Z"), sent("e-2", "2026-11-02T09:00:00.50Z")
    other = sent("e-3", "2026-11-02T09:00:00.6Z")
    accepted, repeated, refused = ApplyLicensing(InMemoryStore(), WITHOUT_WAITING)(
        [first, again, other]
    )
    assert (accepted, repeated) == (Accepted(None), Duplicate())
    assert str(refused) == (
        "changeId: conflict: hr-1 is recorded with another issuedAt; the record stands, send the "
        "new facts under an identity of their own"
    )


@pytest.mark.parametrize("batches", [[["a", "b"]], [["a"], ["b"]], [["b"], ["a"]]])
def test_a_tie_of_facts_is_reported_once_they_are_recorded(batches: list[list[str]]) -> None:
    events = {"a": says("a", value=True), "b": says("b", value=False)}
    reported, store = Reported(), InMemoryStore()
    apply = ApplyLicensing(store, WITHOUT_WAITING, reported)
    for batch in batches:
        apply([events[name] for name in batch])
    assert reported.ties == {tie(holds="b", yields="a")}
    assert sum(len(found) for found in reported.found if not isinstance(found, Unavailable)) == 1
    reported.found.clear()
    assert apply([events["a"]]) == [Duplicate()]
    assert not reported.ties


def test_a_tie_of_an_organization_is_its_own_and_no_user_s() -> None:
    reported = Reported()
    basis = {"attribute": "poolBasis", "user": None}
    of_all = [says("a", "purchased", **basis), says("b", "assigned", **basis)]  # type: ignore[arg-type] # as it is spelled
    of_one = says("c", "other", attribute="poolBasis")
    ApplyLicensing(InMemoryStore(), WITHOUT_WAITING, reported)([*of_all, of_one])
    assert reported.ties == {tie(holds="b", yields="a", what="poolBasis", user=None)}


def test_what_is_no_tie_is_not_reported() -> None:
    reported = Reported()
    ApplyLicensing(InMemoryStore(), WITHOUT_WAITING, reported)(
        [
            says("a", value=True),
            says("b", value=True),
            says("c", value=False, later=1),
            says("d", value=False, attribute="license:MCOPSTNC"),
            says("e", value=False, user="alex"),
        ]
    )
    assert reported.found == [frozenset()]


@dataclass
class Unreadable(InMemoryStore):
    """A store whose timelines cannot be read: each reading meets the next of its errors."""

    errors: list[Unavailable] = field(default_factory=list)

    def licensing(self, organization_id: str, user_ids: Collection[str]) -> Licensing:
        if self.errors:
            raise self.errors.pop(0)
        return super().licensing(organization_id, user_ids)


def test_facts_stand_though_it_cannot_be_read_whether_they_tie() -> None:
    reported, why = Reported(), Unavailable("there was no answer")
    store = Unreadable(errors=[why])
    (result,) = ApplyLicensing(store, WITHOUT_WAITING, reported)([says("a", value=True)])
    assert result == Accepted(None)
    assert reported.found == [why]
    assert store.facts[ORGANIZATION, "adele"]


def test_a_reading_that_others_were_in_the_way_of_is_repeated_until_time_is_up() -> None:
    reported, busy = Reported(), Contended("in the way")
    events = [says("a", value=True), says("b", value=False)]
    store = Unreadable(errors=[busy])
    ApplyLicensing(store, WITHOUT_WAITING, reported)(events)
    assert reported.ties == {tie(holds="b", yields="a")}
    reported.found.clear()
    store = Unreadable(errors=[busy] * 100)
    ApplyLicensing(store, WITHOUT_WAITING, reported)(events)
    (why,) = reported.found
    assert isinstance(why, Contended)
    assert "in the way" in str(why)
    reported.found.clear()
    clock = iter([0.0, 2.0])
    deadline = Deadline(at=1.0, clock=lambda: next(clock))
    results = ApplyLicensing(InMemoryStore(), WITHOUT_WAITING, reported)(events, deadline)
    assert results == [Accepted(None)] * 2
    (found,) = reported.found
    assert str(found) == "no time was left in this invocation"


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_a_tie_of_settings_is_reported_when_the_second_of_them_is_booked(order: list[str]) -> None:
    said = {"a": saves("a", limit=2), "b": saves("b", limit=None)}
    reported, store = Reported(), InMemoryStore()
    for name in order:
        BookCredit(store, WITHOUT_WAITING, reported)([said[name]])
    settings = store.account(ORGANIZATION).settings
    assert settings is not None
    assert settings.max_concurrent_calls == 2
    assert reported.ties == {tie(holds="a", yields="b", what="Credits Configured", user=None)}


def test_settings_that_say_the_same_or_were_issued_later_do_not_tie() -> None:
    reported = Reported()
    book = BookCredit(InMemoryStore(), WITHOUT_WAITING, reported)
    book([saves("a", limit=2), saves("b", limit=2), saves("c", limit=None, configured_at=1)])
    assert reported.found == [[], [], []]


def put_on_a_bus(at: str, kind: str, change_id: str, **detail: object) -> str:
    """An event without `issuedAt`, as a copy of it is that was put on a bus at a time."""
    source = "billing" if kind == "Credits Configured" else "licensing"
    return json.dumps(
        {
            "id": f"{change_id}-{at}",
            "source": f"perminute.{source}",
            "detail-type": kind,
            "time": f"2026-11-02T09:{at}:00Z",
            "detail": {"organizationId": ORGANIZATION, "changeId": change_id, **detail},
        }
    )


def license_copies(kind: str, change_id: str, *times: str) -> list[LicensingEvent]:
    held = {"userId": "adele", "license": "payPerMinute", "effectiveAt": "2026-11-02T08:00:00Z"}
    bodies = [put_on_a_bus(at, kind, change_id, **held) for at in times]
    return [licensing_event(read_event(body, LICENSING)) for body in bodies]


ASSIGNED = license_copies("License Assigned", "a", "00", "20")
REMOVED = license_copies("License Removed", "r", "10", "11")


@pytest.mark.parametrize("order", [*permutations([*ASSIGNED, *REMOVED])])
@pytest.mark.parametrize("batched", [True, False])
def test_the_earliest_copy_of_a_change_says_when_it_was_issued_whichever_arrives_first(
    order: tuple[LicensingEvent, ...], *, batched: bool
) -> None:
    store = InMemoryStore()
    apply = ApplyLicensing(store, WITHOUT_WAITING)
    for batch in [order] if batched else [[event] for event in order]:
        assert {type(result) for result in apply(batch)} <= {Accepted, Duplicate}
    user = store.licensing(ORGANIZATION, ["adele"]).users["adele"]
    assert user.value_at(LICENSE, ANSWERED.replace(hour=12)) is False
    # Each copy that changed something has the calls looked at again that it concerns.
    assert len(store.reratings) == len(set(store.reratings)) >= 1


def test_a_copy_that_was_issued_earlier_has_calls_looked_at_again_beside_the_other_one() -> None:
    store = InMemoryStore()
    apply = ApplyLicensing(store, WITHOUT_WAITING)
    for event in (*reversed(ASSIGNED), *ASSIGNED):
        apply([event])
    assert sorted(name for _, name in store.reratings) == [
        "change#a#2026-11-02T09:00:00Z",
        "change#a#2026-11-02T09:20:00Z",
    ]


def test_a_tie_is_looked_for_among_the_earliest_copies_only() -> None:
    reported = Reported()
    apply = ApplyLicensing(InMemoryStore(), WITHOUT_WAITING, reported)
    removed = license_copies("License Removed", "r", "20")
    for event in (*reversed(ASSIGNED), *removed):
        apply([event])
    assert reported.ties == set()


def settings_copies(change_id: str, limit: int, *times: str) -> list[CreditEvent]:
    said = {"currency": "USD", "maxConcurrentCalls": limit}
    bodies = [put_on_a_bus(at, "Credits Configured", change_id, **said) for at in times]
    return [credit_event(read_event(body, BILLING)) for body in bodies]


def in_force(*events: CreditEvent) -> int | None:
    store = InMemoryStore()
    for event in events:
        BookCredit(store, WITHOUT_WAITING)([event])
    settings = store.account(ORGANIZATION).settings
    assert settings is not None
    return settings.max_concurrent_calls


def test_settings_in_force_yield_to_what_was_issued_after_their_earliest_copy() -> None:
    copy, first = settings_copies("a", 5, "20", "00")
    (between,) = settings_copies("b", 7, "10")
    assert in_force(copy, first, between) == 7
    assert in_force(first, between, copy) == 7
    assert in_force(between, first, copy) == 7
    # These were superseded for good by the later copy, which was all that was known.
    assert in_force(copy, between, first) == 5


def test_the_earliest_copy_of_settings_says_when_the_credits_were_set_up() -> None:
    copy, first = settings_copies("a", 5, "20", "00")
    for order in ((copy, first), (first, copy)):
        store = InMemoryStore()
        for event in order:
            BookCredit(store, WITHOUT_WAITING)([event])
        assert store.account(ORGANIZATION).credits_set_up_at == first.issued_at
