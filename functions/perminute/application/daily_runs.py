"""Daily runs over all organizations: a page at a time, then each organization by itself.

A run begins with a message that asks for the first page. Listing a page queues a message for each
of its organizations, and one for the next page. So nothing is read twice because something later
failed: each message is tried by itself, and processing one twice is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from perminute.application.results import Accepted, Result
from perminute.domain.errors import Unavailable
from perminute.ports.messaging import RunOrganization, RunPage, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from perminute.application.retry import Deadline
    from perminute.ports.stores import CreditStore

# Organizations of a page: a hundred requests to queue them, which take a second or two.
PAGE_SIZE = 1_000


class ListedPage(NamedTuple):
    """How many organizations a page has, and how many the run has listed until here."""

    organizations: int
    listed: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class ListOrganizations:
    """The use case with what it needs from outside."""

    credit: CreditStore
    queue: WorkQueue
    # Whether the run is for accounts with something due by its time, and not for all.
    only_due: bool = False
    page_size: int = PAGE_SIZE

    def begin(self, at: datetime, days_until: datetime | None = None) -> None:
        """Begin the run of this time. Raises `Unavailable`."""
        self.queue.send([RunPage(at, days_until=days_until)])

    def __call__(self, page: RunPage) -> ListedPage:
        """Queue the organizations of a page, then the next page. Raises `Unavailable`."""
        found = self.credit.listed_organizations(
            limit=self.page_size,
            due_by=max(page.at, page.days_until or page.at) if self.only_due else None,
            after=page.after,
        )
        names = found.organization_ids
        listed = page.listed + len(names)
        self.queue.send([RunOrganization(page.at, name, page.days_until) for name in names])
        # Queued last: if this fails before, the page is listed once more.
        if found.after is not None:
            self.queue.send([RunPage(page.at, found.after, listed, page.days_until)])
        return ListedPage(len(names), listed, is_last=found.after is None)


class OrganizationReport(Protocol):
    """What a run did for an organization."""

    @property
    def goes_on(self) -> bool:
        """Whether time has run out before the end: the organization is queued once more."""

    @property
    def failed(self) -> Unavailable | None:
        """Why it could not be done; the message is delivered again."""


R = TypeVar("R", bound=OrganizationReport)


def _same_work(work: RunOrganization, _: OrganizationReport) -> RunOrganization:
    return work


class RunResults(NamedTuple, Generic[R]):
    """A result for each message, the pages that were listed, and what was done."""

    results: list[Result[RunPage | RunOrganization]]
    pages: list[ListedPage]
    reports: list[R]


@dataclass(frozen=True, slots=True)
class DailyRun(Generic[R]):
    """A run over all organizations, which does its work for one of them at a time."""

    # Doing the work twice must be harmless, and each time must get further and store how far.
    organizations: ListOrganizations
    work: Callable[[RunOrganization, Deadline], R]
    # The rest of the work, for a run that does not store its own progress.
    rest_of: Callable[[RunOrganization, R], RunOrganization] = _same_work

    def __call__(
        self, messages: Sequence[RunPage | RunOrganization], deadline: Deadline
    ) -> RunResults[R]:
        """Process all messages; one organization's failure does not affect another."""
        done = RunResults[R]([], [], [])
        for message in messages:
            try:
                if isinstance(message, RunPage):
                    done.pages.append(self.organizations(message))
                else:
                    self._work(message, deadline, done.reports)
            except Unavailable as error:
                done.results.append(error)
            else:
                done.results.append(Accepted(message))
        return done

    def _work(self, message: RunOrganization, deadline: Deadline, reports: list[R]) -> None:
        goes_on = deadline.passed
        if not goes_on:
            report = self.work(message, deadline)
            # What was done is reported even if the rest fails.
            reports.append(report)
            if report.failed is not None:
                raise report.failed
            goes_on = report.goes_on
            message = self.rest_of(message, report)
        if goes_on:
            # Not failed: a message that fails is hidden for half an hour, and is a dead letter the
            # tenth time.
            self.organizations.queue.send([message])
