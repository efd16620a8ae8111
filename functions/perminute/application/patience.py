"""How long to keep trying against other writers of the same account.

Full jitter over an exponentially growing pause, as AWS's Builders' Library recommends: writers
that collided once are spread apart instead of colliding again.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Patience:
    """At most `attempts` tries; the pause before the n-th repeat is up to `base * 2ⁿ` seconds."""

    attempts: int = 12
    base_seconds: float = 0.01
    cap_seconds: float = 0.5
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def tries(self) -> Iterator[int]:
        """Count the attempts, pausing before each but the first."""
        for attempt in range(self.attempts):
            if attempt:
                longest = min(self.cap_seconds, self.base_seconds * 2 ** (attempt - 1))
                self.sleep(self.jitter() * longest)
            yield attempt
