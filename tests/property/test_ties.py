"""Whatever is said of one instant, and in whatever order it arrives, the same holds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from itertools import count
from typing import TYPE_CHECKING, Any

from builders import LONG_AGO, WITHOUT_WAITING, fact
from hypothesis import given
from hypothesis import strategies as st

from perminute.adapters.memory import InMemoryStore
from perminute.application.apply_licensing import ApplyLicensing
from perminute.application.book_credit import BookCredit
from perminute.application.results import Accepted, Duplicate
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.booking import configure
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.values.times import format_instant
from perminute.events.billing import BILLING, credit_event
from perminute.events.event import read_event
from perminute.events.licensing import LICENSING, licensing_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.application.apply_licensing import LicensingEvent
    from perminute.domain.licensing.timelines import Fact

INSTANTS = [LONG_AGO + timedelta(microseconds=n) for n in (0, 0, 1)]
VALUES: dict[str, list[Any]] = {
    "license:MCOMEETACPEA": [True, False],
    "purchased:MCOMEETADV": [0, 2, 10],
    "dialOutPolicy": ["anyDestination", "sameCountry", "zoneA", "none"],
    "licensingProgram": ["volume", "other"],
    "communicationsCreditsLicense": ["perUser", "organization"],
    "monthlySpendLimit": [0, 5, 250],
    "poolMinutesUsed": [0, 10],
    "country": ["DE", "US"],
}
LIMITS = st.none() | st.integers(0, 3)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Facts of which many contradict each other; no two have one identity."""
    identities = draw(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), unique=True))
    stated = []
    for event_id, has_change_id in identities:
        attribute = draw(st.sampled_from(sorted(VALUES)))
        said = fact(attribute, draw(st.sampled_from(VALUES[attribute])), event_id=event_id)
        at, issued_at = draw(st.sampled_from(INSTANTS)), draw(st.sampled_from(INSTANTS))
        stated.append(
            replace(said, effective_at=at, issued_at=issued_at, has_change_id=has_change_id)
        )
    return stated


@given(st.data(), facts())
def test_facts_have_one_order_whatever_order_they_arrive_in(
    data: st.DataObject, stated: list[Fact]
) -> None:
    arrived = data.draw(st.permutations([*stated, *stated[:2]]))
    first, second = Timeline(stated), Timeline(arrived)
    for attribute in VALUES:
        assert [*first.changes_of(attribute)] == [*second.changes_of(attribute)]


@st.composite
def settings_of_one_second(draw: st.DrawFn) -> list[CreditSettings]:
    identities = draw(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), unique=True))
    return [
        CreditSettings(
            configured_at=draw(st.sampled_from(INSTANTS)),
            event_id=event_id,
            has_change_id=has_change_id,
            currency="USD",
            auto_recharge=draw(
                st.none()
                | st.builds(
                    AutoRecharge,
                    trigger_micros=st.just(1),
                    recharge_micros=st.integers(1, 3),
                    monthly_limit_micros=LIMITS,
                )
            ),
            daily_spend_limit_micros=draw(LIMITS),
            prefix_hourly_spend_limit_micros=draw(LIMITS),
            max_concurrent_calls=draw(LIMITS),
        )
        for event_id, has_change_id in identities
    ]


@given(st.data(), settings_of_one_second())
def test_one_of_all_settings_is_in_force_whatever_order_they_arrive_in(
    data: st.DataObject, said: list[CreditSettings]
) -> None:
    def in_force(order: Sequence[CreditSettings]) -> CreditSettings | None:
        account = Account(organization_id="contoso")
        return reduce(lambda a, one: configure(a, one).after, order, account).settings

    assert in_force(data.draw(st.permutations(said))) == in_force(said)
    assert in_force(said) == max(said, key=lambda one: one.order, default=None)


LICENSE = "license:MCOMEETACPEA"
CHANGES = st.fixed_dictionaries(
    {
        "detail-type": st.sampled_from(["License Assigned", "License Removed"]),
        "effectiveAt": st.sampled_from([format_instant(at) for at in INSTANTS]),
    }
)


