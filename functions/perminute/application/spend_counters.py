"""What was spent of limits, counted from the calls where it was not counted before.

A record is kept only of those who have a limit. It begins with the first call of its period, when
little is to be counted; or when a limit is set in the midst of it, and then all before is. That is
counted a bounded piece at a time, and each piece is kept in the record: who authorizes goes on
until all is counted, who charges does one piece and leaves the rest to others. Corrections have
written down what they changed; a record takes them in before its calls are counted, in pieces too.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from perminute.application.retry import NEVER
from perminute.domain.credit.ledger import entry_id
from perminute.domain.credit.transaction import Transaction
from perminute.domain.errors import Unavailable
from perminute.domain.limits.spending import PartOfDay, Spending, SpendingKind, Spendings
from perminute.ports import ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.limits.spending import SpendingKey
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import CallList, Calls, CreditStore

CALLS_AT_ONCE = 500
"""Calls whose usages are read for one piece, or a few more: a list is always counted whole."""

MAX_LISTS = 300
"""Lists of calls that are read for one piece, a tenth of a second's work."""

MAX_CORRECTIONS = 100
"""Numbers of corrections that are read for one piece: with names like real ones, less than 1 MB."""


def spendings_of(
    credit: CreditStore,
    calls: Calls,
    account: Account,
    keys: Collection[SpendingKey],
    deadline: Deadline = NEVER,
) -> Spendings:
    """Read what was spent, and count what is not counted; the account must have been read before.

    Whoever decides by it commits against the account: no call can have been charged meanwhile. The
    last piece is written with that decision, whatever it is, and those before it at once. Raises
    `Unavailable` if the deadline passes, and `Contended` if the account moves: what is counted by
    then need not be counted again.
    """
    counting = _Counting(credit, calls, account, keys)
    while counting.is_unfinished:
        deadline.check()
        counting.do_one_piece()
        if counting.is_unfinished:
            counting.write_down()
    return counting.spendings


def spendings_so_far(
    credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendingKey]
) -> Spendings:
    """Read what was spent as far as it is counted by now, and count one piece more.

    For those who do not decide by it: they write down that piece, and need not wait for the others.
    """
    counting = _Counting(credit, calls, account, keys)
    if counting.is_unfinished:
        # A call is charged although others cannot be read: these are counted later.
        with suppress(Unavailable):
            counting.do_one_piece()
    return counting.spendings


class _Counting:
    """The records of limits while they are brought up to date."""

    def __init__(
        self, credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendingKey]
    ) -> None:
        """Read them, and begin those that are not counted at all."""
        self._credit, self._calls, self._account = credit, calls, account
        self._records: dict[SpendingKey, Spending] = {}
        self._changed: set[SpendingKey] = set()
        if keys:
            self._put(self._begun(keys, credit.spendings(account.organization_id, keys)))

    @property
    def spendings(self) -> Spendings:
        """What was spent, as far as it is counted; what has changed is to be written."""
        corrections = self._account.corrections
        return Spendings(self._account.days, self._records, self._changed, corrections)

    @property
    def is_unfinished(self) -> bool:
        """Whether a record lacks corrections, or calls."""
        return bool(self._behind or self._uncounted)

    @property
    def _behind(self) -> list[Spending]:
        until = self._account.corrections
        return [one for one in self._records.values() if one.corrections < until]

    @property
    def _uncounted(self) -> list[Spending]:
        return [one for one in self._records.values() if one.counted_before is not None]

    def do_one_piece(self) -> None:
        """Read some corrections or some calls, and count them.

        Corrections first: what calls are counted with by now contains them all.
        """
        if self._behind:
            self._catch_up(self._behind)
        else:
            self._put(_one_piece(self._calls, self._account, self._uncounted))

    def write_down(self) -> None:
        """Keep what is counted by now, against the account as it was read; raises `Contended`."""
        account, spendings = self._account, self.spendings.touched
        self._credit.commit(Transaction(before=account, after=account, spendings=spendings))

    def _put(self, records: Iterable[Spending]) -> None:
        for record in records:
            if record != self._records.get(record.key):
                self._changed.add(record.key)
            self._records[record.key] = record

    def _begun(
        self, keys: Collection[SpendingKey], known: dict[SpendingKey, Spending]
    ) -> list[Spending]:
        """Begin the records that do not exist, and those that are void: see `prefixes_from`."""
        self._records = {key: record for key, record in known.items() if not self._is_void(record)}
        return [
            replace(
                known.get(key, Spending(key=key)),
                spent_micros=0,
                corrections=self._account.corrections,
                counted_before=key.since.date(),
                part=None,
            )
            for key in keys
            if key not in self._records
        ]

    def _is_void(self, record: Spending) -> bool:
        is_of_prefix = record.key.kind is SpendingKind.PREFIX
        return is_of_prefix and record.corrections < self._account.prefixes_from

    def _catch_up(self, behind: Sequence[Spending]) -> None:
        """Have those take in the next corrections that need the fewest, so that they are done.

        One that is far behind does not keep the others from that.
        """
        last = self._account.corrections
        numbers = [one.corrections for one in behind]
        nearly = [number for number in numbers if number >= last - MAX_CORRECTIONS]
        after = min(nearly) if nearly else max(numbers)
        until = min(after + MAX_CORRECTIONS, last)
        corrected = self._credit.spending_changes(
            self._account.organization_id, after=after, until=until
        )
        for one in behind:
            if after <= one.corrections < until:
                changes = (corrected[n] for n in sorted(corrected) if n > one.corrections)
                self._put([one.with_changes(chain.from_iterable(changes), until)])


