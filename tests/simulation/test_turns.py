"""The organizations of a batch, of which chance says at each request whose turn it is."""

from __future__ import annotations

from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

from perminute_local.simulation.faults import ONE, Fault, FaultInjector, FaultRates, Killed
from perminute_local.simulation.turns import InTurns, Turns
from perminute_local.simulation.world import World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.stack import Template

NAMES = "abc"


def interleaved(
    seed: int,
    fail: Callable[[str], object] = lambda _: None,
    rates: FaultRates | None = None,
    *,
    is_off: bool = False,
) -> tuple[str, list[str]]:
    """Run tasks that make three requests each; return these in their order, and the results."""
    injector, made = FaultInjector(rates or FaultRates(), is_off=is_off), list[str]()

    def request(name: str) -> None:
        made.append(name)
        fail(name)

    def task(name: str) -> str:
        for _ in range(3):
            injector.carry_out("request", partial(request, name), lambda _: None)
        return name

    try:
        with injector.invocation(Random(seed)):
            results = InTurns(injector)([partial(task, name) for name in NAMES])
    except (Killed, ZeroDivisionError) as error:
        results = [type(error).__name__]
    return "".join(made), results


def test_requests_of_all_tasks_are_made_in_any_order_and_one_seed_has_one() -> None:
    orders = {interleaved(seed)[0] for seed in range(200)}
    assert len(orders) > 100  # of 1,680 that are possible
    for seed in range(20):
        order, results = interleaved(seed)
        assert Counter(order) == dict.fromkeys(NAMES, 3)
        assert results == [*NAMES]
        assert interleaved(seed) == (order, results)


def test_one_after_the_other_runs_when_all_settles() -> None:
    assert interleaved(0, is_off=True) == ("aaabbbccc", [*NAMES])


def test_where_a_function_is_killed_no_task_makes_another_request() -> None:
    kills = FaultRates({Fault.KILL: ONE})
    for seed in range(20):
        order, results = interleaved(seed, rates=kills)
        assert len(order) <= 1  # a kill is before its request or after it
        assert results == ["Killed"]


def test_a_task_that_fails_ends_and_the_others_go_on() -> None:
    def fail(name: str) -> None:
        if name == "b":
            _ = 1 // 0

    for seed in range(20):
        order, results = interleaved(seed, fail)
        assert Counter(order) == {"a": 3, "b": 1, "c": 3}
        assert results == ["ZeroDivisionError"]


def test_in_a_world_organizations_of_a_batch_take_turns(
    template: Template, simulated: Callable[[World], Outcome]
) -> None:
    world, asked = World(seed=4, events=100), set[int]()
    with patch.object(Turns, "pass_on", lambda turns: asked.add(id(turns))):
        in_their_order = simulate(world, template)
    assert len(asked) > 5
    assert simulated(world).history != in_their_order.history
