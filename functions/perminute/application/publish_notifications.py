"""Publish what was committed to the outbox: at least once, each copy under the same id."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.domain.errors import Unavailable
from perminute.domain.notifications.digests import CallGroup, CallToNotify
from perminute.domain.values.printable import one_line
from perminute.ports.messaging import Rejection

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from perminute.domain.licensing.licensing import Licensing
    from perminute.ports.messaging import Announcement, Digests, NotificationTopic, Rejections
    from perminute.ports.stores import LicensingStore


@dataclass(slots=True)
class Published:
    """How far a batch of the outbox got: all of it, or up to the record that must come again."""

    announced: int = 0
    refused: list[Rejection] = field(default_factory=list)
    failed_at: int | None = None
    why: str = ""
    # Of each record: the ids of notifications, of their causes, and of the calls they are about.
    named: list[dict[str, list[str]]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PublishNotifications:
    """The use case with what it needs from outside."""

    topic: NotificationTopic
    licensing: LicensingStore
    rejections: Rejections
    digests: Digests

    def __call__(self, records: Sequence[Sequence[Announcement] | Rejection]) -> Published:
        """Publish record by record, in order; stop at the first that cannot be published now."""
        # The records after it are delivered again as well, and would be repeated. What the topic
        # will never take, and what could not be read, is stored with the reason, and not tried
        # again.
        published, names = Published(), _Names(self.licensing)
        first_calls = FirstCalls(self.digests)
        for position, record in enumerate(records):
            sent: list[Announcement] = []
            try:
                if isinstance(record, Rejection):
                    refused = [record]
                else:
                    sent = first_calls.set_aside(record)
                    refused = list(self.topic.publish(names.added_to(sent))) if sent else []
                self.rejections.store(refused)
            except Unavailable as error:
                published.failed_at, published.why = position, str(error)
                return published
            published.refused += refused
            if sent:
                published.announced += len(sent) - len(refused)
                published.named.append(_ids(sent, {rejection.event_id for rejection in refused}))
        return published


@dataclass(frozen=True, slots=True)
class FirstCalls:
    """The first calls of their day, organizer and reason in a batch."""

    # Each is published by a record of its own: even if this fails right after that was written, it
    # is published, and no other call can take its place.
    digests: Digests
    _claimed: set[tuple[str, CallGroup]] = field(default_factory=set)

    def set_aside(self, record: Sequence[Announcement]) -> list[Announcement]:
        """Claim first calls in a record; return what is published now. Raises `Unavailable`."""
        calls: dict[CallGroup, CallToNotify] = {}
        # A record is of one organization.
        organization_id = record[0].notification.organization_id if record else ""
        for announcement in record:
            notification = announcement.notification
            if notification.counted_on is None:
                continue
            group = CallGroup.of(notification)
            if (organization_id, group) not in self._claimed:
                calls.setdefault(group, CallToNotify(notification, announcement.correlation_id))
        if calls:
            self.digests.claim(organization_id, calls)
            self._claimed.update((organization_id, group) for group in calls)
        return [each for each in record if each.notification.counted_on is None]


@dataclass(frozen=True, slots=True)
class _Names:
    licensing: LicensingStore
    _known: dict[str, Licensing] = field(default_factory=dict)

    def added_to(self, announcements: Sequence[Announcement]) -> list[Announcement]:
        return [replace(each, organization_name=self._name_for(each)) for each in announcements]

    def _name_for(self, announcement: Announcement) -> str | None:
        organization_id = announcement.notification.organization_id
        if organization_id not in self._known:
            self._known[organization_id] = self.licensing.licensing(organization_id, ())
        # A clock that is ahead of ours may have written the notification.
        now = max(announcement.written_at, announcement.notification.at)
        return self._known[organization_id].organization_name(now)


def _ids(record: Sequence[Announcement], refused: Container[str]) -> dict[str, list[str]]:
    published = [each for each in record if each.id not in refused]
    causes = (name for each in published for name in (each.correlation_id, *each.caused_by) if name)
    calls = (call_id for each in published if (call_id := each.notification.call_id))
    return {
        "notificationIds": [each.id for each in published],
        "correlationIds": list(dict.fromkeys(causes)),
        "callIds": list(map(one_line, calls)),
    }
