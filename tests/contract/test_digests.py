"""Calls of one organizer, reason and day: the first is notified of at once, the others once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from builders import WITHOUT_WAITING, card, ended

from perminute.adapters.memory import PublishedRateCards
from perminute.application import send_digests
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import Deadline
from perminute.application.send_digests import SendDigests
from perminute.domain.credit.transaction import AccountChanged
from perminute.domain.notifications.digests import CallGroup, CallToNotify, count
from perminute.domain.rating.usage_record import Usage

if TYPE_CHECKING:
    import pytest
    from stores import Stores

DAY = datetime(2026, 11, 2, tzinfo=UTC)
NEXT_DAY, LATER = DAY + timedelta(days=1), DAY + timedelta(days=3)
RETAIL = 150_000
"""What one of these calls would cost: ten minutes at 0.015."""


class Scene:
    """An organization without licenses, whose calls are all notified of."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        self.send = SendDigests(stores.credit, stores.under_way, stores.digests, WITHOUT_WAITING)
        self._charge = ChargeCalls(
            stores.credit,
            stores.calls,
            LicensingCache(stores.licensing),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )

    def call(self, *names: str, organizer: str = "adele", hours: int = 10, days: int = 0) -> None:
        """Calls of the second of November, reported that day or some days later."""
        at = DAY + timedelta(hours=hours)
        calls = [
            ended(
                organization_id=self.organization,
                call_id=name,
                organizer_id=organizer,
                answered_at=at - timedelta(minutes=10),
                ended_at=at,
            )
            for name in names
        ]
        calls = [replace(one, heard_at=at + timedelta(days=days)) for one in calls]
        assert all(isinstance(one, Accepted) for one in self._charge(calls))

    def publish(self) -> None:
        """Do as the publisher does with what is in the stream."""
        for one in self.to_count():
            self.stores.digests.claim(self.organization, {CallGroup.of(one.notification): one})

    def to_count(self) -> list[CallToNotify]:
        records = self.stores.digests.records(self.organization, DAY.date(), limit=1_000)
        return [call for one in records for call in one.calls]

    def run(self, until: datetime = NEXT_DAY) -> None:
        """Have the daily run come by."""
        sent = self.send(self.organization, until, until)
        assert (sent.failed, sent.goes_on) == (None, False)

    def notified(self) -> list[dict[str, Any]]:
        """What is published, or will be, without what is still to be counted."""
        documents = map(json.loads, self.stores.outbox(self.organization))
        return [one for one in documents if "countedOn" not in one]

    def calls_notified(self) -> Counter[str]:
        """How often each call was notified of or is named by a digest."""
        return Counter(
            name for one in self.notified() for name in one.get("callIds") or [one["callId"]]
        )

    @property
    def due_at(self) -> datetime | None:
        return self.stores.credit.account(self.organization).digests_due_at


