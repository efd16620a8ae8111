"""Compare an operator's records with the calls that we have charged, day by day, and notify of it.

A day is compared when no record of it is awaited any more. What is found of an organization and a
day is notified of once, in the transaction that records that it was: a run that is repeated sends
nothing again, and one that is missed is made up for by the next one.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import TYPE_CHECKING

from perminute.application.notify_once import notify_once
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.comparison.record_comparison import (
    REPORTED_WITHIN,
    OurCall,
    compare_records,
    numbers_of_others,
)
from perminute.domain.credit.transaction import EventIdentity, IdentityKind
from perminute.domain.errors import Unavailable
from perminute.domain.notifications.notifications import DifferingCalls, RecordsDiffer
from perminute.domain.values.printable import counted
from perminute.domain.values.times import end_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from perminute.domain.comparison.record_comparison import Comparison, TheirCall
    from perminute.domain.credit.accounts import Account
    from perminute.domain.rating.usage_record import Usage
    from perminute.domain.reference.directory import Directory
    from perminute.ports.stores import Calls, CreditStore

COMPARED_AFTER = REPORTED_WITHIN + timedelta(hours=24)
"""How long a day must be over: its calls are reported by then, and the run of the next day has had
those charged that were reported last."""

CALLS_READ = 1_000
"""Calls that are read at once, and again if the table is throttled."""

DAYS_COMPARED = 3
"""Days that each run compares, so that two of them may be missed. With the day before the first of
them, on which its calls may have begun, they lie in the window of the records that a run reads."""


def days_to_compare(at: datetime) -> tuple[date, ...]:
    """Return the UTC days that a run compares."""
    last = (at - COMPARED_AFTER).date() - timedelta(days=1)
    return tuple(last - timedelta(days=ago) for ago in reversed(range(DAYS_COMPARED)))


class OperatorRecords:
    """What an operator has recorded of some days, and of whose calls its records are complete."""

    def __init__(self, source: str, days: Collection[date], *, by_rate_card: bool) -> None:
        self.source = source
        self.days = days
        self.by_rate_card = by_rate_card  # what the operator charges, see `Source`
        self.organizations: set[str] = set()
        # Organizations some of whose records could not be read.
        self.incomplete: set[str] = set()
        # All calls that the operator knows, also of other days, and those of records in problem.
        self.known: set[str] = set()
        self._calls: list[TheirCall] = []

    def add(self, call: TheirCall) -> None:
        """Add a record, unless it is of another day."""
        self.organizations.add(call.organization_id)
        self.known.add(call.call_id)
        if call.ended_at.date() in self.days:
            self._calls.append(call)

    def by_organization(self) -> dict[str, list[TheirCall]]:
        """Return the calls of the organizations that can be compared."""
        calls: defaultdict[str, list[TheirCall]] = defaultdict(list)
        for call in self._calls:
            calls[call.organization_id].append(call)
        return {name: calls[name] for name in sorted(self.organizations - self.incomplete)}


@dataclass(slots=True)
class RecordsCompared:
    """What was found of an organization's days."""

    organization_id: str
    equal: int = 0
    differences: int = 0  # of days that were notified of now
    notified: int = 0  # days
    failure: Unavailable | None = None  # why not all of its days were compared


