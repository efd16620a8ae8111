"""Operators who correct a wrong rate card, and repeat the command until it is complete."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.correct_rates import RateCorrection
from perminute.domain.errors import Unavailable
from perminute.domain.rating.usage_record import Outcome
from perminute_local.simulation.faults import Killed, rng_of
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute_local.simulation.backends.backend import Backend, Snapshot
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.plan import RatesCorrected
    from perminute_local.simulation.scheduler import Scheduler

_REACH = timedelta(days=40)
"""How far back a correction goes: into the month before."""


@dataclass
class Corrections:
    """Corrections that were begun since everything had settled last."""

    backend: Backend
    scheduler: Scheduler
    after: Callable[[], None]
    """Called after each run of the command."""
    _begun: list[tuple[str, RateCorrection]] = field(default_factory=list)

    def begin(self, number: int, corrected: RatesCorrected) -> None:
        """Run the command once, with faults."""
        now, organization_id = self.scheduler.now, corrected.organization_id
        correction = RateCorrection(
            version=corrected.version, since=now - _REACH, until=now, at=now
        )
        self._begun.append((organization_id, correction))
        rng = rng_of(self.scheduler.seed, "correction", number)
        try:
            with self.scheduler.injector.invocation(rng):
                self.backend.correct_rates(organization_id, correction)
        except (Killed, Unavailable) as error:
            self.scheduler.log(f"item {number} broke off: {type(error).__name__}")
        finally:
            self.after()

    def repeat(self) -> None:
        """Run each command again; those that were complete change nothing more."""
        for organization_id, correction in self._begun:
            self.backend.correct_rates(organization_id, correction)
            self.after()

    def finish(self, snapshots: Mapping[str, Snapshot]) -> Iterator[Broken]:
        """Check the calls of all corrections, and forget these."""
        yield from _reach_all_calls(self._begun, snapshots)
        self._begun.clear()


@invariant
def _reach_all_calls(
    corrections: list[tuple[str, RateCorrection]], snapshots: Mapping[str, Snapshot]
) -> Iterator[str]:
    """A correction reaches all calls of its time."""
    due: dict[tuple[str, str], str] = {}
    for organization_id, correction in corrections:
        for usage in snapshots[organization_id].usages.values():
            at, is_free = usage.call.answered_at, usage.outcome is Outcome.FREE
            if at is not None and not is_free and correction.since <= at < correction.until:
                due[organization_id, usage.call.call_id] = correction.version
    for (organization_id, call_id), version in due.items():
        stated = snapshots[organization_id].usages[call_id].price.rate_card_version
        if stated != version:
            yield f"{organization_id}: {call_id} is rated by {stated}, and not by {version}"
