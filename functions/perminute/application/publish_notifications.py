"""Publishes what was committed to the outbox: at least once, each copy under the same id."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.application.first_calls import FirstCalls
from perminute.domain.errors import Unavailable
from perminute.domain.values.printable import one_line
from perminute.ports import Rejection

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from perminute.domain.licensing.licensing import Licensing
    from perminute.ports import Announcement, Digests, LicensingStore, NotificationTopic, Rejections


@dataclass(slots=True)
class Published:
    """How far a batch of the outbox got: all of it, or up to the record that must come again."""

    announced: int = 0
    refused: list[Rejection] = field(default_factory=list)
    failed_at: int | None = None
    why: str = ""
    named: list[dict[str, list[str]]] = field(default_factory=list)
    """What was published of each record, what for, and of which calls: lists of ids."""


@dataclass(frozen=True, slots=True)
class PublishNotifications:
    """The use case with what it needs from outside."""

    topic: NotificationTopic
    licensing: LicensingStore
    rejections: Rejections
    digests: Digests

    def __call__(self, records: Sequence[Sequence[Announcement] | Rejection]) -> Published:
        """Publish record by record, in order; stop at the first that cannot be published now.

        What comes after it is left alone: it comes again as well, and would be repeated. A
        notification that the topic will never take, and a record that could not be read, are kept
        with the reason and done with.
        """
        published, names = Published(), _Names(self.licensing)
        first_calls = FirstCalls(self.digests)
        for position, record in enumerate(records):
            sent: list[Announcement] = []
            try:
                if isinstance(record, Rejection):
                    refused = [record]
                else:
                    sent = first_calls.set_aside(record)
                    refused = self._publish(names.added_to(sent)) if sent else []
                self.rejections.keep(refused)
            except Unavailable as error:
                published.failed_at, published.why = position, str(error)
                return published
            published.refused += refused
            if sent:
                published.announced += len(sent) - len(refused)
                published.named.append(_names(sent, {one.event_id for one in refused}))
        return published

    def _publish(self, announcements: Sequence[Announcement]) -> list[Rejection]:
        return list(self.topic.publish(announcements))


@dataclass(frozen=True, slots=True)
class _Names:
    """What organizations are called, each of them read once for a batch."""

    licensing: LicensingStore
    _known: dict[str, Licensing] = field(default_factory=dict)

    def added_to(self, announcements: Sequence[Announcement]) -> list[Announcement]:
        return [replace(one, organization_name=self._name_for(one)) for one in announcements]

    def _name_for(self, announcement: Announcement) -> str | None:
        organization_id = announcement.notification.organization_id
        if organization_id not in self._known:
            self._known[organization_id] = self.licensing.licensing(organization_id, ())
        # A clock that is ahead of ours may have written the notification.
        now = max(announcement.written_at, announcement.notification.at)
        return self._known[organization_id].organization_name(now)


def _names(record: Sequence[Announcement], refused: Container[str]) -> dict[str, list[str]]:
    published = [one for one in record if one.id not in refused]
    causes = (name for one in published for name in (one.correlation_id, *one.caused_by) if name)
    return {
        "notificationIds": [one.id for one in published],
        "correlationIds": list(dict.fromkeys(causes)),
        "callIds": [
            one_line(call_id) for one in published if (call_id := one.notification.call_id)
        ],
    }