@dataclass(frozen=True, slots=True)
class CompareRecords:
    """The use case with its ports."""

    credit: CreditStore
    calls: Calls
    retry: RetryPolicy
    # Prices of a reseller are not those of the operator.
    compares_costs: bool = True

    def __call__(
        self,
        records: OperatorRecords,
        directory: Directory,
        at: datetime,
        deadline: Deadline = NEVER,
    ) -> list[RecordsCompared]:
        """Compare all organizations of the records; if one fails, the others are still compared."""
        others = numbers_of_others(directory, records.source)
        found = []
        for organization_id, theirs in records.by_organization().items():
            done = RecordsCompared(organization_id)
            found.append(done)
            try:
                ours = self._ours(organization_id, records, theirs, others, deadline)
                for day in records.days:
                    self._compare(records, day, theirs, ours, at, deadline, done)
            except Unavailable as error:
                done.failure = error
        return found

    def _compare(  # noqa: PLR0913, PLR0917 - what one day is compared by
        self,
        records: OperatorRecords,
        day: date,
        theirs: Sequence[TheirCall],
        ours: Sequence[OurCall],
        at: datetime,
        deadline: Deadline,
        done: RecordsCompared,
    ) -> None:
        deadline.check()
        of_day = [call for call in theirs if call.ended_at.date() == day]
        if not self.compares_costs:
            of_day = [call._replace(charge=None) for call in of_day]
        named = {call.call_id for call in of_day}
        comparison = compare_records(
            of_day,
            [
                call
                for call in ours
                if call.call_id in named or (call.ended_at and call.ended_at.date() == day)
            ],
            reported_by=end_of(day),
            # A call may have ended on another day by the record than by what was charged.
            also_there=records.known,
        )
        done.equal += comparison.equal
        if comparison.differences and self._notify(
            done.organization_id, records.source, day, comparison, at, deadline
        ):
            done.notified += 1
            done.differences += len(comparison.differences)

    def _ours(
        self,
        organization_id: str,
        records: OperatorRecords,
        theirs: Sequence[TheirCall],
        others: Collection[str],
        deadline: Deadline,
    ) -> list[OurCall]:
        """Read our calls of the days, and those that the records name, wherever they are listed."""
        call_ids = {call.call_id for call in theirs}
        call_ids |= set(self._listed(organization_id, records.days, deadline))
        # Free calls are in no list.
        ours: list[OurCall] = []
        for some in _parts(sorted(call_ids)):
            read = partial(self.calls.usages_by_id, organization_id, some)
            usages = self.retry.call(read, organization_id, deadline).values()
            ours += _of_source(usages, others, by_rate_card=records.by_rate_card)
        return ours

    def _listed(
        self, organization_id: str, days: Collection[date], deadline: Deadline
    ) -> Iterator[str]:
        since = datetime.combine(min(days), time(), UTC)
        for listed in self.calls.lists(organization_id, since=since):
            deadline.check()
            if listed.day > max(days):
                return
            yield from (call.call_id for call in listed.calls)

    def _notify(  # noqa: PLR0913, PLR0917 - of whom, of what, and when
        self,
        organization_id: str,
        source: str,
        day: date,
        comparison: Comparison,
        at: datetime,
        deadline: Deadline,
    ) -> bool:
        """Notify unless it was done; return whether it was done now."""
        return notify_once(
            self.credit,
            EventIdentity(IdentityKind.RECORDS_COMPARED, organization_id, f"{source}/{day}"),
            partial(_body, source, day, comparison),
            found={kind: found.calls for kind, found in comparison.sums().items() if found.calls},
            at=at,
            retry=self.retry,
            deadline=deadline,
        )


def raise_failed(compared: Sequence[RecordsCompared]) -> None:
    """Raise `Unavailable` if an organization could not be compared: the run has failed."""
    failed = [
        f"{comparison.organization_id}: {comparison.failure}"
        for comparison in compared
        if comparison.failure
    ]
    if failed:
        organizations = counted(len(failed), "organization")
        msg = f"records of {organizations} were not compared: {'; '.join(failed)}"
        raise Unavailable(msg)


def _parts(call_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(call_ids), CALLS_READ):
        yield call_ids[start : start + CALLS_READ]


def _of_source(
    usages: Iterable[Usage], others: Collection[str], *, by_rate_card: bool
) -> Iterator[OurCall]:
    for usage in usages:
        if usage.call.service_number not in others:
            yield OurCall.of(usage, by_rate_card=by_rate_card)


def _body(source: str, day: date, comparison: Comparison, account: Account) -> RecordsDiffer:
    kinds = tuple(
        DifferingCalls(
            kind,
            found.calls,
            found.seconds,
            dict(found.costs_micros).get(account.currency or "", 0),
        )
        for kind, found in comparison.sums().items()
        if found.calls
    )
    return RecordsDiffer(source, day.isoformat(), kinds, account.currency)
