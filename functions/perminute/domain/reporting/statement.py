"""The statement of a month: what credit came in and went out, and what the calls cost.

Money belongs to the month of its entry's `at`, usage to the month in which the calls ended. After a
call that was reported late the two sums differ, so a statement bridges them by two lines: what the
month's entries charged for calls of other months, and what was booked for its calls in other
months. Both are found on their own, so that it is checked, and not assumed, that they lead from the
one sum to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reporting.current_usages import CurrentUsages
from perminute.domain.reporting.month_ledger import MonthLedger, MonthSums, unequal
from perminute.domain.reporting.usage_sums import GroupKey, UsageSums, group_usage, regroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.pools.pools import Month
    from perminute.domain.reporting.month_ledger import StatedEntry
    from perminute.domain.reporting.postings import ListedUsage, Posting, Revision, UsageList
    from perminute.domain.reporting.usage_sums import UsageRow

STATED_AFTER = timedelta(days=3)
"""How long after its end a month is stated: operators report calls up to two days late."""

BROKEN_DOWN_BY = (GroupKey.LEG_TYPE, GroupKey.COUNTRY, GroupKey.ORGANIZER_ID)
"""By what the usage of a statement is broken down, each by itself."""

_GROUPED_BY_DAY = (*BROKEN_DOWN_BY, GroupKey.DAY)
_DAY_AND_LEG_TYPE = _GROUPED_BY_DAY.index(GroupKey.DAY), BROKEN_DOWN_BY.index(GroupKey.LEG_TYPE)

_FOREVER = datetime.max.replace(tzinfo=UTC)


class Basis(StrEnum):
    """Which postings a statement counts."""

    NOW = "now"  # all
    STATED = "stated"  # those until three days after the month, whatever was posted later

    def posted_before(self, month: Month) -> datetime:
        """Return the instant before which the postings were made that count."""
        return stated_at(month) if self is Basis.STATED else _FOREVER


def stated_at(month: Month) -> datetime:
    """Return the instant before which all was received that a month, as stated, contains.

    It changes once more if some of that is booked later: its posting says when it was received.
    """
    return month.end + STATED_AFTER


class Bridge(NamedTuple):
    """How the entries of a month lead to the cost of its calls; micro-units."""

    charged_micros: int  # for calls, by the month's entries
    other_months_micros: int  # of that, for calls of other months
    booked_later_micros: int  # for the month's calls, by entries of other months

    @property
    def usage_micros(self) -> int:
        """What the calls of the month cost by these lines."""
        return self.charged_micros - self.other_months_micros + self.booked_later_micros


class ChangedUsage(NamedTuple):
    """A call as it was stated, and as it is now; None: no call of the month."""

    stated: ListedUsage | None
    now: ListedUsage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The statement of a month, in micro-units of the currency of the credit."""

    month: Month
    basis: Basis
    opening_micros: int
    closing_micros: int
    sums: MonthSums
    usage: UsageSums
    broken_down: Mapping[GroupKey, Sequence[UsageRow]]
    bridge: Bridge
    changed: Mapping[str, ChangedUsage]  # by their ids, calls that differ between the two bases
    # If they were asked for: in the order of their ids, and by the day of the calls and their type.
    entries: Sequence[StatedEntry]
    by_day: Sequence[UsageRow]
    differences: Sequence[str]  # what does not agree, one sentence each


