"""What reports read: lists and revisions of calls, and the entries that are in no list."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import (
    ANSWERED,
    ENDED,
    LONG_AGO,
    ORGANIZER,
    WITHOUT_WAITING,
    card,
    ended,
    entitled_changes,
    fact,
    phone_call,
    processed_event,
    purchase,
)

from perminute.adapters.dynamodb import postings as dynamodb_postings
from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    Reservation,
)
from perminute.domain.credit.accounts import Account
from perminute.domain.credit.ledger import EntryType, LedgerEntry
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.postings import ListedUsage, Posting

if TYPE_CHECKING:
    from stores import Stores

    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reporting.postings import Revision, UsageList

DAY = timedelta(days=1)
LATE = ENDED + 3 * DAY
FOR_EVER = ANSWERED + 1_000 * DAY


class Scene:
    """An organization that has bought credit, and calls."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        stores.licensing.record(organization, entitled_changes(organization))
        licensing, cards = LicensingCache(stores.licensing), PublishedRateCards(card())
        parts = stores.credit, stores.calls, licensing, cards, WITHOUT_WAITING
        self.charging = ChargeCalls(*parts)
        self.rerating = RerateCalls(RecordedCalls(*parts), stores.reratings)
        bought = purchase(amount=1)
        key = bought.processed_event.key._replace(organization_id=organization)
        named = bought.processed_event._replace(key=key)
        event = replace(bought, organization_id=organization, processed_event=named)
        assert isinstance(BookCredit(stores.credit, WITHOUT_WAITING)([event])[0], Accepted)

    def charge(self, *calls: str, at: datetime = ENDED, **changed: Any) -> None:
        parts = {"organization_id": self.organization, **changed}
        batch = [replace(ended(call_id=name, **parts), reported_at=at) for name in calls]
        assert all(isinstance(result, Accepted) for result in self.charging(batch))

    def report(self, call_id: str, **changed: Any) -> None:
        """Charge a call as its bridge reported it."""
        call = phone_call(organization_id=self.organization, call_id=call_id, **changed)
        asked, answer = ChargingRequest(Operation.AUTHORIZE, 0), Answer(0, Decision.DENY)
        reservation = Reservation(call=call, last_request=asked, answer=answer)
        (result,) = self.charging([EndedCall(call, ENDED, reservation=reservation)])
        assert isinstance(result, Accepted)

    def forbid(self, name: str = "late") -> None:
        """Have calls rated again: their organizer has no license."""
        lost = fact("license:MCOMEETACPEA", value=False)
        change = LicensingChange(self.organization, ORGANIZER, (lost,))
        event = processed_event(f"{self.organization}-{name}", organization_id=self.organization)
        apply = ApplyLicensing(self.stores.licensing, WITHOUT_WAITING)
        assert apply([LicensingEvent(change, event, ANSWERED)]) == [Accepted(None)]
        while self.stores.reratings.waiting(self.organization):
            (result,) = self.rerating([ReratingRequest(self.organization)])
            assert isinstance(result, Accepted)

    @property
    def account(self) -> Account:
        return self.stores.postings.account(self.organization)

    def lists(
        self, since: datetime = LONG_AGO, until: datetime = FOR_EVER, **more: Any
    ) -> list[UsageList]:
        read = self.stores.postings.usage_lists
        return list(read(self.organization, since=since, until=until, **more))

    def revisions(self, since: datetime = LONG_AGO, until: datetime = FOR_EVER) -> list[Revision]:
        read = self.stores.postings.revisions
        return list(read(self.organization, since=since, until=until))

    def entries(self, posted_since: datetime = LONG_AGO) -> list[LedgerEntry]:
        return list(self.stores.postings.entries(self.organization, posted_since=posted_since))

    def usages(self, *call_ids: str) -> list[Usage]:
        return list(self.stores.calls.usages(self.organization, call_ids))

    def current(self) -> dict[str, ListedUsage]:
        """The calls by what reports read of them."""
        calls = CurrentUsages(self.account.version, self.revisions())
        found = [usage for listed in self.lists() for usage in calls.of(listed)]
        by_id = {usage.call_id: usage for usage in found}
        assert len(by_id) == len(found), "a call is counted twice"
        return by_id

    def agrees(self, *call_ids: str) -> bool:
        listed = map(ListedUsage.of, self.usages(*call_ids))
        return self.current() == {usage.call_id: usage for usage in listed}


