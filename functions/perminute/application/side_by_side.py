"""Run the organizations of a batch side by side: most of a charge is waiting for AWS.

What one organization needs is one task, so it stays strictly serial.
"""

from __future__ import annotations

from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import ThreadPoolExecutor

R = TypeVar("R")

# More would wait for the CPU, and for one of the ten connections of a client.
WORKERS = 8


class RunAll(Protocol):
    """Runs tasks and returns their results in the same order; none runs on when it returns."""

    def __call__(self, tasks: Sequence[Callable[[], R]], /) -> list[R]:
        """Run them. Raises what the first of the failed tasks raised."""


def in_order(tasks: Sequence[Callable[[], R]], /) -> list[R]:
    """Run one task after the other, until one fails."""
    return [task() for task in tasks]


def in_own_contexts(tasks: Sequence[Callable[[], R]]) -> list[Callable[[], R]]:
    """Return the tasks as threads run them: each with a copy of the causes named so far.

    A thread begins without any, and those of one task must not be those of another
    (`correlation`).
    """
    return [partial(copy_context().run, task) for task in tasks]


class InThreads:
    """Runs tasks in threads, which are started for the first batch that has several."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def __call__(self, tasks: Sequence[Callable[[], R]], /) -> list[R]:
        """Run them all, at most `WORKERS` at once, even if one fails."""
        if len(tasks) <= 1:
            return in_order(tasks)
        # Imported here to start faster.
        from concurrent.futures import ThreadPoolExecutor, wait  # noqa: PLC0415

        self._threads = self._threads or ThreadPoolExecutor(WORKERS)
        futures = [self._threads.submit(task) for task in in_own_contexts(tasks)]
        # Nothing may still run when the invocation ends, even if a task has failed: Lambda would
        # freeze it in the midst of a request.
        wait(futures)
        return [future.result() for future in futures]
