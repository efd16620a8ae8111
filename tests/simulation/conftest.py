"""Worlds that several tests look at are simulated once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from perminute_local.simulation.world import World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.stack import Template


@pytest.fixture(scope="session")
def simulated(template: Template) -> Callable[[World], Outcome]:
    """Tell how a world ends, with all promises in force."""

    @cache
    def outcome_of(world: World) -> Outcome:
        return simulate(world, template)

    return outcome_of