@pytest.fixture
def scene(stores: Stores, organization: str) -> Scene:
    return Scene(stores, organization)


def test_an_organization_that_is_not_known_has_nothing(stores: Stores, organization: str) -> None:
    assert stores.postings.account(organization) == Account(organization_id=organization)
    parts: dict[str, Any] = {"since": LONG_AGO, "until": FOR_EVER}
    assert list(stores.postings.usage_lists(organization, **parts)) == []
    assert list(stores.postings.revisions(organization, **parts)) == []
    assert list(stores.postings.entries(organization, posted_since=LONG_AGO)) == []


def test_calls_are_listed_as_they_are_recorded_with_the_entry_of_their_charge(
    scene: Scene,
) -> None:
    dial_in: dict[str, Any] = {"leg_type": LegType.TOLL_DIAL_IN, "service_number": "+14255550100"}
    scene.charge("a", "b", answered_at=ANSWERED + timedelta(microseconds=7))
    scene.charge("nobody", organizer_id="nobody", **dial_in)
    scene.charge("unpriced", remote_number="+881612345678")
    scene.charge("free", meeting_type=MeetingType.AD_HOC)
    scene.charge("billable", billable_seconds=61)
    assert [len(listed.usages) for listed in scene.lists()] == [2, 1, 1, 1]
    assert scene.agrees("a", "b", "nobody", "unpriced", "billable")
    charged = scene.lists()[0]
    entry = charged.entry
    assert entry is not None
    assert (entry.type, entry.amount_micros) == (
        EntryType.CHARGE,
        -sum(usage.charge_micros for usage in charged.usages),
    )
    version = scene.account.version
    of_lists = [listed.posting for listed in scene.lists()]
    assert of_lists[0] == Posting(version - 3, ENDED, entry.entry_id, ENDED)
    assert of_lists[1:3] == [Posting(version - 2, ENDED), Posting(version - 1, ENDED)]


def test_lists_are_read_by_when_the_last_of_their_calls_ended(scene: Scene) -> None:
    for days in range(4):
        ended_at = ENDED + days * DAY
        scene.charge(f"{days}", answered_at=ANSWERED + days * DAY, ended_at=ended_at, at=ended_at)
    lists = scene.lists()
    assert [listed.usages[0].call_id for listed in lists] == ["0", "1", "2", "3"]
    assert [listed.key for listed in lists] == sorted(listed.key for listed in lists)
    since, until = ENDED + DAY, ENDED + 3 * DAY
    assert scene.lists(since, until) == lists[1:3]
    assert scene.lists(since, until, newest_first=True) == [lists[2], lists[1]]
    assert scene.lists(since, until, after=lists[1].key) == [lists[2]]
    assert scene.lists(since, until, newest_first=True, after=lists[2].key) == [lists[1]]
    assert scene.lists(until, since) == []
    assert scene.lists(since, until, after="~") == []
    assert scene.lists(since, until, newest_first=True, after="!") == []


def test_what_is_rated_again_is_found_by_when_it_ended(scene: Scene) -> None:
    scene.charge("a", "b")
    before = [ListedUsage.of(usage) for usage in scene.usages("a", "b")]
    scene.forbid()
    after = [ListedUsage.of(usage) for usage in scene.usages("a", "b")]
    assert {usage.outcome for usage in after} == {Outcome.NOT_ENTITLED}
    (revision,) = scene.revisions()
    by_id = {was.call_id: (was, now) for was, now in revision.usages}
    assert by_id == {was.call_id: (was, now) for was, now in zip(before, after, strict=True)}
    (corrected, _bought) = scene.entries()
    assert corrected.of_calls
    posted_at = scene.account.as_of
    assert posted_at is not None
    version = scene.account.version
    assert revision.posting == Posting(version, posted_at, corrected.entry_id, corrected.at)
    assert scene.revisions(ENDED, ENDED + timedelta(microseconds=1)) == [revision]
    assert scene.revisions(LONG_AGO, ENDED) == []
    assert scene.agrees("a", "b")


