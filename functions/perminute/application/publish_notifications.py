"""Publishes what was committed to the outbox: at least once, each copy under the same id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.domain.errors import Unavailable
from perminute.domain.printable import one_line
from perminute.ports import Rejection

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from perminute.ports import Announcement, NotificationTopic, Rejections


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
    rejections: Rejections

    def __call__(self, records: Sequence[Sequence[Announcement] | Rejection]) -> Published:
        """Publish record by record, in order; stop at the first that cannot be published now.

        What comes after it is left alone: it comes again as well, and would be repeated. A
        notification that the topic will never take, and a record that could not be read, are kept
        with the reason and done with.
        """
        published = Published()
        for position, record in enumerate(records):
            try:
                refused = [record] if isinstance(record, Rejection) else self._publish(record)
                self.rejections.keep(refused)
            except Unavailable as error:
                published.failed_at, published.why = position, str(error)
                return published
            published.refused += refused
            if not isinstance(record, Rejection):
                published.announced += len(record) - len(refused)
                published.named.append(_names(record, {one.event_id for one in refused}))
        return published

    def _publish(self, announcements: Sequence[Announcement]) -> list[Rejection]:
        reasons = self.topic.publish(announcements)
        return [
            Rejection(one.id, reasons[one.id], one.document)
            for one in announcements
            if one.id in reasons
        ]


def _names(record: Sequence[Announcement], refused: Container[str]) -> dict[str, list[str]]:
    published = [one for one in record if one.id not in refused]
    causes = (name for one in published for name in (one.correlation_id, *one.caused_by) if name)
    return {
        "notificationIds": [one.id for one in published],
        "correlationIds": list(dict.fromkeys(causes)),
        "callIds": [one_line(one.call_id) for one in published if one.call_id],
    }
