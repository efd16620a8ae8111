"""What is to happen, in the order of time, and the functions that make it happen."""

from __future__ import annotations

import heapq
import io
from collections import defaultdict
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from perminute.domain.errors import Unavailable
from perminute.domain.values.times import format_instant
from perminute_local.simulation.faults import Killed
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.simulation.backend import Medium
    from perminute_local.simulation.fault_injector import Gate
    from perminute_local.simulation.faults import Fault
    from perminute_local.simulation.write_recorder import Effects

R = TypeVar("R")
_BUSY = timedelta(seconds=30)
"""How long an invocation may take: what is to happen by then may happen while it runs."""


@dataclass(order=True, slots=True)
class _Happening:
    at: datetime
    name: str
    does: Callable[[], None] = field(compare=False)
    is_done: bool = field(default=False, compare=False)


@dataclass
class Happenings:
    """The clock of a world, what is to happen, and the history of what has."""

    seed: int
    gate: Gate
    now: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    history: list[str] = field(default_factory=list)
    _queue: list[_Happening] = field(default_factory=list)

    def add(self, at: datetime, name: str, does: Callable[[], None]) -> None:
        """Have something happen at an instant; names must differ, and order what is at one."""
        heapq.heappush(self._queue, _Happening(max(at, self.now), name, does))

    def next_at(self) -> datetime | None:
        """Tell when something is to happen next."""
        while self._queue and self._queue[0].is_done:
            heapq.heappop(self._queue)
        return self._queue[0].at if self._queue else None

    def do_next(self) -> None:
        """Have it happen."""
        self._do(self._queue[0])

    def do_meanwhile(self) -> bool:
        """Have the next thing happen already if it would while an invocation runs."""
        at = self.next_at()
        if at is None or at > self.now + _BUSY:
            return False
        before = self.now
        self._do(self._queue[0])
        self.now = before
        return True

    def happens(self, kind: Fault, drawn: Random) -> bool:
        """Draw whether a kind of fault happens now; while it is calm, none does."""
        return self.gate.happens(kind, drawn)

    def log(self, what: str) -> None:
        """Write something down."""
        self.history.append(f"{format_instant(self.now)} {what}")

    def _do(self, happening: _Happening) -> None:
        happening.is_done = True
        self.now = max(self.now, happening.at)
        happening.does()


@dataclass
class Functions:
    """Instances of the functions: one runs one invocation at a time, and may be ended."""

    medium: Medium
    gate: Gate
    happenings: Happenings
    effects: Effects
    after: Callable[[], None]
    """Takes note of what an invocation has done."""
    invocations: int = 0
    _idle: defaultdict[str, list[LoadedFunction]] = field(default_factory=lambda: defaultdict(list))

    def run(self, name: str, drawn: Random, does: Callable[[LoadedFunction], R]) -> R | None:
        """Run an invocation; None if it was killed."""
        self.invocations += 1
        idle = self._idle[name]
        function = idle.pop() if idle else self.medium.load(name)
        function.failed_with = None
        try:
            with self.gate.invocation(drawn), redirect_stderr(io.StringIO()):
                result = does(function)
        except Killed:
            return None
        finally:
            self.after()
        if not isinstance(function.failed_with, Unavailable | None):
            why = f"{name} raised {function.failed_with!r}"
            self.effects.broken.append(Broken("functions fail only for want of AWS", why))
        idle.append(function)
        return result