class _Place(NamedTuple):
    """Where the count of a record goes on: with a day, after a list of it or from its beginning."""

    day: date
    after: str

    @classmethod
    def of(cls, record: Spending) -> _Place:
        assert record.counted_before is not None  # noqa: S101 - it is not counted in full
        return cls(record.counted_before, record.part.after if record.part else "")


def _one_piece(calls: Calls, account: Account, uncounted: Sequence[Spending]) -> list[Spending]:
    """Go through as many lists as one piece may, once for all records that are as far.

    Those that are further go first, and are done sooner. Returns the records by then.
    """
    organization_id = account.organization_id
    place = max(map(_Place.of, uncounted))
    together = [one for one in uncounted if _Place.of(one) == place]
    found: set[ListedCall] = set()
    stopped_at: CallList | None = None
    since = min(map(_counted_since, together))
    for read, listed in enumerate(
        calls.lists(organization_id, since=since, after=place.after or None), start=1
    ):
        found.update(call for call in listed.calls if _may_count(together, call))
        if read >= MAX_LISTS or len(found) >= CALLS_AT_ONCE:
            stopped_at = listed
            break
    usages = _usages(calls, organization_id, found) if found else ()
    return [_with_piece(one, usages, stopped_at, account.entries) for one in together]


def _with_piece(
    record: Spending, usages: Iterable[Usage], stopped_at: CallList | None, entries: int
) -> Spending:
    """Add to a record what the calls cost that were read, and say at which list that stopped."""
    of_day: Counter[date] = Counter()
    # The calls of a day that is begun are counted as they were then: the rest is added already.
    entries_then = record.part.entries if record.part else entries
    for usage in usages:
        day = usage.call.ended_at.date()
        if record.key.counts(usage.call, usage.price.prefix, usage.began_at):
            is_begun = day == record.counted_before
            of_day[day] += _micros_by(usage, entries_then if is_begun else entries)
    spent_micros = record.spent_micros + of_day.total()
    if stopped_at is None:
        return replace(record, spent_micros=spent_micros, counted_before=None, part=None)
    day = stopped_at.day
    part = record.part if day == record.counted_before else None
    part = part or PartOfDay(after="", entries=entries, micros=0)
    part = part._replace(after=stopped_at.key, micros=part.micros + of_day[day])
    return replace(record, spent_micros=spent_micros, counted_before=day, part=part)


def _micros_by(usage: Usage, entries: int) -> int:
    """Sum what a call cost by so many entries of the account; later ones are added elsewhere."""
    last = entry_id(entries)
    return sum(one.amount_micros for one in usage.movements if one.entry_id <= last)


def _counted_since(record: Spending) -> datetime:
    """From when on calls are to be counted: none that ended before its period is part of it."""
    since = record.key.since
    if record.counted_before is None:
        return since
    return max(since, datetime.combine(record.counted_before, time.min, UTC))


def _usages(
    calls: Calls, organization_id: str, listed: Collection[ListedCall]
) -> Collection[Usage]:
    """Read the usages of listed calls, but for what is listed out of date."""
    usages = calls.usages(organization_id, sorted({call.call_id for call in listed}))
    return [usage for usage in usages if ListedCall.of(usage.call) in listed]


def _may_count(uncounted: Iterable[Spending], call: ListedCall) -> bool:
    """Tell by what is listed of a call whether its usage must be read."""
    return any(
        call.answered_at >= one.key.since
        and (
            call.organizer_id == one.key.subject
            if one.key.kind is SpendingKind.USER
            else call.dial_out
        )
        for one in uncounted
    )
