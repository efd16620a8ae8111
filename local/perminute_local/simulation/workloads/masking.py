"""Organizations that begin to mask the phone numbers of their calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from perminute_local.simulation.plan import NumbersMasked
from perminute_local.simulation.workloads.workload import Workload, organizations_in

if TYPE_CHECKING:
    from random import Random

_ONE_OF = 3
"""Worlds of which one has such organizations: in the others all numbers are kept."""
_ITEMS_PER_RUN = 25


@dataclass
class MaskedOrganizations(Workload):
    """Masks the calls of the organization to which something has just happened."""

    name: ClassVar[str] = "masked"
    prefix: ClassVar[str] = "m"

    def go_on(self, rng: Random) -> None:
        """Mask what has ended, while what has just happened is booked."""
        organizations = sorted(organizations_in(self.items[-1]))
        if self.seed % _ONE_OF or not organizations or rng.randrange(_ITEMS_PER_RUN):
            return
        self.add(NumbersMasked(rng.choice(organizations)))
