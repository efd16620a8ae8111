"""Operators who mask numbers and erase users, while calls are charged and rated again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from perminute_local.simulation.erasing import Erasing
from perminute_local.simulation.masking import Masking
from perminute_local.simulation.plan import CallsErased, NumbersMasked

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.simulation.backends.backend import Backend, Snapshot
    from perminute_local.simulation.invariants.events import EventLog
    from perminute_local.simulation.invariants.invariant import Broken
    from perminute_local.simulation.queues import MessageBus
    from perminute_local.simulation.write_recorder import WriteRecorder


@dataclass
class Privacy:
    """What is masked and erased, and delivered again each time that all has settled."""

    backend: Backend
    bus: MessageBus
    events: EventLog
    recorder: WriteRecorder
    settle: Callable[[], Broken | None]

    def __post_init__(self) -> None:
        """Connect both with the world."""
        again = partial(self.bus.send, promptly=True)
        parts = self.backend, self.bus.scheduler, self.events, again, self.settle
        self._masking = Masking(*parts)
        self._erasing = Erasing(*parts, self.recorder.names, self.recorder.digests.erased)

    def begin(self, number: int, action: NumbersMasked | CallsErased) -> None:
        """Mask what has ended, with faults; erase as soon as all calls have been reported."""
        match action:
            case NumbersMasked(organization_id):
                self._masking.begin(number, organization_id)
            case CallsErased(organization_id, user_id):
                self._erasing.begin(organization_id, user_id)

    def go_on(self) -> Broken | None:
        """Mask all that has ended, and erase who is due, where everything has settled."""
        return self._masking.finish() or self._erasing.go_on()

    def finish(self) -> Broken | None:
        """Erase what is left, where no day is under way any more."""
        return self._erasing.finish()

    def snapshot(self, organization_id: str) -> Snapshot:
        """Return all that is stored; whoever is erased has a name again, as events have."""
        return self._erasing.unerased(organization_id, self.backend.snapshot(organization_id))
