"""Read the ledger of a period page by page, all pages as of one version of the account.

Entries are ordered by the UTC day of their `at`, then by their ids, the last first. The ids alone
would not do: the entry of an event that came late has an `at` before those of earlier entries.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.ledger import EntryType, entry_id
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from perminute.application.retry import Deadline
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.reporting.periods import Period
    from perminute.domain.reporting.postings import UsageList
    from perminute.ports.postings import Postings

MAX_CALLS_READ = 20_000
"""Calls in whose lists a page looks for entries, to the end of a day: about 1 MB."""

_DAY = timedelta(days=1)


class LedgerPlace(NamedTuple):
    """A place in the ledger, from which it goes back: an entry of a day, or the end of the day."""

    day: date
    before: str | None = None  # None: all entries of the day are still to come

    def is_in(self, period: Period) -> bool:
        """Whether a page of a period can begin here."""
        return period.since.date() <= self.day <= period.last_day

    def is_passed_by(self, day: date, name: str) -> bool:
        """Whether an entry is not before this place."""
        return day == self.day and self.before is not None and name >= self.before


class LedgerQuestion(NamedTuple):
    """Which entries are asked for, and as of how many of the account."""

    organization_id: str
    entries: int
    period: Period
    type: EntryType | None = None

    def includes(self, entry: LedgerEntry) -> bool:
        """Whether an entry is asked for."""
        return (
            entry.entry_id <= entry_id(self.entries)
            and self.period.includes(entry.at)
            and self.type in {None, entry.type}
        )


class BookedEntry(NamedTuple):
    """An entry, and the calls that it charged or corrected."""

    entry: LedgerEntry
    call_ids: Sequence[str]


class LedgerPage(NamedTuple):
    """Entries, and the place at which the next page begins; None after the last page."""

    entries: Sequence[BookedEntry]
    next: LedgerPlace | None


def ledger_page(
    postings: Postings,
    question: LedgerQuestion,
    *,
    limit: int,
    after: LedgerPlace | None,
    deadline: Deadline,
) -> LedgerPage:
    """Return at most `limit` entries, the last first.

    The account must have as many entries as the question says. A page of few entries, or none, that
    has a next one has gone through as many calls as one request may. Raises `Unavailable`, also if
    time runs out.
    """
    if question.period.is_empty:
        return LedgerPage((), None)
    place = after or LedgerPlace(question.period.last_day)
    page: list[BookedEntry] = []
    for day, entries in _days(postings, question, place.day, deadline):
        if entries is None:
            return LedgerPage(page, LedgerPlace(day))
        for booked in sorted(entries, key=_entry_id, reverse=True):
            if place.is_passed_by(day, _entry_id(booked)):
                continue
            if len(page) == limit:
                return LedgerPage(page, place)
            page.append(booked)
            place = LedgerPlace(day, _entry_id(booked))
    return LedgerPage(page, None)


def _days(
    postings: Postings, question: LedgerQuestion, day: date, deadline: Deadline
) -> Iterator[tuple[date, Sequence[BookedEntry] | None]]:
    # Day by day with all entries of each; at last the day to go on with, if enough was read.
    first_day = question.period.since.date()
    entries: defaultdict[date, list[BookedEntry]] = defaultdict(list)
    for entry in _entries_of_their_own(postings, question, deadline):
        entries[entry.at.date()].append(BookedEntry(entry, entry.call_ids))
    calls = 0
    for usage_list in deadline.each(_lists(postings, question, day)):
        # Its entry is of the day on which the calls ended, or of the next one.
        last_day = usage_list.usages[0].ended_at.date() + _DAY
        while day > last_day:
            yield day, entries.pop(day, ())
            day -= _DAY
            if calls >= MAX_CALLS_READ:
                yield day, None
                return
        calls += len(usage_list.usages)
        if usage_list.entry is not None and question.includes(usage_list.entry):
            entries[usage_list.entry.at.date()].append(_booked(usage_list.entry, usage_list))
    while day >= first_day:
        yield day, entries.pop(day, ())
        day -= _DAY


def _entries_of_their_own(
    postings: Postings, question: LedgerQuestion, deadline: Deadline
) -> Iterator[LedgerEntry]:
    # An entry is posted at its `at`, or later.
    since = question.period.since
    found = postings.entries(question.organization_id, posted_since=since)
    return filter(question.includes, deadline.each(found))


def _lists(postings: Postings, question: LedgerQuestion, day: date) -> Iterator[UsageList]:
    if question.type not in {None, EntryType.CHARGE}:
        return iter(())
    since = end_of(question.period.since.date() - 2 * _DAY)
    return postings.usage_lists(
        question.organization_id, since=since, until=end_of(day), newest_first=True
    )


def _booked(entry: LedgerEntry, usage_list: UsageList) -> BookedEntry:
    charged = (usage.call_id for usage in usage_list.usages if usage.charge_micros)
    return BookedEntry(entry, (*charged, *entry.call_ids))


def _entry_id(booked: BookedEntry) -> str:
    return booked.entry.entry_id
