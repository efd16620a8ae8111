"""What comes in and goes out beside the stores: queues, notifications, rate cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime

    from perminute.domain.notifications.digests import CallGroup, CallToNotify, CountedCalls
    from perminute.domain.notifications.notifications import Notification
    from perminute.domain.rating.rate_card import RateCard


class CallRecord(NamedTuple):
    """Calls of one transaction that are to be counted, and the key of their record."""

    key: str
    calls: tuple[CallToNotify, ...]


class Digests(Protocol):
    """Calls that are notified of once a day, but for the first of each group. Raises `Unavailable`.

    What is decided from a reading holds only against what was read: `count` and `send` return
    False, and nothing is written, if somebody else was faster.
    """

    def claim(
        self, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        """Have a call of each group published, unless its first one was; returns which it is.

        That is the id of the call which was the first to be claimed, and it never changes.
        """

    def first_day(self, organization_id: str) -> date | None:
        """Return the first day of which calls are to be counted, or a digest is to be sent."""

    def records(self, organization_id: str, day: date, *, limit: int) -> Sequence[CallRecord]:
        """Read the first records of calls of a day that are to be counted."""

    def counted(
        self, organization_id: str, groups: Collection[CallGroup]
    ) -> Mapping[CallGroup, CountedCalls]:
        """Read what is counted of groups, and not sent; those of which nothing is are left out."""

    def counted_on(self, organization_id: str, day: date, *, limit: int) -> Sequence[CountedCalls]:
        """Read the first groups of a day of which something is counted, and not sent."""

    def count(
        self, organization_id: str, records: Sequence[CallRecord], counted: Sequence[CountedCalls]
    ) -> bool:
        """Write what is counted of groups by now, and remove the records that it was counted from.

        Both together, in one transaction: at most `MAX_ITEMS_PER_TRANSACTION`.
        """

    def send(
        self, organization_id: str, counted: Sequence[CountedCalls], sent: Sequence[CallToNotify]
    ) -> bool:
        """Write these notifications to the outbox, and remove what was counted for them."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A delivery that will never be processed, with the reason."""

    event_id: str
    reason: str
    body: str


class Rejections(Protocol):
    """The dead letters of refused deliveries. Raises `Unavailable`."""

    def store(self, rejections: Sequence[Rejection]) -> None:
        """Store all of them, or raise: what is not stored must be delivered again."""


class Redeliveries(Protocol):
    """When messages that a function could not process are delivered again. Raises `Unavailable`."""

    def schedule(self, seconds: Mapping[str, int]) -> None:
        """Have messages delivered again in so many seconds, by the receipts of their deliveries.

        If it raises, some of them may be: the others come after the visibility timeout.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A notification that is to be published, with what is known of it beside its facts."""

    notification: Notification
    written_at: datetime
    """When it was written to the outbox, or touched there to be published again."""
    organization_name: str | None = None
    """What the organization is called by now, if that is known."""
    correlation_id: str = ""
    """The id by which its cause is found in the logs."""
    caused_by: tuple[str, ...] = ()
    """All events of its transaction, if they are several."""

    @property
    def id(self) -> str:
        """The id that every copy of it has."""
        return self.notification.id


class NotificationTopic(Protocol):
    """The topic that admins subscribe to. Raises `Unavailable`."""

    def publish(self, announcements: Sequence[Announcement]) -> Sequence[Rejection]:
        """Publish all of them; returns those that will never be taken, each with the reason.

        Those before one that raises may be out already: publishing again repeats their ids.
        """


class CallsQueue(Protocol):
    """The queue of calls that have ended. Raises `Unavailable`."""

    def send(self, messages: Sequence[str]) -> None:
        """Queue all of them; each is delivered at least once."""


class RunPage(NamedTuple):
    """Work of a daily run: list the organizations after this place, and queue each of them.

    `at` is the time for which the run was scheduled; `listed` were queued before. Days that are
    over by `days_until`, if not by `at`, have their digests sent.
    """

    at: datetime
    after: str | None = None
    listed: int = 0
    days_until: datetime | None = None


class RunOrganization(NamedTuple):
    """Work of a daily run: process this organization."""

    at: datetime
    organization_id: str
    days_until: datetime | None = None
    after: str | None = (
        None  # where the work continues, for a run that does not store its own progress
    )


class WorkQueue(Protocol):
    """The queue of the work of a daily run. Raises `Unavailable`."""

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        """Queue all of it; each message is delivered at least once."""


class Waiting(NamedTuple):
    """An organization that has a re-rating or an unsettled pool waiting.

    `unsettled_at` is set if a pool of it has just become unsettled.
    """

    organization_id: str
    unsettled_at: datetime | None = None


class ReratingQueue(Protocol):
    """The queue of organizations that have something waiting. Raises `Unavailable`."""

    def send(self, organization_ids: Collection[str]) -> None:
        """Queue these organizations; each message is delivered at least once."""

    def send_later(self, instants: Mapping[str, datetime]) -> None:
        """Queue organizations so that each is delivered at its instant, in a quarter of an hour."""


class RateCards(Protocol):
    """All versions of the rate card. Raises `Unavailable`."""

    def current(self) -> RateCard:
        """Return the version that is in force."""

    def version(self, version: str) -> RateCard:
        """Return a version that calls were rated by."""
