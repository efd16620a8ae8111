"""The clock of a world, the tasks that are due, and the functions that run."""

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
from perminute_local.simulation.invariants.invariant import promise

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from perminute_local.replay.lambda_runtime import LoadedFunction
    from perminute_local.simulation.backends.backend import Backend
    from perminute_local.simulation.faults import Fault, FaultInjector
    from perminute_local.simulation.write_recorder import WriteRecorder

R = TypeVar("R")
_BUSY = timedelta(seconds=30)
"""How long an invocation takes: tasks that are due by then may run in the midst of it."""

_fails_only_with_aws = promise("functions fail only if AWS fails")


@dataclass(order=True, slots=True)
class _Task:
    at: datetime
    name: str
    run: Callable[[], None] = field(compare=False)
    is_done: bool = field(default=False, compare=False)


@dataclass
class Scheduler:
    """Runs tasks in the order of time, and keeps the history."""

    seed: int
    injector: FaultInjector
    now: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    history: list[str] = field(default_factory=list)
    _queue: list[_Task] = field(default_factory=list)

    def add(self, at: datetime, name: str, run: Callable[[], None]) -> None:
        """Add a task; names differ, and order tasks of one instant."""
        heapq.heappush(self._queue, _Task(max(at, self.now), name, run))

    def next_at(self) -> datetime | None:
        """Return when the next task is due."""
        while self._queue and self._queue[0].is_done:
            heapq.heappop(self._queue)
        return self._queue[0].at if self._queue else None

    def run_next(self) -> None:
        """Run the next task, at its time."""
        task = self._queue[0]
        task.is_done = True
        self.now = max(self.now, task.at)
        task.run()

    def run_meanwhile(self) -> bool:
        """Run the next task if it is due while an invocation is under way."""
        at, before = self.next_at(), self.now
        if at is None or at > before + _BUSY:
            return False
        self.run_next()
        self.now = before
        return True

    def happens(self, kind: Fault, rng: Random) -> bool:
        """Return whether a kind of fault happens now."""
        return self.injector.happens(kind, rng)

    def log(self, what: str) -> None:
        """Add a line to the history."""
        self.history.append(f"{format_instant(self.now)} {what}")


@dataclass
class Functions:
    """Instances of the functions: each runs one invocation at a time, and may be killed."""

    backend: Backend
    injector: FaultInjector
    recorder: WriteRecorder
    after: Callable[[], None] = lambda: None
    """Called after each invocation."""
    invocations: int = 0
    _idle: defaultdict[str, list[LoadedFunction]] = field(default_factory=lambda: defaultdict(list))

    def run(self, name: str, rng: Random, invoke: Callable[[LoadedFunction], R]) -> R | None:
        """Run an invocation; return None if it was killed."""
        self.invocations += 1
        idle = self._idle[name]
        function = idle.pop() if idle else self.backend.load(name)
        function.failed_with = None
        try:
            with self.injector.invocation(rng), redirect_stderr(io.StringIO()):
                result = invoke(function)
        except Killed:
            return None
        finally:
            self.after()
        if not isinstance(function.failed_with, Unavailable | None):
            self.recorder.broken += _fails_only_with_aws(f"{name} raised {function.failed_with!r}")
        idle.append(function)
        return result
