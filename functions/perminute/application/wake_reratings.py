"""Has what waits carried out: for each record that tells of it, its organization is woken.

Between the table's stream and the work stands a queue, where one organization's trouble keeps
nobody else waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.ports import Rejection, Rejections, Wakeups


@dataclass(frozen=True, slots=True)
class WakeReratings:
    """The use case with what it needs from outside."""

    wakeups: Wakeups
    rejections: Rejections

    def __call__(self, records: Sequence[str | Rejection]) -> int:
        """Wake each organization once; gives how many. Raises `Unavailable`: then all come again.

        A record that could not be read is kept with the reason.
        """
        organizations = list(dict.fromkeys(one for one in records if isinstance(one, str)))
        self.rejections.keep([one for one in records if not isinstance(one, str)])
        self.wakeups.wake(organizations)
        return len(organizations)
