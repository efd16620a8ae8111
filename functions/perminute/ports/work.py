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
    """Work of a daily run: do for this organization what the run is for."""

    at: datetime
    organization_id: str
    days_until: datetime | None = None


class WorkQueue(Protocol):
    """Where the work of a daily run waits to be done. Raises `Unavailable`."""

    def send(self, work: Sequence[RunPage | RunOrganization]) -> None:
        """Have all of it done, each at least once."""
        ...


class Waiting(NamedTuple):
    """An organization that has something waiting.

    `unsettled_at` is set if a pool of it has just become unsettled.
    """

    organization_id: str
    unsettled_at: datetime | None = None


class ReratingQueue(Protocol):
    """Where it is told that something waits to be looked at again. Raises `Unavailable`."""

    def wake(self, organization_ids: Collection[str]) -> None:
        """Have what waits of these organizations carried out, soon, and at least once."""
        ...

    def wake_later(self, instants: Mapping[str, datetime]) -> None:
        """Wake organizations once more in a quarter of an hour, which is the instant stated."""
        ...


class RateCards(Protocol):
    """Where the rate card in force comes from. Raises `Unavailable`."""

    def current(self) -> RateCard:
        """Give the current version of the rate card."""
        ...

    def version(self, version: str) -> RateCard:
        """Give a version that calls were rated by."""
        ...
