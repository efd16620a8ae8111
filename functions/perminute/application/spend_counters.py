"""Read what was spent of limits, and count calls and corrections that are not counted yet.

A counter begins with the first call of its period, when little is to be counted; or when a limit is
set in the middle of it, and then all calls before are. They are counted a bounded piece at a time,
and each piece is written: an authorization continues until all is counted, a charge counts one
piece and leaves the rest to others. A counter takes in the corrections that it lacks, in pieces
too, before its calls are counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, date, datetime, time
from itertools import chain
from typing import TYPE_CHECKING

from perminute.application.retry import NEVER, Deadline
from perminute.domain.credit.ledger import entry_id
from perminute.domain.credit.transaction import Transaction
from perminute.domain.errors import Unavailable
from perminute.domain.limits.spending import PartOfDay, SpendCounter, SpendCounters, SpendKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.limits.spending import SpendKey
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CallList, Calls, CreditStore, ListedCall

# Calls whose usages are read for one piece, or a few more: a list is always counted whole.
CALLS_AT_ONCE = 500
MAX_LISTS = 300  # lists of calls that are read for one piece, a tenth of a second's work
# Numbers of corrections that are read for one piece: with names like real ones, less than 1 MB.
MAX_CORRECTIONS = 100


def full_spend_counters(
    credit: CreditStore,
    calls: Calls,
    account: Account,
    keys: Collection[SpendKey],
    deadline: Deadline = NEVER,
) -> SpendCounters:
    """Read what was spent, after the account was read, and count all that is not counted.

    Raises `Unavailable` if the deadline passes, and `Contended` if the account changes.
    """
    # What is decided by it is committed against the account: no call can have been charged
    # meanwhile. The last piece is written with that decision, and those before it at once, so that
    # they need not be counted again.
    counting = _Counting(credit, calls, account, keys)
    while counting.is_unfinished:
        deadline.check()
        counting.count_one_piece()
        if counting.is_unfinished:
            counting.write()
    return counting.spend_counters


def spend_counters_so_far(
    credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendKey]
) -> SpendCounters:
    """Read what was spent as far as it is counted, and count one piece more."""
    # For transactions that decide nothing by it: they write that piece, and need not wait.
    counting = _Counting(credit, calls, account, keys)
    if counting.is_unfinished:
        # A call is charged although others cannot be read: these are counted later.
        with suppress(Unavailable):
            counting.count_one_piece()
    return counting.spend_counters


class _Counting:
    def __init__(
        self, credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendKey]
    ) -> None:
        self._credit, self._calls, self._account = credit, calls, account
        self._read = credit.spend_counters(account.organization_id, keys) if keys else {}
        self._counters = {key: _begun(key, self._read.get(key), account) for key in keys}

    @property
    def spend_counters(self) -> SpendCounters:
        changed = [key for key, now in self._counters.items() if now != self._read.get(key)]
        return SpendCounters(self._account.days, self._counters, changed, self._account.corrections)

    @property
    def is_unfinished(self) -> bool:
        last = self._account.corrections
        return any(
            counter.corrections < last or counter.counted_before is not None
            for counter in self._counters.values()
        )

    def count_one_piece(self) -> None:
        # Corrections first: what calls are counted with contains them all.
        counters, last = self._counters.values(), self._account.corrections
        if behind := [counter for counter in counters if counter.corrections < last]:
            counted = _corrected(self._credit, self._account, behind)
        else:
            uncounted = [counter for counter in counters if counter.counted_before is not None]
            counted = _counted(self._calls, self._account, uncounted)
        self._counters |= {counter.key: counter for counter in counted}

    def write(self) -> None:
        account, spend_counters = self._account, self.spend_counters.touched
        self._credit.commit(
            Transaction(before=account, after=account, spend_counters=spend_counters)
        )


def _begun(key: SpendKey, counter: SpendCounter | None, account: Account) -> SpendCounter:
    # While there was no limit of prefixes, nothing was counted for it.
    is_void_before = account.prefixes_from if key.kind is SpendKind.PREFIX else 0
    if counter is not None and counter.corrections >= is_void_before:
        return counter
    return (counter or SpendCounter(key=key))._replace(
        spent_micros=0,
        corrections=account.corrections,
        counted_before=key.since.date(),
        part=None,
    )


def _corrected(
    credit: CreditStore, account: Account, behind: Sequence[SpendCounter]
) -> Iterable[SpendCounter]:
    # First the counters that lack the fewest corrections: they are soon done, and do not wait for
    # one that lacks many.
    last = account.corrections
    numbers = [counter.corrections for counter in behind]
    nearly = [number for number in numbers if number >= last - MAX_CORRECTIONS]
    after = min(nearly) if nearly else max(numbers)
    until = min(after + MAX_CORRECTIONS, last)
    changes = credit.spend_changes(account.organization_id, after=after, until=until)
    for counter in behind:
        if after <= counter.corrections < until:
            missing = (changes[n] for n in sorted(changes) if n > counter.corrections)
            yield counter.with_changes(chain.from_iterable(missing), until)


def _counted(
    calls: Calls, account: Account, uncounted: Sequence[SpendCounter]
) -> list[SpendCounter]:
    # Once for all counters that are as far as the furthest.
    organization_id = account.organization_id
    day, after = max(map(_place, uncounted))
    counters = [counter for counter in uncounted if _place(counter) == (day, after)]
    # No call that ended before a counter's period is part of it.
    since = min(counter.key.since for counter in counters)
    since = max(since, datetime.combine(day, time.min, UTC))
    found: set[ListedCall] = set()
    stopped_at: CallList | None = None
    lists = calls.lists(organization_id, since=since, after=after or None)
    for read, listed in enumerate(lists, start=1):
        found.update(call for call in listed.calls if _may_count(counters, call))
        if read >= MAX_LISTS or len(found) >= CALLS_AT_ONCE:
            stopped_at = listed
            break
    by_id: defaultdict[str, list[ListedCall]] = defaultdict(list)
    for call in found:
        by_id[call.call_id].append(call)
    usages = [
        usage
        for usage in (calls.usages(organization_id, sorted(by_id)) if by_id else ())
        # Else the list was out of date.
        if any(call.lists(usage) for call in by_id[usage.call.call_id])
    ]
    return [_with_piece(counter, usages, stopped_at, account.entries) for counter in counters]


def _place(counter: SpendCounter) -> tuple[date, str]:
    day = counter.counted_before or counter.key.since.date()
    return day, counter.part.after if counter.part else ""


def _may_count(counters: Iterable[SpendCounter], call: ListedCall) -> bool:
    return any(
        call.answered_at >= counter.key.since
        and (
            call.organizer_id == counter.key.subject
            if counter.key.kind is SpendKind.USER
            else call.dial_out
        )
        for counter in counters
    )


def _with_piece(
    counter: SpendCounter, usages: Iterable[Usage], stopped_at: CallList | None, entries: int
) -> SpendCounter:
    of_day: Counter[date] = Counter()
    # The calls of a day that is begun are counted as they were then: the rest is added already.
    entries_then = counter.part.entries if counter.part else entries
    for usage in usages:
        day = usage.call.ended_at.date()
        if counter.key.counts(usage.call, usage.price.prefix, usage.began_at):
            is_begun = day == counter.counted_before
            of_day[day] += _micros_by(usage, entries_then if is_begun else entries)
    spent_micros = counter.spent_micros + of_day.total()
    if stopped_at is None:
        return counter._replace(spent_micros=spent_micros, counted_before=None, part=None)
    day = stopped_at.day
    part = counter.part if day == counter.counted_before else None
    part = part or PartOfDay(after="", entries=entries, micros=0)
    part = part._replace(after=stopped_at.key, micros=part.micros + of_day[day])
    return counter._replace(spent_micros=spent_micros, counted_before=day, part=part)


def _micros_by(usage: Usage, entries: int) -> int:
    # What later entries of the account change is added elsewhere.
    last = entry_id(entries)
    return sum(movement.amount_micros for movement in usage.movements if movement.entry_id <= last)
