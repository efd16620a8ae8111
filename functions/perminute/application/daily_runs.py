"""Daily runs over all organizations: a page at a time, then each organization by itself.

A run is begun by a message that asks for the first page. Who lists a page queues a message for each
of its organizations, and one for the next page. So nothing is read twice because something later
failed: each message is tried by itself, and what comes twice is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from perminute.application.results import Accepted
from perminute.domain.errors import Unavailable
from perminute.ports import RunOrganization, RunPage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from perminute.application.results import Result
    from perminute.application.retry import Deadline
    from perminute.ports import CreditStore, WorkQueue

PAGE_SIZE = 1_000
"""Organizations of a page: a hundred requests to queue them, which take a second or two."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What came of a page: how many organizations it had, and how many the run has until here."""

    organizations: int
    listed: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """The use case with what it needs from outside.

    `only_due`: the run is for accounts with something due by its time, and not for all.
    """

    credit: CreditStore
    queue: WorkQueue
    only_due: bool = False
    page_size: int = PAGE_SIZE

    def begin(self, at: datetime, days_until: datetime | None = None) -> None:
        """Begin the run of this time. Raises `Unavailable`."""
        self.queue.send([RunPage(at, days_until=days_until)])

    def __call__(self, page: RunPage) -> Listed:
        """Queue the organizations of a page, then the next page. Raises `Unavailable`.

        The next page is queued last: should this fail before, the page is listed once more.
        """
        found = self.credit.listed_organizations(
            limit=self.page_size,
            due_by=max(page.at, page.days_until or page.at) if self.only_due else None,
            after=page.after,
        )
        listed = page.listed + len(found.organization_ids)
        self.queue.send(
            [RunOrganization(page.at, one, page.days_until) for one in found.organization_ids]
        )
        if found.after is not None:
            self.queue.send([RunPage(page.at, found.after, listed, page.days_until)])
        return Listed(len(found.organization_ids), listed, is_last=found.after is None)


class Done(Protocol):
    """What a run did for an organization."""

    @property
    def goes_on(self) -> bool:
        """Whether time has run out before the end: the organization is queued once more."""
        ...

    @property
    def failed(self) -> Unavailable | None:
        """Why it could not be done; the message comes again."""
        ...


D = TypeVar("D", bound=Done)


@dataclass(frozen=True, slots=True)
class Worked(Generic[D]):
    """A batch of work: a result for each message, and what was listed and done."""

    results: Sequence[Result[Listed | RunOrganization]]
    listed: Sequence[Listed]
    done: Sequence[D]


@dataclass(frozen=True, slots=True)
class DailyRun(Generic[D]):
    """A run over all organizations: `does` what it is for to one of them.

    It must be harmless if that is done twice. What goes on must have been written down as far as it
    has come, and must have come further.
    """

    organizations: ListOrganizations
    does: Callable[[RunOrganization, Deadline], D]

    def __call__(self, work: Sequence[RunPage | RunOrganization], deadline: Deadline) -> Worked[D]:
        """Do all of it; one organization's trouble is its own.

        What time does not suffice for is queued once more, and not failed: a message that fails is
        hidden for half an hour, and is a dead letter the tenth time.
        """
        results: list[Result[Listed | RunOrganization]] = []
        listed: list[Listed] = []
        done: list[D] = []
        for one in work:
            try:
                if isinstance(one, RunPage):
                    listed.append(self.organizations(one))
                elif deadline.passed:
                    self.organizations.queue.send([one])
                else:
                    self._do(one, deadline, done)
            except Unavailable as error:
                results.append(error)
            else:
                results.append(Accepted(listed[-1] if isinstance(one, RunPage) else one))
        return Worked(results, listed, done)

    def _do(self, one: RunOrganization, deadline: Deadline, done: list[D]) -> None:
        """Do a piece; what was done is reported also where the rest fails."""
        result = self.does(one, deadline)
        done.append(result)
        if result.failed is not None:
            raise result.failed
        if result.goes_on:
            self.organizations.queue.send([one])
