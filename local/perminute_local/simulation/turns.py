"""Tasks of one invocation, side by side: at each request, chance says whose turn it is.

They run in threads, as in a function, so that what belongs to a thread belongs to a task here. But
only the one whose turn it is runs; all others wait. So the random numbers alone determine what
happens, and in which order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Semaphore
from typing import TYPE_CHECKING, TypeVar

from perminute.application.side_by_side import in_order, in_own_contexts
from perminute_local.simulation.faults import Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from perminute_local.simulation.faults import FaultInjector

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class InTurns:
    """Runs the organizations of a batch, in the place of `InThreads`."""

    injector: FaultInjector

    def __call__(self, tasks: Sequence[Callable[[], R]], /) -> list[R]:
        """Run them in turns; without disturbances, one after the other."""
        if len(tasks) == 1 or not self.injector.is_active:
            return in_order(tasks)
        turns = Turns(self.injector.rng)
        with self.injector.before_each_request(turns.pass_on):
            return turns.run_all(tasks)


@dataclass(slots=True)
class Turns:
    """Whose turn it is: each task has a semaphore, at which it waits for its turn."""

    rng: Random
    _waiting: list[Semaphore] = field(default_factory=list)
    _running: Semaphore = field(default_factory=Semaphore)
    _is_killed: bool = False

    def run_all(self, tasks: Sequence[Callable[[], R]], /) -> list[R]:
        """Run tasks to their ends. If one is killed, all are, those that have not begun as well."""
        self._waiting = [Semaphore(0) for _ in tasks]
        with ThreadPoolExecutor(len(tasks)) as threads:
            pairs = zip(in_own_contexts(tasks), self._waiting, strict=True)
            futures = [threads.submit(self._run, task, turn) for task, turn in pairs]
            self._next()
            wait(futures)
        if self._is_killed:
            raise Killed
        return [future.result() for future in futures]

    def pass_on(self) -> None:
        """Let another task continue, or the same. Raises `Killed` if any of them was killed."""
        mine = self._running
        self._waiting.append(mine)
        self._next()
        self._wait_for(mine)

    def _run(self, task: Callable[[], R], turn: Semaphore) -> R:
        try:
            self._wait_for(turn)
            return task()
        except Killed:
            self._is_killed = True
            raise
        finally:
            if self._waiting:
                self._next()

    def _next(self) -> None:
        self._running = self._waiting.pop(self.rng.randrange(len(self._waiting)))
        self._running.release()

    def _wait_for(self, turn: Semaphore) -> None:
        turn.acquire()
        if self._is_killed:
            raise Killed
