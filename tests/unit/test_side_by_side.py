"""The organizations of a batch, charged in threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from threading import Barrier, Event, active_count, current_thread
from typing import TYPE_CHECKING, Any

import pytest
from builders import WITHOUT_WAITING, card, ended, entitled_changes

from perminute.adapters.dynamodb.tables import connect
from perminute.adapters.memory import InMemoryCalls, InMemoryStore, PublishedRateCards
from perminute.application.charge_calls import ChargeCalls
from perminute.application.correlation import caused_by, correlation_id
from perminute.application.licensing_cache import LicensingCache
from perminute.application.results import Accepted
from perminute.application.retry import Deadline
from perminute.application.side_by_side import WORKERS, InThreads, RunAll, in_order
from perminute.aws import AwsResources
from perminute.domain.errors import Unavailable
from perminute_local.bench.imports import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction

PATIENCE = 10  # seconds; nothing waits so long unless it hangs
ORGANIZATIONS = [f"organization-{number}" for number in range(WORKERS)]


def test_as_many_tasks_as_there_are_workers_wait_at_once_and_results_are_in_order() -> None:
    barrier = Barrier(WORKERS, timeout=PATIENCE)

    def meet(number: int) -> int:
        barrier.wait()
        return number

    run_all = InThreads()
    numbers = range(3 * WORKERS)
    assert run_all([partial(meet, number) for number in numbers]) == [*numbers]
    threads = active_count()
    assert run_all([partial(meet, number) for number in numbers]) == [*numbers]
    assert active_count() == threads


def test_one_task_needs_no_thread() -> None:
    threads = active_count()
    run_all = InThreads()
    assert run_all([current_thread]) == [current_thread()]
    assert run_all([]) == []
    assert active_count() == threads


def test_a_task_that_fails_is_raised_once_all_others_have_ended() -> None:
    failed, done = Event(), []

    def fail(error: Exception) -> None:
        failed.set()
        raise error

    def end_later() -> None:
        assert failed.wait(PATIENCE)
        threading.Event().wait(0.05)
        done.append("ended")

    tasks: list[Callable[[], None]] = [
        partial(fail, KeyError()),
        partial(fail, ValueError()),
        end_later,
        end_later,
    ]
    with pytest.raises(KeyError):
        InThreads()(tasks)
    assert done == ["ended", "ended"]


def test_tasks_have_the_causes_of_their_run_until_they_name_their_own() -> None:
    barrier = Barrier(2, timeout=PATIENCE)

    def name(event_id: str) -> tuple[str, str]:
        before = correlation_id()
        with caused_by(event_id):
            barrier.wait()  # both have named theirs
            return before, correlation_id()

    with caused_by("run"):
        named = InThreads()([partial(name, "e-1"), partial(name, "e-2")])
        assert named == [("run", "e-1"), ("run", "e-2")]
        assert correlation_id() == "run"


@dataclass
class Meeting(InMemoryStore):
    """A store whose first commits wait for each other, one of each organization."""

    barrier: Barrier = field(default_factory=lambda: Barrier(WORKERS, timeout=PATIENCE))
    met: set[str] = field(default_factory=set)
    at_once: set[str] = field(default_factory=set)

    def commit(self, transaction: Transaction) -> None:
        who = transaction.before.organization_id
        assert who not in self.at_once, f"two transactions of {who} at once"
        self.at_once.add(who)
        if who not in self.met:
            self.met.add(who)
            self.barrier.wait()
        super().commit(transaction)
        self.at_once.remove(who)


def charging(store: InMemoryStore, run_all: RunAll | None = None) -> ChargeCalls:
    return ChargeCalls(
        store,
        InMemoryCalls(store),
        LicensingCache(store),
        PublishedRateCards(card()),
        WITHOUT_WAITING,
        run_all=run_all or InThreads(),
    )


def entitled(store: InMemoryStore) -> InMemoryStore:
    for organization_id in ORGANIZATIONS:
        store.record(organization_id, entitled_changes(organization_id))
    return store


def test_organizations_are_charged_at_once_and_the_calls_of_one_in_their_order() -> None:
    store = entitled(Meeting())
    # Each organization has more calls than one transaction takes.
    calls = [
        ended(organization_id=organization_id, call_id=f"call-{number:03d}")
        for number in range(150)
        for organization_id in ORGANIZATIONS
    ]
    results = charging(store)(calls)
    charged = [result.result.call for result in results if isinstance(result, Accepted)]
    assert charged == [end.call for end in calls]
    for organization_id in ORGANIZATIONS:
        listed = [one.call.call_id for one in store.usages_of(organization_id)]
        assert listed == sorted(listed)
        assert store.account(organization_id).version == 1 + 2  # its licenses, two transactions


def test_an_organization_whose_store_fails_does_not_fail_the_others() -> None:
    @dataclass
    class Failing(InMemoryStore):
        def account(self, organization_id: str) -> Account:
            if organization_id == ORGANIZATIONS[3]:
                raise Unavailable(organization_id)
            return super().account(organization_id)

    store = entitled(Failing())
    calls = [ended(organization_id=organization_id) for organization_id in ORGANIZATIONS]
    results = charging(store)(calls)
    assert [n for n, one in enumerate(results) if not isinstance(one, Accepted)] == [3]
    assert isinstance(results[3], Unavailable)


def test_an_organization_that_is_not_begun_in_time_is_charged_by_the_next_delivery() -> None:
    store = entitled(InMemoryStore())
    calls = [ended(organization_id=organization_id) for organization_id in ORGANIZATIONS]
    for run_all in (InThreads(), in_order):
        charge = charging(store, run_all)
        assert {type(one) for one in charge(calls, Deadline(at=0))} == {Unavailable}
    assert store.usages == {}


def test_the_client_has_a_connection_for_each_worker() -> None:
    config: Any = connect("us-east-1").client.meta.config
    assert config.max_pool_connections >= WORKERS


def test_a_thread_makes_a_client_on_the_session_of_its_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    function = AwsResources(SETTINGS)
    # pynamodb would open another session in each thread.
    monkeypatch.delattr("pynamodb.connection.base.get_session")
    tasks: list[Callable[[], Any]] = [partial(function.client, "sqs"), current_thread]
    client, thread = InThreads()(tasks)
    assert client.meta.service_model.service_name == "sqs"
    assert thread != current_thread()
