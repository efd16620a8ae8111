"""Worlds in which everything goes wrong that can, and no cent is lost or doubled in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING, get_args

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from perminute.domain.credit.transaction import AccountChanged, AlreadyExists
from perminute.domain.errors import Unavailable
from perminute_local.simulation.backends import moto, twin_faults
from perminute_local.simulation.command import report_of
from perminute_local.simulation.faults import (
    ALL_FAULTS,
    ONE,
    PER_REQUEST,
    Fault,
    FaultInjector,
    FaultRates,
    Killed,
)
from perminute_local.simulation.plan import Action, Quiesce
from perminute_local.simulation.world import Over, World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.stack import Template


QUICK = (4, 10)
"""Worlds that other tests look at as well."""


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=() if seed in QUICK else pytest.mark.thorough) for seed in range(20)],
)
def test_over_the_twins(
    template: Template, simulated: Callable[[World], Outcome], seed: int
) -> None:
    world = World(seed=seed, events=100)
    outcome = simulated(world)
    assert outcome.broken is None, report_of(world, outcome, template)


def test_a_call_that_is_rated_again_under_a_pseudonym_has_not_changed(template: Template) -> None:
    """Twice, so that it is as before: the statement of its month has no change to show."""
    faults = frozenset({Fault.CLOCK, Fault.OVERTAKE})
    items = (0, 4, 6, 66, 202, 430, 467, 475, 477, 731, 732)
    world = World(seed=393, faults=faults, items=items)
    outcome = simulate(world, template)
    assert outcome.broken is None, report_of(world, outcome, template)
    # Otherwise the plan is another one, and this world shows nothing any more.
    assert any("erased None of erased-0" in line for line in outcome.history)
    assert outcome.history[-1].endswith(
        "creditsNotSetUp 0, 0 minutes of the pool, entry None, rerated"
    )


# Of the first 60 seeds, 50 makes the fewest requests: they take long over moto.
@pytest.mark.parametrize(
    "world",
    [
        World(seed=50, events=1, over=Over.MOTO),
        pytest.param(World(seed=3, events=20, over=Over.MOTO), marks=pytest.mark.thorough),
    ],
)
def test_over_moto(template: Template, world: World) -> None:
    outcome = simulate(world, template)
    assert outcome.broken is None, report_of(world, outcome, template)
    assert outcome.requests > 100


def test_every_kind_of_fault_happens(simulated: Callable[[World], Outcome]) -> None:
    happened = Counter[Fault]()
    # Each world has some kinds; these two have all of them together.
    for seed in QUICK:
        happened += Counter(simulated(World(seed=seed, events=100)).faults)
    assert set(happened) == ALL_FAULTS
    assert min(happened.values()) >= 1


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind is Fault.TIMEOUT_AFTER else pytest.mark.thorough)
        for kind in PER_REQUEST
        if kind is not Fault.OVERTAKE
    ],
)
def test_where_every_request_fails_all_is_done_once_they_do_not(
    template: Template, kind: Fault
) -> None:
    """What was done without an answer is done once, what was not is done later; nothing is lost."""
    world = World(seed=11, events=12)
    outcome = simulate(world, template, FaultRates({kind: ONE}))
    assert outcome.broken is None
    assert outcome.faults[kind] >= 10


@pytest.mark.parametrize(
    "refusal", [AccountChanged(), AlreadyExists(), ClientError({}, "TransactWriteItems")]
)
@pytest.mark.parametrize(
    ("fault", "unanswered", "result"),
    [
        (Fault.KILL, None, Killed),
        (Fault.TIMEOUT_AFTER, twin_faults.unanswered, Unavailable),
        (Fault.TIMEOUT_AFTER, moto._hang, ReadTimeoutError),  # noqa: SLF001 - how the fault shows
    ],
)
def test_a_refusal_whose_answer_is_lost_is_not_known_to_the_function(
    fault: Fault,
    unanswered: Callable[[Callable[[], None]], None] | None,
    result: type[BaseException],
    refusal: Exception,
) -> None:
    injector, requests = FaultInjector(FaultRates({fault: ONE})), []

    def refuse() -> None:
        requests.append(refusal)
        raise refusal

    with injector.invocation(Random(0)):
        for _ in range(8):  # of kills some are before the request
            with pytest.raises(result):
                injector.carry_out(
                    "commit", refuse, lambda _: unanswered and partial(unanswered, refuse)
                )
    assert requests


def test_without_faults_nothing_goes_wrong_at_all(template: Template) -> None:
    outcome = simulate(World(seed=1, events=60, faults=frozenset()), template)
    assert outcome.broken is None
    assert not outcome.faults
    assert not any("dead letter" in line for line in outcome.history)


def test_one_seed_has_one_history_whatever_was_before_it(
    template: Template, simulated: Callable[[World], Outcome]
) -> None:
    world = World(seed=4, events=100)
    first = simulated(world)
    simulate(World(seed=5, events=40), template)
    assert simulate(world, template).history == first.history
    assert simulated(replace(world, seed=10)).history != first.history


@pytest.mark.parametrize(
    "world",
    [
        World(seed=3, events=12),
        pytest.param(World(seed=4, events=12, over=Over.ADVERSE), marks=pytest.mark.thorough),
    ],
)
def test_another_process_has_the_same_history(
    simulated: Callable[[World], Outcome], world: World
) -> None:
    """Sets and dictionaries of text have another order in each process."""
    program = (
        "from perminute_local.simulation.world import Over, World, simulate\n"
        "from perminute_local.stack import load_template\n"
        f"world = World(seed={world.seed}, events={world.events}, over=Over('{world.over}'))\n"
        "print(simulate(world, load_template()).digest)\n"
    )
    done = subprocess.run(  # noqa: S603 - this interpreter, and our own program
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == simulated(world).digest


def test_what_is_left_out_of_a_plan_changes_nothing_about_the_rest() -> None:
    plan = World(seed=1).plan()
    kinds = {type(item.action).__name__ for item in plan.items}
    assert kinds == {kind.__name__ for kind in get_args(Action)}
    assert [item.number for item in plan.items] == list(range(len(plan.items)))
    longer = World(seed=1, events=400).plan()
    same = len(plan.items) - 1
    assert isinstance(plan.items[-1].action, Quiesce)
    assert longer.items[:same] == plan.items[:same]


def test_each_kind_of_fault_is_often_rare_and_absent_in_some_seeds() -> None:
    all_rates = [FaultRates.of(seed) for seed in range(100)]
    for kind in Fault:
        rates = {rates_of.rate(kind) for rates_of in all_rates}
        assert 0 in rates
        assert max(rates) >= 40
    only_kills = FaultRates.of(3, {Fault.KILL})
    assert {kind for kind in ALL_FAULTS if only_kills.rate(kind)} <= {Fault.KILL}
