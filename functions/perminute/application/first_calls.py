"""Of calls that are notified of once a day, have the first of each group published at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.domain.notifications.digests import CallGroup, CallToNotify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.ports import Announcement, Digests


@dataclass(frozen=True, slots=True)
class FirstCalls:
    """What the calls of a batch need from outside, and whose first calls are known by now.

    The first call of a group is published by a record of its own. So it is published even if this
    breaks off right after it was written, and no other call can take its place.
    """

    digests: Digests
    _known: set[tuple[str, CallGroup]] = field(default_factory=set)

    def set_aside(self, record: Sequence[Announcement]) -> list[Announcement]:
        """Claim the first calls in a record; returns what is published as it is.

        Raises `Unavailable`.
        """
        calls: dict[CallGroup, CallToNotify] = {}
        for one in record:
            if one.notification.counted_on is not None:
                group = CallGroup.of(one.notification)
                if (one.notification.organization_id, group) not in self._known:
                    calls.setdefault(group, CallToNotify(one.notification, one.correlation_id))
        if calls:
            # A record is of one organization.
            organization_id = record[0].notification.organization_id
            self.digests.claim(organization_id, calls)
            self._known.update((organization_id, group) for group in calls)
        return [one for one in record if one.notification.counted_on is None]
