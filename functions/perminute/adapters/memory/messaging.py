"""In-memory twins of what is not a store: rate cards, the topic, and queues."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.adapters.notification_documents import document_of
from perminute.domain.errors import Unavailable
from perminute.ports.messaging import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard
    from perminute.ports.messaging import Announcement, RunOrganization, RunPage


@dataclass
class PublishedRateCards:
    """The card in force, and those that were before."""

    card: RateCard
    former: dict[str, RateCard] = field(default_factory=dict)

    def publish(self, card: RateCard) -> None:
        """Replace the card in force."""
        self.former[self.card.version] = self.card
        self.card = card

    def current(self) -> RateCard:
        return self.card

    def version(self, version: str) -> RateCard:
        card = self.card if version == self.card.version else self.former.get(version)
        if card is None:
            msg = f"rate card {version} is not known"
            raise Unavailable(msg)
        return card


@dataclass
class AnnouncedNotifications:
    """A topic that remembers what was published; `refusing` names by id what it will not take."""

    announced: list[Announcement] = field(default_factory=list)
    refusing: Mapping[str, str] = field(default_factory=dict)

    def publish(self, announcements: Sequence[Announcement]) -> Sequence[Rejection]:
        self.announced += (
            announcement for announcement in announcements if announcement.id not in self.refusing
        )
        return [
            Rejection(
                announcement.id,
                self.refusing[announcement.id],
                json.dumps(document_of(announcement)),
            )
            for announcement in announcements
            if announcement.id in self.refusing
        ]


@dataclass
class InMemoryReratingQueue:
    """Organizations that were queued, in that order."""

    sent: list[str] = field(default_factory=list)
    later: list[tuple[str, datetime]] = field(default_factory=list)
    """Those that were queued for later, and when."""

    def send(self, organization_ids: Collection[str]) -> None:
        self.sent += organization_ids

    def send_later(self, instants: Mapping[str, datetime]) -> None:
        self.later += instants.items()


@dataclass
class StoredRejections:
    """Refused deliveries, in the order in which they were refused."""

    stored: list[Rejection] = field(default_factory=list)

    def store(self, rejections: Sequence[Rejection]) -> None:
        self.stored += rejections


@dataclass
class ScheduledRedeliveries:
    """Messages that are to be delivered again, with the seconds until then, by their receipts."""

    scheduled: dict[str, int] = field(default_factory=dict)

    def schedule(self, seconds: Mapping[str, int]) -> None:
        self.scheduled |= seconds


@dataclass
class SentCalls:
    """Messages with calls that were queued, in that order."""

    sent: list[str] = field(default_factory=list)

    def send(self, messages: Sequence[str]) -> None:
        self.sent += messages


@dataclass
class SentMessages:
    """Messages that were queued, in that order."""

    sent: list[str] = field(default_factory=list)

    def send_message(self, body: str, _attributes: Mapping[str, str]) -> None:
        self.sent.append(body)

    def send_messages(self, bodies: Sequence[str]) -> None:
        self.sent += bodies


@dataclass
class SentWork:
    """Work that was queued, in that order."""

    sent: list[RunPage | RunOrganization] = field(default_factory=list)

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        self.sent += work