def test_the_first_call_is_published_at_once_and_the_others_in_one_digest(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-1")
    scene.call("a")
    scene.call("b", "c", hours=11)
    scene.publish()
    assert [one["callId"] for one in scene.notified()] == ["a"]
    assert scene.due_at == NEXT_DAY
    scene.run()
    first, digest = sorted(scene.notified(), key=lambda one: one.get("calls", 0))
    assert first["type"] == digest["type"] == "CallNotEntitled"
    assert first["reason"] == digest["reason"] == "noLicense"
    assert first["id"] != digest["id"]
    assert {name: digest.get(name) for name in ("callId", "calls", "callIds", "day")} == {
        "callId": None,
        "calls": 2,
        "callIds": ["b", "c"],
        "day": "2026-11-02",
    }
    assert digest["retailCost"] == "0.3"
    assert digest["currency"] == "USD"
    assert scene.to_count() == []
    assert scene.due_at is None


def test_nothing_is_sent_before_the_day_is_over(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-2")
    scene.call("a", "b")
    scene.publish()
    scene.run(NEXT_DAY - timedelta(seconds=1))
    assert scene.calls_notified() == {"a": 1}


def test_one_other_call_is_notified_of_as_itself(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-3")
    scene.call("a", "b")
    scene.publish()
    (other,) = [one.notification for one in scene.to_count() if one.notification.call_id == "b"]
    scene.run()
    assert [one["id"] for one in scene.notified() if one["callId"] == "b"] == [other.id]


def test_who_counts_before_the_stream_has_told_of_a_call_has_it_published(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-4")
    scene.call("a", "b", "c")
    told_late = scene.to_count()
    scene.run()
    for one in reversed(told_late):
        group = CallGroup.of(one.notification)
        assert stores.digests.claim(scene.organization, {group: one}) == {group: "a"}
    assert scene.calls_notified() == {"a": 1, "b": 1, "c": 1}


def test_calls_that_come_late_are_in_a_further_digest_of_their_day(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-5")
    scene.call("a", "b", "c")
    scene.publish()
    scene.run()
    before = scene.notified()
    scene.call("d", "e", hours=11, days=2)
    scene.publish()
    assert scene.due_at == NEXT_DAY
    scene.run(LATER)
    further = [one for one in scene.notified() if one not in before]
    assert [(one["calls"], one["callIds"]) for one in further] == [(2, ["d", "e"])]
    assert scene.calls_notified() == dict.fromkeys("abcde", 1)
    assert scene.due_at is None


def test_organizers_have_digests_of_their_own(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-6")
    for organizer in ("adele", "alex"):
        scene.call(*(f"{organizer}-{number}" for number in range(4)), organizer=organizer)
    scene.publish()
    scene.run()
    digests = [one for one in scene.notified() if one["callId"] is None]
    assert sorted((one["organizerId"], one["calls"]) for one in digests) == [
        ("adele", 3),
        ("alex", 3),
    ]


def test_a_digest_of_many_records_is_exact_and_names_the_first_ten(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_digests, "MAX_RECORDS_COUNTED", 10)
    scene = Scene(stores, "fabrikam-7")
    names = [f"call-{number:03d}" for number in range(24)]
    for name in names:
        scene.call(name, hours=1 + int(name[-3:]) % 20)
    scene.publish()
    scene.run()
    (digest,) = [one for one in scene.notified() if one["callId"] is None]
    assert digest["calls"] == len(names) - 1
    assert digest["retailCost"] == f"{(len(names) - 1) * RETAIL / 1_000_000:g}"
    by_answer = sorted(names, key=lambda name: (int(name[-3:]) % 20, name))
    assert digest["callIds"] == [name for name in by_answer if name != "call-000"][:10]


def test_who_runs_out_of_time_goes_on_where_it_stopped(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_digests, "MAX_RECORDS_COUNTED", 2)
    scene = Scene(stores, "fabrikam-10")
    for name in "abcdefg":
        scene.call(name)
    scene.publish()
    over = Deadline(at=0, clock=lambda: 1)
    pieces = 0
    while (sent := scene.send(scene.organization, NEXT_DAY, NEXT_DAY, over)).goes_on:
        pieces += 1
        assert scene.due_at == NEXT_DAY
        assert sent.failed is None
    assert pieces == 5, "two calls at a time are counted, then the digest is sent"
    assert scene.calls_notified() == dict.fromkeys("abcdefg", 1)
    assert scene.due_at is None


def test_an_organization_whose_account_keeps_moving_has_its_digests_and_stays_due(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(stores, "fabrikam-11")
    scene.call("a", "b", "c")
    scene.publish()
    monkeypatch.setattr(type(stores.credit), "commit", Mock(side_effect=AccountChanged))
    sent = scene.send(scene.organization, NEXT_DAY, NEXT_DAY)
    assert "the account kept changing" in str(sent.failed)
    assert scene.calls_notified() == {"a": 1, "b": 1, "c": 1}
    assert scene.due_at == NEXT_DAY
    monkeypatch.undo()
    scene.run()
    assert scene.due_at is None


def test_who_was_overtaken_counts_nothing_twice(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-8")
    scene.call("a", "b", "c")
    scene.publish()
    digests = stores.digests
    records = digests.records(scene.organization, DAY.date(), limit=10)
    scene.run()
    assert not digests.count(scene.organization, records, ())
    assert digests.first_day(scene.organization) is None


def test_what_is_counted_is_sent_once(stores: Stores) -> None:
    scene = Scene(stores, "fabrikam-9")
    scene.call("a", "b", "c")
    scene.publish()
    digests, day = stores.digests, DAY.date()
    records = digests.records(scene.organization, day, limit=10)
    (usage,) = stores.under_way.read_calls(scene.organization, ["b"]).values()
    assert isinstance(usage, Usage)
    calls = [call for one in records for call in one.calls]
    groups = {CallGroup.of(call.notification): "a" for call in calls}
    counted = count({}, calls, {"b": usage}, groups, "USD")
    assert digests.count(scene.organization, records, tuple(counted.values()))
    (stored,) = digests.counted_on(scene.organization, day, limit=10)
    assert stored == replace(next(iter(counted.values())), step=1)
    assert digests.counted(scene.organization, list(groups)) == {stored.group: stored}
    assert not digests.count(scene.organization, (), (replace(stored, step=0),))
    assert digests.first_day(scene.organization) == day
    other = stored.first._replace(notification=stored.first.notification._replace(id="other"))
    for stale in (replace(stored, step=2), replace(stored, first=other)):
        assert not digests.count(scene.organization, (), (stale,))
        assert not digests.send(scene.organization, (stale,), (stored.to_send(NEXT_DAY),))
    assert digests.send(scene.organization, (stored,), (stored.to_send(NEXT_DAY),))
    assert not digests.send(scene.organization, (stored,), (stored.to_send(NEXT_DAY),))
    assert scene.calls_notified() == {"a": 1, "b": 1}
