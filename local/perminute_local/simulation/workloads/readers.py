"""Somebody who looks at reports while calls are charged and rated again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from perminute.domain.values.times import format_instant
from perminute_local.simulation.plan import ReportRequested
from perminute_local.simulation.workloads.workload import DAY, Workload, organizations_in

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

_ITEMS_PER_REPORT = 30
_NAMES = ("calls", "forecast", "ledger", "ledger", "overview", "statement", "statement", "usage")
_GROUPS = ("day", "organizerId", "legType", "country", "prefix", "outcome")


@dataclass
class Readers(Workload):
    """Requests a report of the organization to which something has just happened."""

    name: ClassVar[str] = "readers"
    prefix: ClassVar[str] = "r"
    follows_others: ClassVar[bool] = True

    def go_on(self, rng: Random) -> None:
        """Request a report at once, while what happened is booked, or after late calls."""
        organizations = sorted(organizations_in(self.items[-1]))
        if not organizations or rng.randrange(_ITEMS_PER_REPORT):
            return
        name, after = rng.choice(_NAMES), rng.choice((0, 0, 0, 5)) * DAY
        parameters = self._parameters(name, self.now + after, rng)
        self.add(ReportRequested(rng.choice(organizations), name, parameters), after)

    def _parameters(self, name: str, at: datetime, rng: Random) -> dict[str, str]:
        match name:
            case "overview" | "forecast":
                return {}
            case "statement":
                basis = rng.choice(("now", "stated"))
                return {"month": f"{at - rng.choice((0, 7)) * DAY:%Y-%m}", "basis": basis}
            case "usage":
                groups = rng.sample(_GROUPS, rng.randint(1, 3))
                return {**_period(at, rng), "groupBy": ",".join(groups)}
            case _:
                return {**_period(at, rng), "limit": str(rng.choice((2, 5, 20)))}


def _period(at: datetime, rng: Random) -> dict[str, str]:
    since, until = at - rng.randrange(40) * DAY, at + rng.randrange(3) * DAY
    if rng.randrange(2):
        return {"from": format_instant(since), "to": format_instant(until)}
    return {"from": f"{since:%Y-%m-%d}", "to": f"{until:%Y-%m-%d}"}