def test_calls_of_one_revision_ended_within_32_days(scene: Scene) -> None:
    days = [0, 1, 32, 33, 70]
    for number in days:
        later = number * DAY
        scene.charge(f"{number}", answered_at=ANSWERED + later, ended_at=ENDED + later)
        scene.report(f"reported {number}", answered_at=ANSWERED + later, ended_at=ENDED + later)
    hour = timedelta(hours=1)
    calls = [
        replace(
            ended(
                organization_id=scene.organization,
                call_id=f"reported {number}",
                answered_at=ANSWERED + number * DAY,
                ended_at=ENDED + number * DAY + hour,
            ),
            reported_at=LATE,
        )
        for number in days
    ]
    assert all(isinstance(result, Accepted) for result in scene.charging(calls))
    scene.forbid()
    ends = [[was.ended_at for was, _ in revision.usages] for revision in scene.revisions()]
    assert sorted(map(len, ends)) == [1, 1, 2, 3, 3, 5]
    assert max(max(of_one) - min(of_one) for of_one in ends) == 32 * DAY
    assert scene.agrees(*(f"{kind}{number}" for number in days for kind in ("", "reported ")))


def test_a_charge_that_was_posted_late_is_found_among_the_entries(scene: Scene) -> None:
    scene.charge("in time", at=ENDED + DAY)
    scene.charge("late", at=LATE)
    scene.charge("old", at=ENDED)
    in_time, late, old = scene.lists()
    assert in_time.entry is not None
    assert (late.entry, old.entry) == (None, None)
    newest, last, first = scene.entries()
    assert (newest.entry_id, newest.at, newest.posted_at) == (old.posting.entry_id, ENDED, LATE)
    assert (last.entry_id, last.at, last.posted_at) == (late.posting.entry_id, LATE, None)
    assert first.type is EntryType.PURCHASE
    assert scene.entries(LATE) == [newest, last]
    assert scene.entries(LATE + DAY) == []


def test_an_entry_says_what_of_it_belongs_to_other_months(scene: Scene) -> None:
    month = 30 * DAY
    scene.charge("november", "also", at=ENDED + month)
    (charge, _bought) = scene.entries()
    ((november, micros),) = charge.other_months
    assert (str(november), micros) == ("2026-11", charge.amount_micros)


@pytest.mark.parametrize(
    "changed",
    [
        {"ended_at": ENDED + timedelta(hours=15)},
        {"ended_at": ENDED + timedelta(minutes=1)},
        {"organizer_id": "bob"},
        {"meeting_id": "other"},
        {"answered_at": None},
        {"answered_at": None, "ended_at": ENDED + DAY},
        {"meeting_type": MeetingType.AD_HOC},
    ],
    ids=str,
)
def test_a_call_that_its_bridge_reported_otherwise_is_counted_once(
    scene: Scene, changed: dict[str, Any]
) -> None:
    scene.charge("other")
    scene.report("call")
    assert scene.agrees("call", "other")
    was = scene.account.version
    scene.charge("call", at=LATE, **changed)
    (usage,) = scene.usages("call")
    names = ["other"] if usage.outcome is Outcome.FREE else ["call", "other"]
    assert scene.agrees(*names)
    scene.forbid()
    assert scene.agrees(*names)
    # What was true before is still to be read.
    before = CurrentUsages(was, scene.revisions())
    ids = [usage.call_id for listed in scene.lists() for usage in before.of(listed)]
    assert sorted(ids) == ["call", "other"]


def test_a_call_that_was_reported_as_free_is_listed_once_it_is_not(scene: Scene) -> None:
    scene.report("call", meeting_type=MeetingType.AD_HOC)
    assert scene.current() == {}
    scene.charge("call", at=LATE)
    assert scene.agrees("call")
    scene.forbid()
    assert scene.agrees("call")
    assert scene.current()["call"].outcome is Outcome.NOT_ENTITLED


def test_reading_goes_on_page_by_page(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_postings, "FIRST_PAGE", 1)
    monkeypatch.setattr(dynamodb_postings, "MOST_ITEMS", 2)
    for number in range(6):
        scene.charge(f"{number}", at=LATE)
    assert len(scene.lists()) == len(scene.lists(newest_first=True)) == 6
    assert len(scene.entries()) == 7
    assert len(scene.entries(LATE)) == 6