@given(st.data(), st.lists(CHANGES, max_size=4))
def test_of_copies_that_a_bus_stamps_anew_the_earliest_holds_whatever_order_they_arrive_in(
    data: st.DataObject, changes: list[dict[str, str]]
) -> None:
    first, copies = [], []
    for number, change in enumerate(changes):
        times = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
        said = [licensing_copy(f"{number}-{n}", number, change, at) for n, at in enumerate(times)]
        first.append(min(said, key=lambda one: one.change.facts[0].issued_at))
        copies += said
    store, due = InMemoryStore(), InMemoryStore()
    arrived = data.draw(st.permutations(copies))
    if data.draw(st.booleans()):
        ApplyLicensing(store, WITHOUT_WAITING)(arrived)
    else:
        for one in arrived:
            ApplyLicensing(store, WITHOUT_WAITING)([one])
    ApplyLicensing(due, WITHOUT_WAITING)(first)
    (held, expected) = (
        one.licensing("contoso", ["adele"]).users.get("adele", Timeline()) for one in (store, due)
    )
    assert [*held.changes_of(LICENSE)] == [*expected.changes_of(LICENSE)]


def licensing_copy(
    event_id: str, number: int, change: dict[str, str], seconds: int
) -> LicensingEvent:
    event = {
        "id": event_id,
        "source": "perminute.licensing",
        "time": format_instant(LONG_AGO + timedelta(seconds=seconds)),
        "detail-type": change["detail-type"],
        "detail": {
            "organizationId": "contoso",
            "changeId": f"license-{number}",
            "userId": "adele",
            "license": "payPerMinute",
            "effectiveAt": change["effectiveAt"],
        },
    }
    return licensing_event(read_event(json.dumps(event), LICENSING))


@given(st.data(), st.lists(CHANGES, max_size=6), st.lists(LIMITS, max_size=4))
def test_an_archive_that_is_replayed_under_new_event_ids_changes_nothing(
    data: st.DataObject, changes: list[dict[str, str]], limits: list[int | None]
) -> None:
    ids = (f"event-{number}" for number in count())
    at = format_instant(LONG_AGO)

    def put_on_the_bus(event: dict[str, Any]) -> str:
        """Give an event an id that is greater or smaller than that of another copy, by chance."""
        name = data.draw(st.sampled_from(["a", "z"])) + next(ids)
        return json.dumps({**event, "id": name, "time": at})

    licensing = [
        {
            "source": "perminute.licensing",
            "detail-type": change["detail-type"],
            "detail": {
                "organizationId": "contoso",
                "changeId": f"license-{number}",
                "userId": "adele",
                "license": "payPerMinute",
                "effectiveAt": change["effectiveAt"],
            },
        }
        for number, change in enumerate(changes)
    ]
    billing = [
        {
            "source": "perminute.billing",
            "detail-type": "Credits Configured",
            "detail": {
                "organizationId": "contoso",
                "changeId": f"settings-{number}",
                "currency": "USD",
                **({} if limit is None else {"maxConcurrentCalls": limit}),
            },
        }
        for number, limit in enumerate(limits)
    ]

    def deliver(store: InMemoryStore) -> list[object]:
        said = [licensing_event(read_event(put_on_the_bus(one), LICENSING)) for one in licensing]
        saved = [credit_event(read_event(put_on_the_bus(one), BILLING)) for one in billing]
        results = ApplyLicensing(store, WITHOUT_WAITING)(data.draw(st.permutations(said)))
        return [*results, *BookCredit(store, WITHOUT_WAITING)(data.draw(st.permutations(saved)))]

    store, elsewhere = InMemoryStore(), InMemoryStore()
    assert all(isinstance(result, Accepted) for result in deliver(store))
    stood = store.licensing("contoso", ["adele"]), store.account("contoso")
    assert all(result == Duplicate() for result in deliver(store))
    assert (store.licensing("contoso", ["adele"]), store.account("contoso")) == stood
    deliver(elsewhere)
    assert elsewhere.licensing("contoso", ["adele"]) == stood[0]
    assert elsewhere.account("contoso").settings == stood[1].settings
