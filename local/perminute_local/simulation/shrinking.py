"""From a world in which something breaks to the shortest history found in which it still does.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input"): leave
out large parts of what happens, then smaller ones, as long as the same promise breaks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from perminute_local.simulation.faults import Fault
from perminute_local.simulation.world import simulate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.simulation.world import World
    from perminute_local.stack import Template

MOST_RUNS = 400
"""After so many runs what was found has to do."""


@dataclass
class _Search:
    template: Template
    promise: str
    world: World
    outcome: Outcome
    runs: int = 0

    @property
    def items(self) -> tuple[int, ...]:
        return self.world.items or ()

    def fails(self, world: World) -> bool:
        """Try another world; take it if the same promise breaks there."""
        if self.runs >= MOST_RUNS:
            return False
        self.runs += 1
        outcome = simulate(world, self.template)
        if outcome.broken is None or outcome.broken.promise != self.promise:
            return False
        self.world, self.outcome = world, outcome
        return True

    def leave_out_faults(self) -> None:
        """Leave out kinds of faults; not the clock's, by which the plan itself is made."""
        for kind in sorted(self.world.faults - {Fault.CLOCK}):
            self.fails(replace(self.world, faults=self.world.faults - {kind}))

    def leave_out_items(self) -> None:
        """Leave out parts of what happens: halves, quarters, and so on down to single items."""
        size = len(self.items) // 2
        while size:
            for start in range(0, len(self.items), size):
                self.fails(replace(self.world, items=_without(self.items, start, size)))
            size = min(size - 1, len(self.items) // 2) if size < 3 else size // 2  # noqa: PLR2004


def shortest(world: World, outcome: Outcome, template: Template) -> tuple[World, Outcome]:
    """Find a shorter world in which the promise breaks that broke in this one."""
    if outcome.broken is None:
        return world, outcome
    happened = [item.number for item in world.plan().items if item.number <= outcome.last]
    items = tuple(happened) if world.items is None else world.items
    search = _Search(template, outcome.broken.promise, replace(world, items=items), outcome)
    search.leave_out_items()
    search.leave_out_faults()
    search.leave_out_items()
    return search.world, search.outcome


def _without(items: Sequence[int], start: int, size: int) -> tuple[int, ...]:
    return (*items[:start], *items[start + size :])
