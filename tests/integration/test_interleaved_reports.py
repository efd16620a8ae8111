"""Reports that are read while others write, at each of their requests.

Each answer must be the one that follows from what had been posted up to the version that it names,
by a model that knows transactions, and neither lists nor revisions.
"""

from __future__ import annotations

from collections import defaultdict
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from builders import WITHOUT_WAITING, fact, holds, phone_call, processed_event, purchase
from explaining import World
from interruptions import Interruption, watch_dynamodb, watched
from reports import asked, http_request
from stores import stores_on, twins

from perminute.adapters.dynamodb import postings
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls, EndedCall
from perminute.application.results import Accepted
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.attributes import license_attribute
from perminute_local.replay.run import table_names
from perminute_local.simulation.invariants.posted import Posted
from perminute_local.simulation.invariants.reports import Report, true_at_its_version
from perminute_local.simulation.write_recorder import CreditWrite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.credit.transaction import Transaction
    from perminute_local.stack import Stack

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
MONTHS_END = datetime(2026, 12, 1, tzinfo=UTC)
BEFORE_STATED, AFTER_STATED = MONTHS_END + 60 * HOUR, MONTHS_END + 110 * HOUR
"""When others write, and reports are read: before November is stated, or after it."""
MOST_REQUESTS = 60


class Recording:
    """A store of credit of which each transaction is recorded as it takes effect."""

    def __init__(self, store: object, writes: list[CreditWrite]) -> None:
        self._store, self._writes = store, writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, transaction: Transaction) -> None:
        self.__getattr__("commit")(transaction)
        before, after = transaction.before, transaction.after
        self._writes.append(
            CreditWrite(
                organization_id=before.organization_id,
                account=None if after is before else after,
                entries=transaction.entries,
                usages=(*transaction.usages, *transaction.rerated),
            )
        )


