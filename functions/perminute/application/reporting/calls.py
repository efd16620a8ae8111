"""Read the calls of a period page by page, all pages as of one version of the account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.periods import Period
from perminute.domain.reporting.postings import ListedUsage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from perminute.application.retry import Deadline
    from perminute.domain.reporting.postings import UsageList
    from perminute.domain.reporting.usage_sums import UsageFilter
    from perminute.ports.postings import Postings

MAX_CALLS_READ, MAX_LISTS_READ = 10_000, 1_000
"""Calls, and lists of them, that are read for a page whose filter includes few: at most 1 MB."""

_INSTANT = timedelta(microseconds=1)


class CallsPlace(NamedTuple):
    """A place among the calls of a period: after a list, and after some calls of the next one."""

    list_key: str = ""  # empty: before the first list
    calls: int = 0


class CallsQuestion(NamedTuple):
    """Which calls are asked for, and as of which version of the account."""

    organization_id: str
    version: int
    period: Period
    wanted: UsageFilter

    def includes_list(self, usage_list: UsageList) -> bool:
        """Whether a list is of the version or an earlier one."""
        return usage_list.posting.version <= self.version

    def includes(self, usage: ListedUsage) -> bool:
        """Whether a call is asked for."""
        return self.period.includes(usage.ended_at) and self.wanted.includes(usage)


class CallsPage(NamedTuple):
    """Calls, and the place at which the next page begins; None after the last page."""

    usages: Sequence[ListedUsage]
    next: CallsPlace | None


def calls_page(
    postings: Postings,
    question: CallsQuestion,
    *,
    limit: int,
    after: CallsPlace,
    deadline: Deadline,
) -> CallsPage:
    """Return at most `limit` calls, list by list, the newest first.

    The account must have reached the version. All pages of one question together are all calls,
    each once, whatever is charged or rated again between them. A page of few calls, or none, that
    has a next one has gone through as many calls as one request may. Raises `Unavailable`, also if
    time runs out.
    """
    if question.period.is_empty:
        return CallsPage((), None)
    lists, is_end = _lists(postings, question, limit + after.calls, after.list_key)
    current = CurrentUsages(question.version)
    if lists:
        span = _span(lists)
        revisions = postings.revisions(
            question.organization_id, since=span.since, until=span.revised_until
        )
        for revision in deadline.each(revisions):
            current.revise(revision)
    page: list[ListedUsage] = []
    place = after
    for usage_list in lists:
        if not question.includes_list(usage_list):
            # It is new. Of the next one that is not, some calls may be on the page before.
            place = place._replace(list_key=usage_list.key)
            continue
        usages = sorted(current.of(usage_list), key=ListedUsage.by_end, reverse=True)
        for number, usage in enumerate(usages[place.calls :], place.calls):
            if not question.includes(usage):
                continue
            if len(page) == limit:
                return CallsPage(page, place._replace(calls=number))
            page.append(usage)
        place = CallsPlace(usage_list.key)
    return CallsPage(page, None if is_end else place)


def _lists(
    postings: Postings, question: CallsQuestion, calls: int, after: str
) -> tuple[Sequence[UsageList], bool]:
    # Lists that probably contain more calls than that, and whether they are the last ones.
    since, until = question.period.since, question.period.end_of_days
    found: list[UsageList] = []
    read = probable = 0
    for usage_list in postings.usage_lists(
        question.organization_id, since=since, until=until, newest_first=True, after=after or None
    ):
        if probable > calls or read >= MAX_CALLS_READ or len(found) == MAX_LISTS_READ:
            return found, False
        found.append(usage_list)
        read += len(usage_list.usages)
        if question.includes_list(usage_list):
            probable += sum(map(question.includes, usage_list.usages))
    return found, True


def _span(lists: Iterable[UsageList]) -> Period:
    ends = [usage.ended_at for usage_list in lists for usage in usage_list.usages]
    return Period(min(ends), max(ends) + _INSTANT)
