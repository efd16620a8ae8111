"""A charge and a late change, one of them stopped at each of its requests while the other is made;
and the organizations of a batch, whose requests come in any order.

On the twin a request is a call of a store, on ministack one that goes to AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, TypeVar

import pytest
from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    card,
    ended,
    entitled_changes,
    fact,
    processed_event,
    purchase,
)
from interruptions import Interruption, watch_dynamodb, watched
from stores import Stores, stores_on, twins

from perminute.adapters.memory import PublishedRateCards
from perminute.application.apply_licensing import ApplyLicensing, LicensingEvent
from perminute.application.book_credit import BookCredit
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls, ReratingRequest
from perminute.application.results import Accepted, Duplicate
from perminute.application.retry import RetryPolicy
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.licensing.attributes import license_attribute
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reconciliation.reconciliation import reconcile
from perminute_local.replay.run import table_names
from perminute_local.simulation.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from interruptions import Watcher

    from perminute.domain.licensing.timelines import Fact
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.stack import Stack

R = TypeVar("R")

CARD = PublishedRateCards(card())
FUNDS, PAID = 50 * MICROS, 150_000
NOVEMBER = Month(2026, 11)
BEFORE = ANSWERED - timedelta(days=1)
MOST_REQUESTS = 60


@dataclass
class Side:
    """The functions of one process; `watcher` holds what interrupts it."""

    stores: Stores
    watcher: Watcher

    def functions(self) -> tuple[ChargeCalls, ApplyLicensing, RerateCalls]:
        stores, retry = self.stores, RetryPolicy(sleep=lambda _: None)
        remembered = LicensingCache(stores.licensing)
        return (
            ChargeCalls(stores.credit, stores.calls, remembered, CARD, retry),
            ApplyLicensing(stores.licensing, retry),
            RerateCalls(
                RecordedCalls(
                    credit=stores.credit,
                    calls=stores.calls,
                    licensing=LicensingCache(stores.licensing),
                    rate_cards=CARD,
                    retry=retry,
                ),
                stores.reratings,
            ),
        )


@pytest.fixture(params=["twin", "ministack"])
def sides(request: pytest.FixtureRequest) -> tuple[Side, Side]:
    """One that is watched, and one that is not, over the same data."""
    watcher: Watcher = []
    if request.param == "twin":
        stores = twins()
        return Side(watched(stores, watcher), watcher), Side(stores, [])
    stack: Stack = request.getfixturevalue("ministack_stack")
    tables = table_names(stack)
    mine, theirs = stores_on(tables), stores_on(tables)
    watch_dynamodb(mine, watcher)
    return Side(mine, watcher), Side(theirs, [])


def set_up(side: Side, organization: str, *facts: Fact) -> None:
    """Credit, an organizer who may use it, and a call that was charged."""
    stores = side.stores
    stores.licensing.record(organization, entitled_changes(organization))
    for number, one in enumerate(facts):
        _said(side, organization, f"set-up-{number}", one)
    bought = processed_event("po", kind=IdentityKind.PURCHASE, organization_id=organization)
    event = purchase(amount=50, organization_id=organization, processed_event=bought)
    assert isinstance(BookCredit(stores.credit, RetryPolicy())([event])[0], Accepted)
    charge(side, organization, "charged-before")


def _said(side: Side, organization: str, name: str, one: Fact) -> None:
    subject = "adele" if one.attribute.startswith("license:") else None
    change = LicensingChange(organization, subject, (one,))
    proof = processed_event(f"{organization}-{name}", organization_id=organization)
    _, apply, _ = side.functions()
    assert apply([LicensingEvent(change, proof, ANSWERED)]) == [Accepted(None)]


def charge(side: Side, organization: str, call_id: str) -> None:
    charging, _, _ = side.functions()
    (result,) = charging([ended(organization_id=organization, call_id=call_id)])
    assert isinstance(result, Accepted), result


def change(side: Side, organization: str, one: Fact) -> None:
    """Take the news in, and carry out at once what it calls for."""
    _said(side, organization, "late", one)
    carry_out(side, organization)


def carry_out(side: Side, organization: str) -> None:
    _, _, rerate = side.functions()
    (result,) = rerate([ReratingRequest(organization)])
    assert isinstance(result, Accepted), result


def usages(side: Side, organization: str) -> list[Usage]:
    return sorted(
        side.stores.calls.usages(organization, ["charged-before", "in-flight"]),
        key=lambda usage: usage.call.call_id,
    )


def interleavings(
    sides: tuple[Side, Side],
    organization: str,
    facts: tuple[Fact, ...],
    late: Fact,
    *,
    stopped: str,
) -> Iterator[str]:
    """Stop the charge or the change at each of its requests; gives an organization for each."""
    watched, free = sides
    for at in range(1, MOST_REQUESTS):
        name = f"{organization}-{at}"
        set_up(free, name, *facts)
        if stopped == "charge":
            interruption = Interruption(at, lambda name=name: change(free, name, late))  # type: ignore[misc]
            watched.watcher[:] = [interruption]
            charge(watched, name, "in-flight")
        else:
            interruption = Interruption(at, lambda name=name: charge(free, name, "in-flight"))  # type: ignore[misc]
            watched.watcher[:] = [interruption]
            change(watched, name, late)
        watched.watcher.clear()
        if interruption.requests < interruption.at:
            assert at > 3, "nothing was interrupted"
            return
        yield name
    pytest.fail(f"more than {MOST_REQUESTS} requests")


LOST = fact(license_attribute("MCOMEETACPEA"), value=False, since=BEFORE, event_id="late")
SUBSCRIBED = fact(license_attribute("MCOMEETADV"), value=True, event_id="s-1")
BOUGHT = fact("purchased:MCOMEETADV", 1, LONG_AGO, "s-2")
GIVEN_UP = fact("purchased:MCOMEETADV", 0, BEFORE, "late")


@pytest.mark.parametrize("stopped", ["charge", "change"])
def test_a_call_in_flight_never_misses_the_loss_of_a_license(
    sides: tuple[Side, Side], organization: str, stopped: str
) -> None:
    _, free = sides
    for name in interleavings(sides, organization, (), LOST, stopped=stopped):
        assert [one.outcome for one in usages(free, name)] == [Outcome.NOT_ENTITLED] * 2
        account = free.stores.credit.account(name)
        assert account.balance_micros == FUNDS
        assert reconcile(free.stores.credit.statement(name)) == ()


@pytest.mark.parametrize("stopped", ["charge", "change"])
def test_a_call_in_flight_never_misses_that_the_pool_was_given_up(
    sides: tuple[Side, Side], organization: str, stopped: str
) -> None:
    _, free = sides
    facts = (SUBSCRIBED, BOUGHT)
    for name in interleavings(sides, organization, facts, GIVEN_UP, stopped=stopped):
        # What a change that is overtaken has left unsettled wakes the function again.
        carry_out(free, name)
        assert [(one.outcome, one.pool_minutes) for one in usages(free, name)] == [
            (Outcome.CHARGED, 0)
        ] * 2
        account = free.stores.credit.account(name)
        assert account.balance_micros == FUNDS - 2 * PAID
        pool = free.stores.credit.pools(name, [NOVEMBER])[NOVEMBER]
        assert (pool.used, pool.unsettled) == (0, None)
        assert reconcile(free.stores.credit.statement(name)) == ()


@pytest.mark.parametrize("stopped", ["charge", "change"])
def test_a_call_in_flight_never_misses_a_subscription_that_draws_on_the_pool(
    sides: tuple[Side, Side], organization: str, stopped: str
) -> None:
    _, free = sides
    late = replace(SUBSCRIBED, effective_at=BEFORE, event_id="late")
    few = fact("poolMinutesPerLicense", 15, LONG_AGO, "s-3")
    for name in interleavings(sides, organization, (BOUGHT, few), late, stopped=stopped):
        carry_out(free, name)
        drawn = [(one.outcome, one.pool_minutes) for one in usages(free, name)]
        assert drawn == [(Outcome.POOLED, 10), (Outcome.CHARGED, 5)]
        account = free.stores.credit.account(name)
        assert account.balance_micros == FUNDS - PAID // 2
        assert reconcile(free.stores.credit.statement(name)) == ()


# ── Organizations of one batch ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class TakingTurns:
    """Lets the requests of the watched side decide, by a seed, which task continues."""

    seed: int
    watcher: Watcher

    def __call__(self, tasks: Sequence[Callable[[], R]], /) -> list[R]:
        turns = Turns(Random(self.seed))
        self.watcher[:] = [turns.pass_on]
        try:
            return turns.run_all(tasks)
        finally:
            self.watcher.clear()


@pytest.mark.parametrize("seed", range(8))
def test_organizations_of_a_batch_end_as_if_one_came_after_the_other(
    sides: tuple[Side, Side], organization: str, seed: int
) -> None:
    """One is entitled, one has lost its license, one draws on a pool, and one is charged again."""
    watched, free = sides
    names = {
        name: f"{organization}-{seed}-{name}" for name in ("paying", "lost", "pooled", "again")
    }
    facts = {"lost": (LOST,), "pooled": (SUBSCRIBED, BOUGHT)}
    for name, one in names.items():
        set_up(free, one, *facts.get(name, ()))
    charge(free, names["again"], "in-flight")
    batch = [
        replace(ended(organization_id=one, call_id=call_id), event_id=f"{one}-{call_id}")
        for call_id in ("in-flight", "charged-before", "third")
        for one in names.values()
    ]
    charging, _, _ = watched.functions()
    results = replace(charging, run_all=TakingTurns(seed, watched.watcher))(batch)
    repeated = {f"{names['again']}-in-flight"} | {f"{one}-charged-before" for one in names.values()}
    assert {
        end.event_id
        for end, result in zip(batch, results, strict=True)
        if isinstance(result, Duplicate)
    } == repeated
    accepted = [result.result.call for result in results if isinstance(result, Accepted)]
    assert accepted == [end.call for end in batch if end.event_id not in repeated]
    assert {
        name: ([usage.outcome for usage in usages(free, one)], balance_micros(free, one))
        for name, one in names.items()
    } == {
        "paying": ([Outcome.CHARGED] * 2, FUNDS - 3 * PAID),
        "lost": ([Outcome.NOT_ENTITLED] * 2, FUNDS),
        "pooled": ([Outcome.POOLED] * 2, FUNDS),
        "again": ([Outcome.CHARGED] * 2, FUNDS - 3 * PAID),
    }
    for one in names.values():
        assert reconcile(free.stores.credit.statement(one)) == ()


def balance_micros(side: Side, organization: str) -> int:
    return side.stores.credit.account(organization).balance_micros
