"""What was spent of limits, counted from the calls where it was not counted before.

A record is kept only of those who have a limit. It begins with the first call of its period, when
little is to be counted; or when a limit is set in the midst of it, and then all before is. That is
counted a bounded piece at a time, whole days of it, and each piece is kept in the record: who
authorizes goes on until all is counted, who charges does one piece and leaves the rest to others.
Corrections are never counted anew: they have written down what they changed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, time
from itertools import chain
from typing import TYPE_CHECKING

from perminute.application.patience import NEVER, contended
from perminute.application.postings import posting_of
from perminute.domain.accounts import Booking
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.spending import Spending, SpendingKind, Spendings
from perminute.ports import Committed, ListedCall

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import date

    from perminute.application.patience import Deadline
    from perminute.domain.accounts import Account
    from perminute.domain.spending import SpendingKey
    from perminute.domain.usage import Usage
    from perminute.ports import Calls, CreditStore

CALLS_AT_ONCE = 500
"""Calls that are read before they are added up."""

MAX_LISTS = 300
"""Lists of calls that are read for one piece, a tenth of a second's work; a day is always read to
its end."""


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
    while counting.uncounted:
        deadline.check()
        counting.count()
        if counting.uncounted:
            counting.write_down()
    return counting.spendings


def spendings_so_far(
    credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendingKey]
) -> Spendings:
    """Read what was spent as far as it is counted by now, and count one piece more.

    For those who do not decide by it: they write down that piece, and need not wait for the others.
    """
    counting = _Counting(credit, calls, account, keys)
    try:
        counting.count()
    except Contended:
        raise
    except Unavailable:
        # A call is charged although others cannot be read: these are counted later.
        pass
    return counting.spendings


class _Counting:
    """The records of limits while they are brought up to date."""

    def __init__(
        self, credit: CreditStore, calls: Calls, account: Account, keys: Collection[SpendingKey]
    ) -> None:
        """Read them, and have them take in the corrections that they lack."""
        self._credit, self._calls, self._account = credit, calls, account
        self._records: dict[SpendingKey, Spending] = {}
        self._changed: set[SpendingKey] = set()
        if keys:
            self._put(self._begun(keys, credit.spendings(account.organization_id, keys)))
            self._catch_up()

    @property
    def spendings(self) -> Spendings:
        """What was spent, as far as it is counted; what has changed is to be written."""
        return Spendings(self._account.days, self._records, self._changed)

    @property
    def uncounted(self) -> list[Spending]:
        """The records that are not counted in full."""
        return [one for one in self._records.values() if one.counted_before is not None]

    def count(self) -> None:
        """Count one piece more of those that are not counted in full, if there are any."""
        if self.uncounted:
            self._put(_one_piece(self._calls, self._account.organization_id, self.uncounted))

    def write_down(self) -> None:
        """Keep what is counted by now, against the account as it was read; raises `Contended`."""
        organization_id = self._account.organization_id
        booking = Booking(account=self._account, spendings=self.spendings.touched)
        if not isinstance(self._credit.commit(posting_of(self._account, booking)), Committed):
            raise contended(organization_id, "the account was changed while calls were counted")

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
            )
            for key in keys
            if key not in self._records
        ]

    def _is_void(self, record: Spending) -> bool:
        is_of_prefix = record.key.kind is SpendingKind.PREFIX
        return is_of_prefix and record.corrections < self._account.prefixes_from

    def _catch_up(self) -> None:
        until = self._account.corrections
        behind = [one for one in self._records.values() if one.corrections < until]
        if not behind:
            return
        corrected = self._credit.spending_changes(
            self._account.organization_id,
            after=min(one.corrections for one in behind),
            until=until,
        )
        for one in behind:
            changes = (corrected[n] for n in corrected if n > one.corrections)
            self._put([one.with_changes(chain.from_iterable(changes), until)])


def _one_piece(calls: Calls, organization_id: str, uncounted: Sequence[Spending]) -> list[Spending]:
    """Go through as many lists as one piece may, once for all records; returns these by then."""
    spent_micros: Counter[SpendingKey] = Counter()
    found: set[ListedCall] = set()
    day: date | None = None
    until: date | None = None
    lists = calls.lists(organization_id, since=min(map(_counted_since, uncounted)))
    for read, listed in enumerate(lists):
        if listed.day != day:
            if read >= MAX_LISTS:
                until = listed.day
                break
            day = listed.day
        found.update(call for call in listed.calls if _may_count(uncounted, call))
        if len(found) >= CALLS_AT_ONCE:
            spent_micros.update(_total(uncounted, _usages(calls, organization_id, found)))
            found = set()
    if found:
        spent_micros.update(_total(uncounted, _usages(calls, organization_id, found)))
    return [
        replace(
            one,
            spent_micros=one.spent_micros + spent_micros[one.key],
            counted_before=None if until is None else max(until, one.counted_before or until),
        )
        for one in uncounted
    ]


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
    return [usage for usage in usages if ListedCall.of(usage.leg) in listed]


def _may_count(uncounted: Iterable[Spending], call: ListedCall) -> bool:
    """Tell by what is listed of a call whether its usage must be read."""
    return any(
        call.answered_at >= one.key.since
        and not one.contains(call.ended_at.date())
        and (
            call.organizer_id == one.key.subject
            if one.key.kind is SpendingKind.USER
            else call.dial_out
        )
        for one in uncounted
    )


def _total(uncounted: Iterable[Spending], usages: Collection[Usage]) -> dict[SpendingKey, int]:
    return {
        one.key: sum(
            usage.charge_micros
            for usage in usages
            if one.key.counts(usage.leg, usage.price.prefix, usage.began_at)
            and not one.contains(usage.leg.ended_at.date())
        )
        for one in uncounted
    }
