"""Request that organizations which have something waiting are worked on.

There is a queue between the table's stream and that work, so that one organization's trouble does
not delay the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.credit.accounts import PROVISIONAL_FOR
from perminute.ports.messaging import Rejection, Rejections, ReratingQueue, Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.ports.stores import Reratings


@dataclass(frozen=True, slots=True)
class QueueReratings:
    """The use case with what it needs from outside."""

    rerating_requests: ReratingQueue
    rejections: Rejections

    def __call__(self, records: Sequence[Waiting | Rejection]) -> int:
        """Queue each organization once; return how many. Raises `Unavailable`: all come again."""
        # One of which a pool has become unsettled is queued a second time, for when its
        # notifications wait no longer: if the pool is not settled by then, they are sent all the
        # same.
        waiting = [record for record in records if isinstance(record, Waiting)]
        later = {
            organization_id: unsettled_at + PROVISIONAL_FOR
            for organization_id, unsettled_at in waiting
            if unsettled_at is not None
        }
        self.rejections.store([record for record in records if isinstance(record, Rejection)])
        organizations = list(dict.fromkeys(record.organization_id for record in waiting))
        self.rerating_requests.send(organizations)
        if later:
            self.rerating_requests.send_later(later)
        return len(organizations)


@dataclass(frozen=True, slots=True)
class QueueMissed:
    """Queues organizations that still have something waiting, if their messages were all lost."""

    reratings: Reratings
    rerating_requests: ReratingQueue

    def __call__(self) -> int:
        """Queue each organization once; return how many. Raises `Unavailable`."""
        # One that is being worked on is queued once more, which does no harm.
        organizations = list(dict.fromkeys(self.reratings.organizations_waiting()))
        self.rerating_requests.send(organizations)
        return len(organizations)
