"""Queues of work, and the rate cards that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from perminute.domain.rating.rate_card import RateCard


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


class WorkQueue(Protocol):
    """The queue of the work of a daily run. Raises `Unavailable`."""

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        """Queue all of it; each message is delivered at least once."""
        ...


class Waiting(NamedTuple):
    """An organization that has a re-rating or an unsettled pool waiting.

    `unsettled_at` is set if a pool of it has just become unsettled.
    """

    organization_id: str
    unsettled_at: datetime | None = None


class ReratingQueue(Protocol):
    """The queue of organizations that have something waiting. Raises `Unavailable`."""

    def wake(self, organization_ids: Collection[str]) -> None:
        """Queue these organizations; each message is delivered at least once."""
        ...

    def wake_later(self, instants: Mapping[str, datetime]) -> None:
        """Queue organizations so that each is delivered at its instant, in a quarter of an hour."""
        ...


class RateCards(Protocol):
    """All versions of the rate card. Raises `Unavailable`."""

    def current(self) -> RateCard:
        """Return the version that is in force."""
        ...

    def version(self, version: str) -> RateCard:
        """Return a version that calls were rated by."""
        ...