@dataclass
class RecordedWorld(World):
    """An organization around the end of a month, and all transactions about its credit."""

    at: datetime = BEFORE_STATED
    writes: list[CreditWrite] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record()
        super().__post_init__()
        pool = fact("purchased:MCOMEETADV", 1), fact("poolMinutesPerLicense", 15)
        self.licensed(*pool)
        self.licensed(*holds("subscription", "communicationsCredits").facts, user="enrico")
        self.licensed(*holds("payPerMinute", "communicationsCredits").facts, user="bob")
        for hours in (-30, -1, 9):
            self.charge_ended(("adele", hours), ("enrico", hours - 2))
        self.report(MONTHS_END - 26 * HOUR, call_id="bridged", organizer_id="bob")
        self.charge_reported(BEFORE_STATED - HOUR)
        self.charge_ended(("bob", 30))

    def record(self) -> None:
        """Have the transactions from now on recorded."""
        recording: Any = Recording(self.stores.credit, self.writes)
        self.stores = replace(self.stores, credit=recording)

    def copied(self, at: datetime) -> RecordedWorld:
        """Return an organization in memory to which the same has happened, at an instant."""
        world = copy(self)
        twin: Any = self.stores.licensing
        records = {
            name: copy(value) for name, value in vars(twin).items() if not name.startswith("_")
        }
        facts = {key: set(facts) for key, facts in twin.facts.items()}
        records["facts"] = defaultdict(set, facts)
        world.stores, world.writes, world.at = twins(replace(twin, **records)), [*self.writes], at
        world.record()
        return world

    @property
    def version(self) -> int:
        """The version of the account after the last transaction."""
        versions = (write.account.version for write in reversed(self.writes) if write.account)
        return next(versions)

    def charge_ended(self, *calls: tuple[str, int], at: datetime | None = None) -> None:
        """Charge calls of organizers that ended so many hours after the end of the month."""
        ends = [(organizer, MONTHS_END + hours * HOUR) for organizer, hours in calls]
        ended_calls = [
            phone_call(
                organization_id=self.organization,
                call_id=f"{organizer}-{end:%d-%H}",
                organizer_id=organizer,
                answered_at=end - 10 * MINUTE,
                ended_at=end,
            )
            for organizer, end in ends
        ]
        batch = [EndedCall(call, at or call.ended_at) for call in ended_calls]
        for result in ChargeCalls(*self.parts)(batch):
            assert isinstance(result, Accepted), result

    # ── What others write ────────────────────────────────────────────────────────────────────

    def charge_several(self) -> None:
        """Calls of three days are charged by one transaction."""
        self.charge_ended(("adele", -13), ("bob", -12), ("enrico", 12), ("bob", 40), at=self.at)

    def rate_again(self) -> None:
        """A license was taken before the month ended."""
        taken = fact(license_attribute("MCOPSTNC"), value=False, since=MONTHS_END - 2 * HOUR)
        self.licensed(taken, user="adele", at=self.at)
        self.rerate()

    def settle(self) -> None:
        """The pool was given up before any call drew on it."""
        self.licensed(fact("purchased:MCOMEETADV", 0, MONTHS_END - 99 * HOUR), at=self.at)
        self.rerate()

    def end_in_another_month(self) -> None:
        """A call ended at another time than its bridge had reported."""
        ended_at = MONTHS_END + 5 * MINUTE
        call = phone_call(
            organization_id=self.organization,
            call_id="bridged",
            organizer_id="bob",
            answered_at=ended_at - 15 * MINUTE,
            ended_at=ended_at,
        )
        (result,) = ChargeCalls(*self.parts)([EndedCall(call, self.at)])
        assert isinstance(result, Accepted)

    def buy(self) -> None:
        """A purchase of the month before arrives."""
        bought = purchase("late", purchased_at=MONTHS_END - HOUR)
        event = processed_event(
            "late", kind=IdentityKind.PURCHASE, organization_id=self.organization
        )
        of_ours = replace(
            bought,
            organization_id=self.organization,
            processed_event=event,
            issued_at=MONTHS_END - HOUR,
        )
        (result,) = BookCredit(self.stores.credit, WITHOUT_WAITING)([of_ours])
        assert isinstance(result, Accepted)


WRITES: Mapping[Callable[[RecordedWorld], None], str] = {
    RecordedWorld.charge_several: "adele-30-23",
    RecordedWorld.rate_again: "adele-30-23",
    RecordedWorld.settle: "enrico-30-21",
    RecordedWorld.end_in_another_month: "bridged",
    RecordedWorld.buy: "adele-30-23",
}
"""What others write, each with a call to explain meanwhile: if it changes any, one of these."""

PERIOD = {"from": "2026-11-29", "to": "2026-12-06"}
QUESTIONS: Mapping[str, dict[str, str]] = {
    "overview": {},
    "usage": {**PERIOD, "groupBy": "day,outcome"},
    "calls": {**PERIOD, "limit": "2"},
    "ledger": {**PERIOD, "limit": "3"},
    "explanation": {},
}
NOW, STATED = ({"month": "2026-11", "basis": basis} for basis in ("now", "stated"))
READ = (
    *((name, parameters, BEFORE_STATED) for name, parameters in QUESTIONS.items()),
    ("statement", STATED, BEFORE_STATED),
    ("statement", STATED, AFTER_STATED),
    ("statement", NOW, AFTER_STATED),
    ("statement", {**NOW, "month": "2026-12"}, BEFORE_STATED),
)
"""Reports with their parameters, and when they are read, and others write."""

LISTED = {"calls": "calls", "ledger": "entries"}


