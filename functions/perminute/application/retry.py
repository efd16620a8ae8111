"""How long to keep trying against other writers of the same account.

Full jitter over an exponentially growing pause, as AWS's Builders' Library recommends: writers
that collided once are spread apart instead of colliding again.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from perminute.domain.errors import Contended, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

# The generator of the module would be seeded once for all copies of a snapshot (SnapStart): they
# would pause as long as each other, and collide again.
_SYSTEM = random.SystemRandom()
# What must be left of an invocation to begin an attempt: a request that hangs takes some 6 s.
MARGIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Deadline:
    """When to begin nothing more, so that results are reported before time runs out."""

    # Without it one organization's throttled account could take the whole batch with it.
    at: float = float("inf")
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def in_milliseconds(
        cls, remaining: int, clock: Callable[[], float] = time.monotonic
    ) -> Deadline:
        """Return the deadline by the milliseconds that Lambda says are left of the invocation."""
        return cls(clock() + remaining / 1000 - MARGIN_SECONDS, clock)

    def share(self, of: int) -> Deadline:
        """Return the deadline of the first of so many that share the time left equally."""
        if of == 1:
            return self
        now = self.clock()
        return Deadline(now + max(0.0, self.at - now) / of, self.clock)

    @property
    def passed(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.clock() >= self.at

    def check(self) -> None:
        """Raise `Unavailable` once it has passed."""
        if self.passed:
            msg = "no time was left in this invocation"
            raise Unavailable(msg)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Go through what is read page by page. Raises `Unavailable` once it has passed."""
        for item in items:
            self.check()
            yield item


NEVER = Deadline()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries; the pause before the n-th repeat is up to `base * 2ⁿ` seconds."""

    # Some ten seconds, twice that at most. A pause is cheaper than an attempt that fails, whose
    # writes are billed, and the longest ones leave room for ten invocations (`bench/hot.py`).
    attempts: int = 16
    base_seconds: float = 0.02
    cap_seconds: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = _SYSTEM.random

    def tries(self) -> Iterator[int]:
        """Count the attempts, pausing before each but the first."""
        for attempt in range(self.attempts):
            if attempt:
                longest = min(self.cap_seconds, self.base_seconds * 2 ** (attempt - 1))
                self.sleep(self.jitter() * longest)
            yield attempt

    def call(self, attempt: Callable[[], T], organization_id: str, deadline: Deadline = NEVER) -> T:
        """Call `attempt` until it raises neither `Contended` nor `Throttled`; return its result.

        Raises the last of them after the last attempt, and `Unavailable` if time runs out.
        """
        last: Contended | Throttled = Contended()
        for _ in self.tries():
            deadline.check()
            try:
                return attempt()
            except (Contended, Throttled) as error:
                last = error
        refusal = Throttled if isinstance(last, Throttled) else Contended
        msg = f"{organization_id}: {last}; it is tried again later"
        raise refusal(msg)
