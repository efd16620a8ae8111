"""Send the digests of the days that are over: all calls of a group but the first, as they are now.

Calls are counted from the records that their transactions wrote. What is counted of some records is
written in the transaction that removes them, so that a call is in one digest and no other, however
often this runs, and whatever the stream has published until then. Then the digest is sent in the
transaction that removes what was counted for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from perminute.application.correlation import correlation_id
from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION, Transaction
from perminute.domain.errors import Contended, Unavailable
from perminute.domain.notifications.digests import CallGroup, CallToNotify, count
from perminute.domain.rating.usage_record import Usage
from perminute.domain.values.times import end_of
from perminute.ports.stores import MAX_CALLS_READ, CallsUnderWay, CreditStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from perminute.ports.messaging import CallRecord, Digests

# Records of calls that are read at once: with a group or two they fill a transaction.
MAX_RECORDS_COUNTED = 98
# Calls that are counted at once; a record may contain somewhat fewer than a hundred.
MAX_CALLS_COUNTED = 500
# Each takes two items of a transaction at most: what was counted, and a record of the outbox.
DIGESTS_SENT_AT_ONCE = 45


@dataclass(slots=True)
class DigestsSent:
    """How many digests of an organization were sent, of how many calls."""

    calls: int = 0
    sent: int = 0
    failed: Unavailable | None = None  # why not all of them could be sent
    goes_on: bool = False  # time has run out before the last one


@dataclass(frozen=True, slots=True)
class SendDigests:
    """The use case with what it needs from outside."""

    credit: CreditStore
    calls: CallsUnderWay
    digests: Digests
    retry: RetryPolicy

    def __call__(
        self, organization_id: str, until: datetime, at: datetime, deadline: Deadline = NEVER
    ) -> DigestsSent:
        """Send all digests of days that are over by `until`, as of `at`; repeat it to go on."""
        done = DigestsSent()
        try:
            account = self.credit.account(organization_id)
            if account.digests_due_at is not None and account.digests_due_at <= until:
                attempt = partial(self._send_days, organization_id, until, at, deadline, done)
                self.retry.call(attempt, organization_id)
        except Unavailable as error:
            done.failed = error
        return done

    def _send_days(
        self,
        organization_id: str,
        until: datetime,
        at: datetime,
        deadline: Deadline,
        done: DigestsSent,
    ) -> None:
        # The account is read first: a call that is added after it changes its version.
        account = self.credit.account(organization_id)
        while (day := self.digests.first_day(organization_id)) and end_of(day) <= until:
            counted = self._count(organization_id, day, account.currency)
            sent = 0 if counted else self._send(organization_id, day, at)
            done.calls += counted
            done.sent += sent
            if not (counted or sent):
                msg = "what was counted kept changing"
                raise Contended(msg)
            if deadline.passed:
                done.goes_on = True
                return
        due_at = None if day is None else end_of(day)
        after = account._replace(version=account.version + 1, digests_due_at=due_at)
        self.credit.commit(Transaction(before=account, after=after))

    # Both return 0 if there is nothing to do, or another writer was faster.
    def _count(self, organization_id: str, day: date, currency: str | None) -> int:
        read = self.digests.records(organization_id, day, limit=MAX_RECORDS_COUNTED)
        records = _fitting(read)
        calls = [call for record in records for call in record.calls]
        if not calls:
            return 0
        first_of: dict[CallGroup, CallToNotify] = {}
        for call in calls:
            first_of.setdefault(CallGroup.of(call.notification), call)
        # What the stream has not shown the publisher yet would be counted, and published after it.
        firsts = self.digests.claim(organization_id, first_of)
        usages = self._usages(organization_id, calls)
        known = self.digests.counted(organization_id, _groups(calls, usages))
        counted = count(known, calls, usages, firsts, currency)
        is_counted = self.digests.count(organization_id, records, tuple(counted.values()))
        return len(calls) if is_counted else 0

    def _send(self, organization_id: str, day: date, at: datetime) -> int:
        counted = self.digests.counted_on(organization_id, day, limit=DIGESTS_SENT_AT_ONCE)
        sent = [_traced(calls.to_send(at)) for calls in counted]
        return len(sent) if sent and self.digests.send(organization_id, counted, sent) else 0

    def _usages(self, organization_id: str, calls: Sequence[CallToNotify]) -> Mapping[str, Usage]:
        call_ids = list(dict.fromkeys(call.notification.call_id or "" for call in calls))
        usages: dict[str, Usage] = {}
        for start in range(0, len(call_ids), MAX_CALLS_READ):
            read = self.calls.read_calls(organization_id, call_ids[start : start + MAX_CALLS_READ])
            usages |= {name: call for name, call in read.items() if isinstance(call, Usage)}
        return usages


def _traced(call: CallToNotify) -> CallToNotify:
    # No event is behind a digest: its cause is the run.
    return call if call.correlation_id else call._replace(correlation_id=correlation_id())


def _groups(calls: Sequence[CallToNotify], usages: Mapping[str, Usage]) -> set[CallGroup]:
    # As they are counted: an organizer may have been erased after the call was notified of.
    groups: set[CallGroup] = set()
    for call in calls:
        usage = usages.get(call.notification.call_id or "")
        if usage is not None:
            group = CallGroup.of(call.notification)
            groups.add(group._replace(organizer_id=usage.call.organizer_id))
    return groups


def _fitting(records: Sequence[CallRecord]) -> list[CallRecord]:
    # As many as can be counted together with their groups in one transaction.
    groups: set[CallGroup] = set()
    calls = 0
    for number, record in enumerate(records):
        groups |= {CallGroup.of(call.notification) for call in record.calls}
        calls += len(record.calls)
        # While an organizer is being erased, the calls of a group are counted under two names.
        items = number + 1 + min(2 * len(groups), calls)
        if number and (items > MAX_ITEMS_PER_TRANSACTION or calls > MAX_CALLS_COUNTED):
            return list(records[:number])
    return list(records)