def read(
    world: RecordedWorld,
    reader: ReportReader,
    name: str,
    parameters: Mapping[str, str],
    first: dict[str, Any] | None = None,
) -> Report:
    """Request a report, or its pages after the first one, and return all pages as one."""
    pages = [first or page(world, reader, name, parameters)]
    while (cursor := pages[-1].get("next")) is not None:
        pages.append(page(world, reader, name, {**parameters, "cursor": cursor}))
    assert len({found["asOf"]["version"] for found in pages}) == 1
    whole = dict(pages[0])
    if name in LISTED:
        key = LISTED[name]
        whole[key] = [row for found in pages for row in found[key]]
    return Report(world.organization, name, parameters, whole)


def page(
    world: RecordedWorld, reader: ReportReader, name: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    who = world.organization
    event = http_request(name, at=world.at, organization_id=who, **parameters)
    status, _, answer = asked(reader, event)
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def check(world: RecordedWorld, report: Report, version: int) -> None:
    """A report is what follows from its version, which is none from before it was requested."""
    posted = Posted()
    for write in world.writes:
        posted.add(write)
    assert report.version >= version
    assert list(true_at_its_version(report, posted)) == []


@pytest.fixture(scope="module")
def world() -> RecordedWorld:
    """An organization of which tests use copies."""
    return RecordedWorld(twins())


@pytest.mark.parametrize("question", READ)
@pytest.mark.parametrize(("write", "call_id"), WRITES.items())
def test_a_report_is_one_state_whichever_of_its_requests_others_overtake(
    world: RecordedWorld,
    write: Callable[[RecordedWorld], None],
    call_id: str,
    question: tuple[str, dict[str, str], datetime],
) -> None:
    name, parameters, at = question
    parameters = {**parameters, "callId": call_id}
    for number in range(1, MOST_REQUESTS):
        ours = world.copied(at)
        version = ours.version
        interruption = Interruption(number, partial(write, ours))
        reader = ours.reader_of(watched(ours.stores, [interruption]))
        report = read(ours, reader, name, parameters)
        check(ours, report, version)
        if interruption.requests < number:
            assert number > 2, "nothing was interrupted"
            return
    pytest.fail(f"more than {MOST_REQUESTS} requests")


@pytest.mark.parametrize("write", [RecordedWorld.rate_again, RecordedWorld.settle])
def test_a_report_is_one_state_between_any_two_requests_of_others(
    world: RecordedWorld, write: Callable[[RecordedWorld], None]
) -> None:
    """They make several transactions, between the first page of a listing and the next ones."""
    ours, call_id = world.copied(BEFORE_STATED), WRITES[write]
    reader, begun_at = ours.reader, ours.version
    questions = {name: {**one, "callId": call_id} for name, one in QUESTIONS.items()}
    first = {name: page(ours, reader, name, questions[name]) for name in LISTED}
    found = list[int]()

    def read_all() -> None:
        for name, parameters in questions.items():
            is_listed = name in LISTED
            report = read(ours, reader, name, parameters, first.get(name))
            check(ours, report, begun_at if is_listed else ours.version)
            found.append(report.version)

    ours.stores = watched(ours.stores, [read_all])
    write(ours)
    read_all()
    assert len(set(found)) > 1


def test_a_report_of_dynamodb_is_one_state_although_others_write_while_it_is_read(
    moto_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of them, before the third request: moto copies its tables for each transaction."""
    monkeypatch.setattr(postings, "FIRST_PAGE", 2)
    ours, watcher = RecordedWorld(stores_on(table_names(moto_stack))), list[Any]()
    watch_dynamodb(ours.stores, watcher)
    for name, parameters, write in (
        ("usage", QUESTIONS["usage"], RecordedWorld.charge_several),
        ("calls", QUESTIONS["calls"], RecordedWorld.rate_again),
        ("ledger", QUESTIONS["ledger"], RecordedWorld.end_in_another_month),
        ("statement", NOW, RecordedWorld.buy),
    ):
        version = ours.version
        watcher[:] = [Interruption(3, partial(write, ours))]
        report = read(ours, ours.reader, name, parameters)
        check(ours, report, version)
        assert version < ours.version
