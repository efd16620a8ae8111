"""One seed from its plan to its outcome, over the twins or over moto, adverse or not."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never
from unittest.mock import patch

from perminute.application import send_digests, spend_counters
from perminute.domain.notifications import digests
from perminute.observability import logger
from perminute_local.simulation.digests import MOST_CALLS_NAMED
from perminute_local.simulation.fault_injector import Gate
from perminute_local.simulation.faults import ALL_FAULTS, Fault, Weather
from perminute_local.simulation.limited import limited
from perminute_local.simulation.over_twins import Twins
from perminute_local.simulation.plan import only, plan_of
from perminute_local.simulation.same_second import with_same_seconds
from perminute_local.simulation.simulator import Outcome, Simulator
from perminute_local.simulation.synchronized import synchronized
from perminute_local.simulation.tight import woven
from perminute_local.simulation.write_recorder import Effects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.simulation.backend import Medium
    from perminute_local.simulation.plan import Plan
    from perminute_local.stack import Template

EVENTS = 300
"""Events and calls of a world, unless somebody wants more or fewer."""


class Over(StrEnum):
    """What the functions run over."""

    TWINS = "twins"
    MOTO = "moto"
    ADVERSE = "adverse"
    """moto, which answers in pages, in part, in any order and stale, as DynamoDB may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What makes a run: the same world always has the same history.

    `items` are the numbers of those items of the plan that happen; None, all do.
    """

    seed: int
    events: int = EVENTS
    faults: frozenset[Fault] = ALL_FAULTS
    over: Over = Over.TWINS
    items: tuple[int, ...] | None = None

    def plan(self) -> Plan:
        """Plan what happens."""
        plan = plan_of(self.seed, self.events, Weather.of(self.seed, self.faults))
        whole = synchronized(with_same_seconds(woven(plan)))
        # What is counted is the same over any store; worlds over moto are slow, and stay small.
        return limited(whole) if self.over is Over.TWINS else whole


def simulate(world: World, template: Template, weather: Weather | None = None) -> Outcome:
    """Run a world, until its end or until something breaks; in its own weather, or in another."""
    plan, effects = world.plan(), Effects()
    gate = Gate(weather or Weather.of(world.seed, world.faults))
    items = plan.items if world.items is None else tuple(only(plan, world.items))
    with (
        _quiet(),
        # What counts for limits takes several pieces, between which something happens.
        patch.multiple(spend_counters, MAX_LISTS=2, CALLS_AT_ONCE=3, MAX_CORRECTIONS=1),
        patch.multiple(
            send_digests, MAX_RECORDS_COUNTED=3, MAX_CALLS_COUNTED=4, DIGESTS_SENT_AT_ONCE=2
        ),
        # A digest names all of its calls, so that each is known to be in it.
        patch.object(digests, "MAX_CALLS_NAMED", MOST_CALLS_NAMED),
        _medium(world.over, template, plan, gate, effects) as medium,
    ):
        return Simulator(plan, medium, gate, effects).run(items)


@contextmanager
def _medium(
    over: Over, template: Template, plan: Plan, gate: Gate, effects: Effects
) -> Iterator[Medium]:
    match over:
        case Over.TWINS:
            yield Twins(template, plan.card, gate, effects)
        case Over.MOTO | Over.ADVERSE:
            # Imported where it is needed: the twins want no AWS, and moto takes a second to start.
            from perminute_local.simulation.over_moto import over_moto  # noqa: PLC0415

            adverse = over is Over.ADVERSE
            with over_moto(template, plan.card, gate, effects, adverse=adverse) as medium:
                yield medium
        case never:
            assert_never(never)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the functions' logs to themselves: of faults on purpose they say a great deal."""
    level = logger.log_level
    logger.setLevel("CRITICAL")
    try:
        yield
    finally:
        logger.setLevel(level)
