"""Bugs are put back, and worlds break: what finds nothing may simply not look."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING
from unittest.mock import patch

import planted_adapter_bugs
import planted_bugs
import planted_digest_bugs
import planted_erasure_bugs
import planted_event_bugs
import planted_forecast_bugs
import planted_lot_bugs
import planted_masking_bugs
import planted_posting_bugs
import planted_rate_card_bugs
import planted_record_bugs
import planted_report_bugs
import pytest
from planted_adapter_bugs import ADAPTER_BUGS
from planted_bugs import (
    BUGS,
    corrected_without_settling,
    deciding_on_the_calls_of_whoever_came_last,
    sharing_causes_among_organizations,
    without_does_not_exist,
    without_version,
)
from planted_digest_bugs import DIGEST_BUGS, counting_before_the_day_is_over
from planted_erasure_bugs import ERASURE_BUGS
from planted_event_bugs import EVENT_BUGS, refusing_half_a_surrogate_pair_anywhere
from planted_forecast_bugs import FORECAST_BUGS
from planted_lot_bugs import LOT_BUGS
from planted_masking_bugs import MASKING_BUGS
from planted_posting_bugs import POSTING_BUGS
from planted_rate_card_bugs import RATE_CARD_BUGS
from planted_record_bugs import RECORD_BUGS
from planted_report_bugs import REPORT_BUGS

from perminute.application.side_by_side import in_order
from perminute_local import simulation
from perminute_local.simulation.faults import ALL_FAULTS, ONE, Fault, FaultRates
from perminute_local.simulation.invariants.invariant import PROMISES
from perminute_local.simulation.turns import InTurns
from perminute_local.simulation.world import Over, World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.stack import Template

BOOKS = "balance = ledger = lots less debt"
RESERVED = "reserved = open reservations"
COVERED = "authorized calls never take a balance below zero"
CROSSINGS = "one id for each crossing"
RECHARGED = "one recharge id for one crossing"
SETTLED = "everything settles"
AGREE = "stored items do not contradict each other"
CAUTIOUS = "of two statements of one instant the cautious one holds"

SEEDS = range(12)
EVENTS = 100
MORE_EVENTS: dict[Callable[[], AbstractContextManager[None]], int] = {
    corrected_without_settling: 150,
    sharing_causes_among_organizations: 300,
    counting_before_the_day_is_over: 300,
}
"""Worlds in which a wrong card is corrected are few, and pools matter in few of these; credit
seldom expires while an organization and another one are charged by one batch; and a daily run
seldom comes while calls of its own day are still to be counted."""

BUGS_OVER_MOTO = [
    (
        without_does_not_exist,
        12,
        {
            # A call that is charged twice may take more than it had reserved before the books are
            # read; one that nobody pays for moves nothing, and is notified of twice.
            *(BOOKS, RESERVED, COVERED, CROSSINGS),
            # Where usage is written over, a condition on its list of calls fails for ever, or the
            # call is listed twice.
            *(SETTLED, "each call is what its list and its revisions make of it"),
        },
    ),
    (
        without_version,
        23,
        {
            *(BOOKS, RESERVED, COVERED),
            CAUTIOUS,  # the settings that were written over may have been the cautious ones
            AGREE,  # an account that is written over no longer counts all facts about its users
            RECHARGED,  # nor does it know the recharge that it asked for
        },
    ),
]
"""Each bug with a seed, and the promises of which it breaks one in the world of that seed."""


_OF_ONE_PROMISE = (
    DIGEST_BUGS,
    ERASURE_BUGS,
    EVENT_BUGS,
    FORECAST_BUGS,
    LOT_BUGS,
    MASKING_BUGS,
    POSTING_BUGS,
    RATE_CARD_BUGS,
    RECORD_BUGS,
    REPORT_BUGS,
)

ALL_BUGS: dict[Callable[[], AbstractContextManager[None]], set[str]] = {
    **BUGS,
    **{bug: {promise} for bugs in _OF_ONE_PROMISE for bug, promise in bugs.items()},
    # Events and requests are read alike.
    refusing_half_a_surrogate_pair_anywhere: {
        "a right event is taken",
        "a right request is answered",
    },
}
"""Each bug that the twins can have, with the promises of which it breaks one."""


def broken_promises(
    template: Template, faults: frozenset[Fault] = ALL_FAULTS, events: int = EVENTS
) -> Iterator[Broken]:
    """Yield what is broken in one world after the other: who has seen enough stops there."""
    for seed in SEEDS:
        broken = simulate(World(seed=seed, events=events, faults=faults), template).broken
        if broken is not None:
            yield broken


@pytest.mark.thorough
@pytest.mark.parametrize(("bug", "promises"), ALL_BUGS.items())
def test_a_bug_breaks_its_promise(
    template: Template,
    bug: Callable[[], AbstractContextManager[None]],
    promises: set[str],
) -> None:
    found = []
    with bug():
        for broken in broken_promises(template, events=MORE_EVENTS.get(bug, EVENTS)):
            if broken.promise in promises:
                return
            found.append(broken)
    pytest.fail(f"in {len(found)} worlds was found {found}")


@pytest.mark.thorough
@pytest.mark.parametrize(("bug", "seed", "promises"), BUGS_OVER_MOTO)
def test_a_condition_that_dynamodb_is_not_told_breaks_a_world_over_moto(
    template: Template,
    bug: Callable[[], AbstractContextManager[None]],
    seed: int,
    promises: set[str],
) -> None:
    """In a world in which functions do hardly anything but overtake each other, twice."""
    world = World(seed=seed, events=12, over=Over.MOTO)
    rates = FaultRates({Fault.OVERTAKE: ONE // 2, Fault.DUPLICATE: ONE // 5})
    assert simulate(world, template, rates).broken is None
    with bug():
        broken = simulate(world, template, rates).broken
    assert broken is not None
    assert broken.promise in promises


@pytest.mark.thorough
def test_it_takes_faults_to_find_that_a_version_is_missing(template: Template) -> None:
    """Nothing goes wrong by itself: what finds this bug is that functions overtake each other."""
    with without_version():
        assert [*broken_promises(template, ALL_FAULTS - {Fault.OVERTAKE})] == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    "bug", [sharing_causes_among_organizations, deciding_on_the_calls_of_whoever_came_last]
)
def test_it_takes_organizations_that_take_turns_to_find_what_they_share(
    template: Template, bug: Callable[[], AbstractContextManager[None]]
) -> None:
    one_by_one = patch.object(InTurns, "__call__", lambda _, tasks: in_order(tasks))
    with bug(), one_by_one:
        assert simulate(World(seed=SEEDS[0], events=300), template).broken is None


@pytest.mark.parametrize("bug", [*ALL_BUGS, *ADAPTER_BUGS])
def test_a_bug_can_be_planted(bug: Callable[[], AbstractContextManager[None]]) -> None:
    """It replaces something that exists: else only `make thorough` would find it missing."""
    with bug():
        pass


def test_each_promise_is_broken_by_a_bug() -> None:
    """What no bug breaks may be a promise that nothing looks at."""
    broken = {*ADAPTER_BUGS.values(), *chain.from_iterable(ALL_BUGS.values())}
    broken |= {promise for *_, promises in BUGS_OVER_MOTO for promise in promises}
    assert broken == promised()


def test_each_bug_that_is_planted_is_looked_for() -> None:
    assert set(bugs_in(planted_bugs)) == set(BUGS)
    assert set(bugs_in(planted_event_bugs)) == set(EVENT_BUGS)
    assert set(bugs_in(planted_adapter_bugs)) == set(ADAPTER_BUGS)
    assert set(bugs_in(planted_digest_bugs)) == set(DIGEST_BUGS)
    assert set(bugs_in(planted_erasure_bugs)) == set(ERASURE_BUGS)
    assert set(bugs_in(planted_forecast_bugs)) == set(FORECAST_BUGS)
    assert set(bugs_in(planted_lot_bugs)) == set(LOT_BUGS)
    assert set(bugs_in(planted_masking_bugs)) == set(MASKING_BUGS)
    assert set(bugs_in(planted_posting_bugs)) == set(POSTING_BUGS)
    assert set(bugs_in(planted_rate_card_bugs)) == set(RATE_CARD_BUGS)
    assert set(bugs_in(planted_record_bugs)) == set(RECORD_BUGS)
    assert set(bugs_in(planted_report_bugs)) == set(REPORT_BUGS)
    assert len({*BUGS, *EVENT_BUGS, *ADAPTER_BUGS}) >= 30


def bugs_in(module: ModuleType) -> Iterator[object]:
    for name, one in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("_") and one.__module__ == module.__name__:
            yield one


def promised() -> set[str]:
    """Return what all invariants of the simulator promise."""
    for module in pkgutil.walk_packages(simulation.__path__, f"{simulation.__name__}."):
        import_module(module.name)
    return PROMISES
