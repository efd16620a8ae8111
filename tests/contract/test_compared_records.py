"""Records of past days beside what was charged: an organization is notified of a day once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from builders import WITHOUT_WAITING, card, ended, entitled_changes

from perminute.adapters.memory import PublishedRateCards
from perminute.application import compare_records
from perminute.application.charge_calls import ChargeCalls
from perminute.application.compare_records import (
    CompareRecords,
    OperatorRecords,
    RecordsCompared,
    days_to_compare,
)
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import Deadline
from perminute.domain.comparison.record_comparison import OperatorCharge, TheirCall
from perminute.domain.errors import Unavailable
from perminute.domain.rating.calls import LegType
from perminute.formats.directory_csv import read_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stores import Stores

    from perminute.domain.rating.calls import Call

RUN = datetime(2026, 11, 10, 0, 30, tzinfo=UTC)
DAYS = (date(2026, 11, 4), date(2026, 11, 5), date(2026, 11, 6))
DIRECTORY = read_directory(
    b"kind,key,source,leg_type\n"
    b"number,+12065550100,,tollDialIn\n"
    b"number,+12065550199,zoom-telephone,tollDialIn\n"
)


class Scene:
    """An organization whose calls were charged, and the records of its operator."""

    def __init__(self, stores: Stores, organization: str) -> None:
        self.stores, self.organization = stores, organization
        self.compare = CompareRecords(stores.credit, stores.calls, WITHOUT_WAITING)
        self.charge = ChargeCalls(
            stores.credit,
            stores.calls,
            LicensingCache(stores.licensing),
            PublishedRateCards(card()),
            WITHOUT_WAITING,
        )
        stores.licensing.record(organization, entitled_changes(organization))

    def call(self, name: str, day: int = 5, **changed: Any) -> Call:
        """Charge a dial-in of ten minutes."""
        at = datetime(2026, 11, day, 10, tzinfo=UTC)
        known = {
            "organization_id": self.organization,
            "call_id": name,
            "leg_type": LegType.TOLL_DIAL_IN,
            "service_number": "+12065550100",
            "remote_number": None,
            "answered_at": at,
            "ended_at": at + timedelta(minutes=10),
        }
        reported = ended(**{**known, **changed})
        (result,) = self.charge([reported])
        assert isinstance(result, Accepted)
        return reported.call

    def records(self, *calls: TheirCall, source: str = "graph-pstn") -> OperatorRecords:
        records = OperatorRecords(source, DAYS, by_rate_card=False)
        records.organizations.add(self.organization)
        for call in calls:
            records.add(call)
        return records

    def run(self, *calls: TheirCall) -> RecordsCompared:
        (done,) = self.compare(self.records(*calls), DIRECTORY, RUN)
        return done

    def notified(self) -> list[dict[str, Any]]:
        sent = map(json.loads, self.stores.outbox(self.organization))
        differ = [one for one in sent if one["type"] == "RecordsDiffer"]
        return sorted(differ, key=lambda one: str(one["day"]))


@pytest.fixture
def scene(stores: Stores, organization: str) -> Scene:
    return Scene(stores, organization)


def recorded(call: Call, **changed: Any) -> TheirCall:
    """The record of a call."""
    return TheirCall(
        at="page",
        organization_id=call.organization_id,
        call_id=call.call_id,
        organizer_id=call.organizer_id,
        leg_type=call.leg_type,
        service_number=call.service_number,
        remote_number=call.remote_number,
        ended_at=call.ended_at,
        is_answered=call.answered_at is not None,
        seconds=call.connected_seconds,
        charge=OperatorCharge(0, 2, "USD"),
    )._replace(**changed)


def test_the_days_are_those_of_which_no_record_is_awaited_any_more() -> None:
    assert days_to_compare(RUN) == DAYS
    assert days_to_compare(datetime(2026, 11, 10, tzinfo=UTC)) == DAYS
    before = datetime(2026, 11, 9, 23, 59, 59, tzinfo=UTC)
    assert days_to_compare(before)[-1] == date(2026, 11, 5)


def test_records_that_agree_notify_nobody(scene: Scene) -> None:
    calls = [scene.call("c-1"), scene.call("c-2", day=6), scene.call("c-3", answered_at=None)]
    assert scene.run(*map(recorded, calls)) == RecordsCompared(scene.organization, equal=3)
    assert scene.notified() == []


def test_each_day_that_differs_is_notified_of_once_however_often_it_is_compared(
    scene: Scene,
) -> None:
    longer, alike = scene.call("c-1"), scene.call("c-2")
    scene.call("c-3")
    other_day = scene.call("c-4", day=6)
    theirs = [
        recorded(longer, seconds=540),
        recorded(alike),
        recorded(alike, call_id="c-9", seconds=30, charge=OperatorCharge(10_000, 2, "EUR")),
        recorded(other_day, organizer_id="somebody"),
    ]
    first = scene.run(*theirs)
    assert first == RecordsCompared(scene.organization, equal=1, differences=4, notified=2)
    again = scene.run(*theirs)
    assert again == RecordsCompared(scene.organization, equal=1)
    said = [(one["source"], one["day"], one["kinds"]) for one in scene.notified()]
    assert said == [
        (
            "graph-pstn",
            "2026-11-05",
            {
                "onlyThere": {"calls": 1, "seconds": -30, "cost": "0"},
                "onlyHere": {"calls": 1, "seconds": 600, "cost": "0"},
                "seconds": {"calls": 1, "seconds": 60, "cost": "0"},
            },
        ),
        ("graph-pstn", "2026-11-06", {"organizer": {"calls": 1, "seconds": 0, "cost": "0"}}),
    ]
    identities = {one["id"] for one in scene.notified()}
    assert len(identities) == 2


def test_whoever_has_prices_of_its_own_compares_no_costs(scene: Scene) -> None:
    charged = recorded(scene.call("c-1"), charge=OperatorCharge(50_000, 2, "USD"))
    scene.compare = replace(scene.compare, compares_costs=False)
    assert scene.run(charged) == RecordsCompared(scene.organization, equal=1)
    scene.compare = replace(scene.compare, compares_costs=True)
    assert scene.run(charged).differences == 1


def test_what_the_operator_cannot_have_recorded_here_is_not_missed(scene: Scene) -> None:
    scene.call("other-source", service_number="+12065550199")
    scene.call("before", day=3)
    scene.call("after", day=7)
    next_day = scene.call("ends-elsewhere")
    known = scene.call("in-problem")
    records = scene.records(
        recorded(next_day, ended_at=datetime(2026, 11, 7, 0, 0, 1, tzinfo=UTC)),
        recorded(next_day, call_id="too-recent", ended_at=datetime(2026, 11, 7, tzinfo=UTC)),
    )
    records.known.add(known.call_id)
    (done,) = scene.compare(records, DIRECTORY, RUN)
    assert (done.differences, scene.notified()) == (0, [])


def test_an_organization_whose_records_are_incomplete_is_not_compared(scene: Scene) -> None:
    scene.call("c-1")
    records = scene.records()
    records.incomplete.add(scene.organization)
    assert scene.compare(records, DIRECTORY, RUN) == []
    (done,) = scene.compare(scene.records(), DIRECTORY, RUN)
    assert done.differences == 1, "all records are lost, and the call is here"


def test_more_calls_than_are_read_at_once_are_all_compared(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare_records, "CALLS_READ", 2)
    calls = [scene.call(f"c-{n}") for n in range(5)]
    assert scene.run(*map(recorded, calls)).equal == len(calls)


class _Unreadable:
    def __init__(self, stores: Stores, organization: str) -> None:
        self._calls, self._organization = stores.calls, organization

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calls, name)

    def usages_by_id(self, organization_id: str, call_ids: Any) -> Mapping[str, Any]:
        if organization_id == self._organization:
            raise Unavailable("throttled")
        return self._calls.usages_by_id(organization_id, call_ids)


def test_the_failure_of_one_organization_stops_no_other(stores: Stores, organization: str) -> None:
    scene = Scene(stores, organization)
    call = scene.call("c-1")
    calls: Any = _Unreadable(stores, f"{organization}-0")
    records = scene.records(
        recorded(call, organization_id=f"{organization}-0"), recorded(call, seconds=1)
    )
    failed, done = CompareRecords(stores.credit, calls, WITHOUT_WAITING)(records, DIRECTORY, RUN)[
        ::-1
    ]
    assert str(failed.failure) == "throttled"
    with pytest.raises(Unavailable, match="records of 1 organization were not compared: "):
        compare_records.raise_failed([failed, done])
    assert (done.failure, done.notified) == (None, 1)


def test_nothing_is_begun_without_time_and_the_next_run_makes_up_for_it(scene: Scene) -> None:
    call = scene.call("c-1")
    records = scene.records(recorded(call, seconds=1))
    over = Deadline(at=0, clock=lambda: 1)
    (done,) = scene.compare(records, DIRECTORY, RUN, over)
    assert (done.notified, scene.notified()) == (0, [])
    assert done.failure is not None
    (done,) = scene.compare(records, DIRECTORY, RUN + timedelta(days=2))
    assert done.notified == 1
