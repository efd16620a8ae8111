"""Daily runs: pages of organizations, then each organization by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from builders import ANSWERED, ENDED

from perminute.adapters.memory import InMemoryStore, SentWork
from perminute.adapters.messaging import work_body
from perminute.application.daily_runs import DailyRun, ListedPage, ListOrganizations
from perminute.application.results import Accepted
from perminute.application.retry import NEVER, Deadline
from perminute.daily_runs import work_of
from perminute.domain.credit.accounts import Account
from perminute.domain.errors import Refused, Unavailable
from perminute.ports.messaging import RunOrganization, RunPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUSY = Unavailable("busy")


@dataclass
class Report:
    organization_id: str
    goes_on: bool = False
    failed: Unavailable | None = None


@dataclass
class World:
    """A store with organizations, and a queue whose messages are worked off."""

    organizations: int = 7
    store: InMemoryStore = field(default_factory=InMemoryStore)
    queue: SentWork = field(default_factory=SentWork)
    done: list[str] = field(default_factory=list)
    in_pieces: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(self.organizations):
            name = f"org-{number}"
            self.store.accounts[name] = Account(organization_id=name, version=1)
            self.store.listed.add(name)
        listing = ListOrganizations(self.store, self.queue, page_size=3)
        self.run = DailyRun(listing, self.does)

    def does(self, work: RunOrganization, _: Deadline) -> Report:
        left = self.in_pieces.get(work.organization_id, 0)
        if left:
            self.in_pieces[work.organization_id] = left - 1
            return Report(work.organization_id, goes_on=True)
        if work.organization_id == "stuck":
            return Report("stuck", failed=BUSY)
        self.done.append(work.organization_id)
        return Report(work.organization_id)

    def work_off(self) -> list[ListedPage]:
        listed: list[ListedPage] = []
        while self.queue.sent:
            work, self.queue.sent = self.queue.sent, []
            worked = self.run(work, NEVER)
            assert all(isinstance(one, Accepted) for one in worked.results)
            listed += worked.pages
        return listed


def test_a_run_lists_page_after_page_and_does_each_organization_once() -> None:
    world = World()
    world.run.organizations.begin(ANSWERED)
    assert world.work_off() == [
        ListedPage(3, 3, is_last=False),
        ListedPage(3, 6, is_last=False),
        ListedPage(1, 7, is_last=True),
    ]
    assert sorted(world.done) == [f"org-{number}" for number in range(7)]


def test_a_run_that_takes_a_day_for_over_says_so_to_each_organization_that_is_due_by_then() -> None:
    world = World(organizations=4)
    due_at = ANSWERED + timedelta(hours=9)
    for name, account in world.store.accounts.items():
        world.store.accounts[name] = account._replace(digests_due_at=due_at)
    listing = ListOrganizations(world.store, world.queue, only_due=True, page_size=3)
    for until in (None, due_at - timedelta(seconds=1)):
        assert listing(RunPage(ANSWERED, days_until=until)).organizations == 0
    listing(RunPage(ANSWERED, days_until=due_at))
    assert world.queue.sent == [
        *(RunOrganization(ANSWERED, f"org-{number}", due_at) for number in range(3)),
        RunPage(ANSWERED, "org-2", 3, due_at),
    ]


def test_a_run_over_nobody_ends_with_its_first_page() -> None:
    world = World(organizations=0)
    world.run.organizations.begin(ANSWERED)
    assert world.work_off() == [ListedPage(0, 0, is_last=True)]


def test_a_page_that_is_not_queued_whole_is_listed_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, page = World(), RunPage(ANSWERED, "org-2", 3)
    monkeypatch.setattr(world.queue, "send", fails_at(2, world.queue))
    assert world.run([page], NEVER).results == [BUSY]
    assert len(world.queue.sent) == 3, "the organizations are queued, the next page is not"
    assert isinstance(world.run([page], NEVER).results[0], Accepted)
    assert world.queue.sent[-1] == RunPage(ANSWERED, "org-5", 6)


def fails_at(number: int, queue: SentWork) -> Callable[[Sequence[RunPage | RunOrganization]], None]:
    times, send = count(1), queue.send

    def sometimes(work: Sequence[RunPage | RunOrganization]) -> None:
        if next(times) == number:
            raise BUSY
        send(work)

    return sometimes


def test_one_organization_that_fails_comes_again_and_no_other() -> None:
    world = World()
    work = [RunOrganization(ANSWERED, name) for name in ("a", "stuck", "b")]
    worked = world.run(work, NEVER)
    assert worked.results == [Accepted(work[0]), BUSY, Accepted(work[2])]
    assert [one.organization_id for one in worked.reports] == ["a", "stuck", "b"]
    assert world.done == ["a", "b"]


def test_what_goes_on_is_queued_once_more_until_it_is_done() -> None:
    world = World(in_pieces={"a": 3})
    world.queue.send([RunOrganization(ANSWERED, "a")])
    world.work_off()
    assert (world.done, world.in_pieces) == (["a"], {"a": 0})


def test_what_time_does_not_suffice_for_is_queued_once_more_and_has_not_failed() -> None:
    world = World()
    work = [RunOrganization(ANSWERED, name) for name in ("a", "b", "c")]
    clock = iter([0, 1, 1])
    worked = world.run(work, Deadline(at=1, clock=lambda: next(clock)))
    assert worked.results == [Accepted(one) for one in work]
    assert (world.done, world.queue.sent) == (["a"], work[1:])


def test_what_cannot_be_queued_once_more_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(in_pieces={"a": 1})
    monkeypatch.setattr(world.queue, "send", fails_at(1, world.queue))
    assert world.run([RunOrganization(ANSWERED, "a")], NEVER).results == [BUSY]


@pytest.mark.parametrize(
    "work",
    [
        RunPage(ANSWERED),
        RunPage(ANSWERED, '{"listedAs": {"S": "account"}}', 1_000),
        RunPage(ANSWERED, days_until=ENDED),
        RunOrganization(ANSWERED, "contoso"),
        RunOrganization(ANSWERED, "contoso", ENDED),
    ],
)
def test_a_message_is_read_as_it_was_written(work: RunPage | RunOrganization) -> None:
    assert work_of(work_body(work)) == work


@pytest.mark.parametrize(
    "body",
    [
        "not JSON",
        "[]",
        "{}",
        '{"at": "yesterday", "listed": 0, "after": null}',
        '{"at": "2026-11-02T00:05:00Z", "listed": "x", "after": null}',
        '{"at": "2026-11-02T00:05:00Z", "organizationId": ""}',
        '{"at": "2026-11-02T00:05:00Z", "organizationId": "contoso", "daysUntil": "tomorrow"}',
        '{"at": "2026-11-02T00:05:00Z", "organizationId": 7}',
    ],
)
def test_what_is_no_work_is_refused(body: str) -> None:
    with pytest.raises(Refused):
        work_of(body)
