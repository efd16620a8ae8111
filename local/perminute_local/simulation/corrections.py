"""Operators who correct a wrong rate card, and repeat the command until it has come through."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.correct_rates import RateCorrection
from perminute.domain.errors import Unavailable
from perminute.domain.rating.usage_record import Outcome
from perminute_local.simulation.faults import Killed, chance
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from perminute_local.simulation.backend import Medium, Seen
    from perminute_local.simulation.fault_injector import Gate
    from perminute_local.simulation.plan import Corrected
    from perminute_local.simulation.scheduler import Happenings

_FAR = timedelta(days=40)
"""How far back a correction goes: into the month before."""


@dataclass
class Corrections:
    """Corrections that were begun since everything was settled last."""

    medium: Medium
    gate: Gate
    happenings: Happenings
    after: Callable[[], None]
    """Takes note of what a run of the command has done."""
    _begun: list[tuple[str, RateCorrection]] = field(default_factory=list)

    def begin(self, number: int, corrected: Corrected) -> None:
        """Run the command once, while anything may go wrong."""
        now = self.happenings.now
        correction = RateCorrection(version=corrected.version, since=now - _FAR, until=now, at=now)
        self._begun.append((corrected.organization_id, correction))
        drawn = chance(self.happenings.seed, "correction", number)
        try:
            with self.gate.invocation(drawn):
                self.medium.correct_rates(corrected.organization_id, correction)
        except (Killed, Unavailable) as error:
            self.happenings.log(f"item {number} broke off: {type(error).__name__}")
        finally:
            self.after()

    def repeat(self) -> None:
        """Run each command again; those that came through change nothing more."""
        for organization_id, correction in self._begun:
            self.medium.correct_rates(organization_id, correction)
            self.after()

    def finish(self, seen: dict[str, Seen]) -> Iterator[Broken]:
        """Look whether every call of that time names the version that it was corrected by."""
        due: dict[tuple[str, str], str] = {}
        for organization_id, correction in self._begun:
            for usage in seen[organization_id].usages.values():
                at = usage.call.answered_at
                is_free = usage.outcome is Outcome.FREE
                if at is not None and not is_free and correction.since <= at < correction.until:
                    due[organization_id, usage.call.call_id] = correction.version
        self._begun.clear()
        for (organization_id, call_id), version in due.items():
            stated = seen[organization_id].usages[call_id].price.rate_card_version
            if stated != version:
                why = f"{organization_id}: {call_id} is rated by {stated}, and not by {version}"
                yield Broken("a correction reaches all calls of its time", why)
