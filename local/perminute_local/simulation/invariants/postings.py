"""What reports read, against the calls and the ledger that it is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from perminute.domain.pools.pools import Month
from perminute.domain.rating.usage_record import Outcome
from perminute.domain.reporting.postings import MAX_REVISED_DAYS, ListedUsage, UsageList
from perminute.domain.reporting.statement import Basis, state_month
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from perminute.domain.reporting.postings import Revision
    from perminute.domain.reporting.statement import Statement
    from perminute_local.simulation.backends.backend import Snapshot
    from perminute_local.simulation.invariants.invariant import Broken

_DAY = timedelta(days=1)


def posted(stored: Snapshot) -> Iterator[Broken]:
    """Check all of it."""
    yield from _calls_are_what_was_posted(stored)
    yield from _in_order(stored)
    yield from _entries_are_found(stored)
    yield from _months_add_up(stored)


@invariant
def _calls_are_what_was_posted(stored: Snapshot) -> Iterator[str]:
    """Each call is what its list and its revisions make of it."""
    calls = _PostedCalls()
    # Revisions first: one that moves a call is followed by the list that has it from then on.
    posted: list[Revision | UsageList] = [*stored.posted.revisions, *stored.posted.lists]
    posted.sort(key=lambda one: (one.posting.version, isinstance(one, UsageList)))
    for one in posted:
        yield from calls.add(one)
    for call_id, recorded in stored.usages.items():
        is_free = recorded.outcome is Outcome.FREE
        if not (is_free and call_id not in calls.known):
            yield from calls.compare(ListedUsage.of(recorded), is_free=is_free)


@dataclass(slots=True)
class _PostedCalls:
    known: dict[str, ListedUsage] = field(default_factory=dict)  # as they were changed last
    listed: dict[str, ListedUsage] = field(default_factory=dict)  # as they were listed last

    def add(self, posted: UsageList | Revision) -> Iterator[str]:
        version = posted.posting.version
        if isinstance(posted, UsageList):
            for usage in posted.usages:
                yield from self._list(version, usage)
        else:
            for revised in posted.usages:
                yield from self._revise(version, *revised)

    def compare(self, usage: ListedUsage, *, is_free: bool) -> Iterator[str]:
        call_id = usage.call_id
        if self.known.get(call_id) != usage:
            yield f"{call_id} is {usage}, but by what was posted {self.known.get(call_id)}"
        elif not is_free and self.listed[call_id].ended_at != usage.ended_at:
            yield f"{call_id} ended at {usage.ended_at}, and is in no list of that day"

    def _list(self, version: int, usage: ListedUsage) -> Iterator[str]:
        call_id = usage.call_id
        before = self.listed.get(call_id)
        if before is not None and before.ended_at == usage.ended_at:
            yield f"{call_id} is listed twice, by version {version} again"
        self.listed[call_id] = usage
        if self.known.setdefault(call_id, usage) != usage:
            yield f"{call_id} was {self.known[call_id]}, and version {version} lists {usage}"

    def _revise(self, version: int, before: ListedUsage, after: ListedUsage) -> Iterator[str]:
        call_id = before.call_id
        if call_id not in self.known and before.outcome is not Outcome.FREE:
            yield f"{call_id} is revised by version {version}, and in no list"
        if self.known.get(call_id, before) != before:
            yield f"{call_id} was {self.known[call_id]}, but {before} for version {version}"
        self.known[call_id] = after


@invariant
def _in_order(stored: Snapshot) -> Iterator[str]:
    """What is posted is in the order of its versions."""
    postings = {one.posting for one in stored.posted.lists}
    postings |= {one.posting for one in stored.posted.revisions}
    by_version = sorted((posting.version, posting.posted_at) for posting in postings)
    for (version, at), (later, later_at) in pairwise(by_version):
        if later_at < at or (version == later and later_at != at):
            yield f"version {version} was posted at {at}, and {later} at {later_at}"
    if by_version and by_version[-1][0] > stored.account.version:
        yield f"version {by_version[-1][0]} is posted, and {stored.account.version} is the last"
    for revision in stored.posted.revisions:
        ends = [usage.before.ended_at for usage in revision.usages]
        if max(ends) - min(ends) > MAX_REVISED_DAYS * _DAY:
            yield f"version {revision.posting.version} revises calls from {min(ends)} on"


@invariant
def _entries_are_found(stored: Snapshot) -> Iterator[str]:
    """Reports find each entry once, where they look for it."""
    found = Counter(entry.entry_id for entry in stored.posted.other_entries)
    for one in stored.posted.lists:
        if one.entry is not None:
            found[one.entry.entry_id] += 1
            day = one.usages[0].ended_at.date()
            at, posted_at = one.entry.at.date(), one.entry.was_posted_at.date()
            if not day <= at <= posted_at <= day + _DAY:
                yield f"entry {one.entry.entry_id} of {at}, posted on {posted_at}, is in {one.key}"
    entries = stored.statement.entries
    if found != Counter(entry.entry_id for entry in entries):
        yield f"found were {sorted(found.items())} of {len(entries)} entries"
    for entry, later in pairwise(entries):
        if later.was_posted_at < entry.was_posted_at:
            yield f"{later} was posted before {entry}"
    for entry in entries:
        if entry.was_posted_at < entry.at:
            yield f"{entry} was posted before its time"


@invariant
def _months_add_up(stored: Snapshot) -> Iterator[str]:
    """An entry says what of it belongs to calls of other months."""
    moved: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    revised: set[tuple[int, str]] = set()
    for revision in stored.posted.revisions:
        posting = revision.posting
        for before, after in revision.usages:
            moved[posting.entry_id][_month(before.ended_at)] += before.charge_micros
            moved[posting.entry_id][_month(after.ended_at)] -= after.charge_micros
            revised.add((posting.version, after.call_id))
    for one in stored.posted.lists:
        for usage in one.usages:
            if (one.posting.version, usage.call_id) not in revised:
                moved[one.posting.entry_id][_month(usage.ended_at)] -= usage.charge_micros
    if sum(moved.pop(None, Counter()).values()):
        yield "calls cost something that no entry charges"
    for entry in stored.statement.entries:
        of_calls = moved.get(entry.entry_id, Counter())
        stated = {str(month): micros for month, micros in entry.other_months}
        own = _month(entry.at)
        others = {month: micros for month, micros in of_calls.items() if micros and month != own}
        if stated != others:
            yield f"entry {entry.entry_id} says {stated} of other months, and calls {others}"
        if entry.of_calls and sum(of_calls.values()) != entry.amount_micros:
            yield f"entry {entry.entry_id} moves {entry.amount_micros}, and its calls {of_calls}"


@invariant
def months_are_stated(stored: Snapshot) -> Iterator[str]:
    """The statement of each month leads from balance to balance, and to what its calls cost."""
    cost_micros = Counter[Month]()
    for usage in stored.usages.values():
        cost_micros[Month.of(usage.call.ended_at)] += usage.charge_micros
    balance_micros = 0
    for month in sorted({Month.of(entry.at) for entry in stored.statement.entries}):
        stated, found = (_statement(stored, month, basis) for basis in (Basis.STATED, Basis.NOW))
        yield from (f"{month}: {difference}" for difference in stated.differences)
        yield from (f"{month}: {difference}" for difference in found.differences)
        if (found.opening_micros, found.usage.charge_micros) != (
            balance_micros,
            cost_micros[month],
        ):
            yield f"{month} opens with {balance_micros}, calls cost {cost_micros[month]}: {found}"
        balance_micros = found.closing_micros


def _statement(stored: Snapshot, month: Month, basis: Basis) -> Statement:
    lists, first_day = stored.posted.lists, month.start - _DAY
    return state_month(
        month,
        basis,
        stored.account,
        revisions=stored.posted.revisions,
        entries=stored.posted.other_entries,
        lists=[one for one in lists if first_day <= one.usages[0].ended_at < month.end],
        later_lists=[one for one in lists if one.usages[0].ended_at >= month.end],
    )


def _month(at: datetime) -> str:
    return f"{at:%Y-%m}"