def state_month(  # noqa: PLR0913 - all that a statement rests on
    month: Month,
    basis: Basis,
    account: Account,
    *,
    revisions: Iterable[Revision],
    entries: Iterable[LedgerEntry],
    lists: Iterable[UsageList],
    later_lists: Iterable[UsageList],
    with_details: bool = False,
) -> Statement:
    """State a month by what was posted up to the version of an account.

    `revisions` are those of calls that ended in the month, `entries` those that are in no list and
    were posted since it began, `lists` those of the month and of the day before. `later_lists` are
    gone through only as far as needed to find the opening balance. Details are entries and days.
    """
    ledger = MonthLedger(month, account, basis.posted_before(month), with_entries=with_details)
    usage = _MonthUsage(month, basis, account.version)
    for revision in revisions:
        usage.add_revision(revision)
    for entry in entries:
        ledger.add(entry)
    usages = chain.from_iterable(map(usage.usages_of, _with_entries_added(lists, ledger)))
    # Days only if they are asked for: they make many more groups.
    rows = group_usage(usages, _GROUPED_BY_DAY if with_details else BROKEN_DOWN_BY)
    _find_opening(month, ledger, later_lists)
    total = UsageSums()
    total.add_all(row.sums for row in rows)
    sums = ledger.sums
    bridge = Bridge(sums.charged_micros, sums.other_months_micros, usage.booked_later_micros)
    differences = (
        *ledger.differences(),
        *unequal("the calls cost", total.charge_micros, "the bridge says", bridge.usage_micros),
    )
    return Statement(
        month=month,
        basis=basis,
        opening_micros=ledger.opening_micros,
        closing_micros=ledger.closing_micros,
        sums=sums,
        usage=total,
        broken_down={key: regroup(rows, place) for place, key in enumerate(BROKEN_DOWN_BY)},
        bridge=bridge,
        changed=usage.changed,
        entries=sorted(ledger.entries, key=lambda stated: stated.entry.entry_id),
        by_day=regroup(rows, *_DAY_AND_LEG_TYPE) if with_details else (),
        differences=differences,
    )


def _with_entries_added(lists: Iterable[UsageList], ledger: MonthLedger) -> Iterator[UsageList]:
    for usage_list in lists:
        if usage_list.entry is not None:
            ledger.add(usage_list.entry, usage_list.usages)
        yield usage_list


def _find_opening(month: Month, ledger: MonthLedger, later_lists: Iterable[UsageList]) -> None:
    # Where none can matter, none is read.
    if not ledger.may_open_with_list_of(month.end.date()):
        return
    for usage_list in _with_entries_added(later_lists, ledger):
        if not ledger.may_open_with_list_of(usage_list.usages[0].ended_at.date()):
            return


class _MonthUsage:
    """The calls of a month; revisions are to be added before lists."""

    def __init__(self, month: Month, basis: Basis, version: int) -> None:
        self.booked_later_micros = 0
        self.changed: dict[str, ChangedUsage] = {}
        self._start, self._end = month.start, month.end
        self._basis, self._version = basis, version
        self._posted_before, self._stated_at = basis.posted_before(month), stated_at(month)
        self._now, self._stated = CurrentUsages(version), CurrentUsages(version)

    def add_revision(self, revision: Revision) -> None:
        posting = revision.posting
        self._now.revise(revision)
        if posting.posted_at < self._stated_at:
            self._stated.revise(revision)
        for revised in revision.usages:
            before, after = revised
            if self._is_of_month(before.ended_at):
                # A call that has moved is in a list of its own, with what it costs since.
                after_micros = 0 if revised.is_moved else after.charge_micros
                self._book(posting, after_micros - before.charge_micros)

    def usages_of(self, usage_list: UsageList) -> Sequence[ListedUsage]:
        """Add a list; return those of its calls that count, as they are on the basis."""
        posting = usage_list.posting
        if not self._is_of_month(usage_list.usages[0].ended_at):
            return ()
        self._book(posting, sum(usage.charge_micros for usage in usage_list.usages))
        now = list(self._now.of(usage_list))
        is_stated = posting.posted_at < self._stated_at
        stated = list(self._stated.of(usage_list)) if is_stated else []
        if stated != now:
            self._compare(stated, now)
        return now if self._basis is Basis.NOW else stated

    def _book(self, posting: Posting, micros: int) -> None:
        counts = posting.version <= self._version and posting.posted_at < self._posted_before
        if counts and not (posting.entry_at and self._is_of_month(posting.entry_at)):
            self.booked_later_micros += micros

    def _compare(self, stated: Iterable[ListedUsage], now: Iterable[ListedUsage]) -> None:
        stated_by_id = {usage.call_id: usage for usage in stated}
        now_by_id = {usage.call_id: usage for usage in now}
        for call_id in stated_by_id | now_by_id:
            # A call that has moved within the month is in two lists of it.
            known = self.changed.pop(call_id, ChangedUsage(None, None))
            both = ChangedUsage(
                stated_by_id.get(call_id, known.stated), now_by_id.get(call_id, known.now)
            )
            if _without_flags(both.stated) != _without_flags(both.now):
                self.changed[call_id] = both

    def _is_of_month(self, at: datetime) -> bool:
        return self._start <= at < self._end


def _without_flags(usage: ListedUsage | None) -> ListedUsage | None:
    return None if usage is None else usage._replace(flags=())
