"""Has what waits carried out: for each record that tells of it, its organization is woken.

Between the table's stream and the work stands a queue, where one organization's trouble keeps
nobody else waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.credit.provisional import PROVISIONAL_FOR
from perminute.ports import Rejection, Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.ports import Rejections, ReratingQueue, Reratings


@dataclass(frozen=True, slots=True)
class QueueReratings:
    """The use case with what it needs from outside."""

    rerating_requests: ReratingQueue
    rejections: Rejections

    def __call__(self, records: Sequence[Waiting | Rejection]) -> int:
        """Wake each organization once; gives how many. Raises `Unavailable`: then all come again.

        Where a pool has become unsettled, once more when notifications wait for it no longer:
        should it not be settled by then, they are sent by that. A record that could not be read is
        kept with the reason.
        """
        waiting = [one for one in records if isinstance(one, Waiting)]
        organizations = list(dict.fromkeys(one.organization_id for one in waiting))
        later = {
            one.organization_id: one.unsettled_at + PROVISIONAL_FOR
            for one in waiting
            if one.unsettled_at is not None
        }
        self.rejections.keep([one for one in records if isinstance(one, Rejection)])
        self.rerating_requests.wake(organizations)
        if later:
            self.rerating_requests.wake_later(later)
        return len(organizations)


@dataclass(frozen=True, slots=True)
class QueueForgotten:
    """Wakes whoever still has something waiting, should all that told of it have been lost."""

    reratings: Reratings
    rerating_requests: ReratingQueue

    def __call__(self) -> int:
        """Wake each organization once; gives how many. Raises `Unavailable`.

        What is just being carried out is woken once more, which does no harm.
        """
        organizations = list(dict.fromkeys(self.reratings.organizations_waiting()))
        self.rerating_requests.wake(organizations)
        return len(organizations)
