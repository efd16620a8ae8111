"""Send the digests of the days that are over: all calls of a group but the first, as they are now.

Calls are counted from the records that their transactions wrote. What is counted of some records is
written in the transaction that removes them, so that a call is in one digest and no other, however
often this is done, and whatever the stream has published until then. In the end the digest is sent
in the transaction that removes what was counted for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from perminute.application.correlation import correlation_id
from perminute.application.retry import NEVER, gave_up
from perminute.domain.credit.transaction import (
    MAX_ITEMS_PER_TRANSACTION,
    AccountChanged,
    Transaction,
)
from perminute.domain.errors import Unavailable
from perminute.domain.notifications.digests import CallGroup, count
from perminute.domain.rating.usage import Usage
from perminute.domain.values.times import end_of
from perminute.ports import MAX_CALLS_READ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from perminute.application.retry import Deadline, RetryPolicy
    from perminute.domain.notifications.digests import CallToNotify
    from perminute.ports import CallRecord, CallsUnderWay, CreditStore, Digests

MAX_RECORDS_COUNTED = 98
"""Records of calls that are read at once: with a group or two they fill a transaction."""

MAX_CALLS_COUNTED = 500
"""Calls that are counted at once; a record may hold somewhat fewer than a hundred."""

DIGESTS_SENT_AT_ONCE = 45
"""Each takes two items of a transaction at most: what was counted, and a record of the outbox."""


@dataclass(slots=True)
class DigestsSent:
    """What became of the digests of an organization, and what kept it from more.

    `goes_on`: time has run out before the last one.
    """

    calls: int = 0
    sent: int = 0
    failed: Unavailable | None = None
    goes_on: bool = False


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
        """Send all digests of days that are over by `until`, as of `at`.

        What was counted stays counted, and doing it again goes on with the rest.
        """
        done = DigestsSent()
        try:
            account = self.credit.account(organization_id)
            if account.digests_due_at is not None and account.digests_due_at <= until:
                _Sending(self, organization_id, until, at, deadline, done).all_days()
        except Unavailable as error:
            done.failed = error
        return done


@dataclass(frozen=True, slots=True)
class _Sending:
    """One organization's digests on their way."""

    use_case: SendDigests
    organization_id: str
    until: datetime
    at: datetime
    deadline: Deadline
    done: DigestsSent = field(default_factory=DigestsSent)

    def all_days(self) -> None:
        """Count and send day by day, then store when the next day is due."""
        why = "what was counted kept changing"
        for _ in self.use_case.retry.tries():
            account = self.use_case.credit.account(self.organization_id)
            # The account is read first: a call that is added after it changes its version.
            day = self.use_case.digests.first_day(self.organization_id)
            while day is not None and end_of(day) <= self.until:
                if not (self._counts(day, account.currency) or self._sends(day)):
                    break
                if self.deadline.passed:
                    self.done.goes_on = True
                    return
                day = self.use_case.digests.first_day(self.organization_id)
            else:
                due_at = None if day is None else end_of(day)
                after = replace(account, version=account.version + 1, digests_due_at=due_at)
                try:
                    self.use_case.credit.commit(Transaction(before=account, after=after))
                except AccountChanged as changed:
                    why = str(changed)
                else:
                    return
        raise gave_up(self.organization_id, why)

    def _counts(self, day: date, currency: str | None) -> bool:
        """Count the next calls of a day; False if there are none, or somebody else was faster."""
        digests, organization_id = self.use_case.digests, self.organization_id
        read = digests.records(organization_id, day, limit=MAX_RECORDS_COUNTED)
        if not read:
            return False
        records = _fitting(read)
        calls = [call for one in records for call in one.calls]
        first_of: dict[CallGroup, CallToNotify] = {}
        for call in calls:
            first_of.setdefault(CallGroup.of(call.notification), call)
        # What the stream has not shown the publisher yet would be counted, and published after it.
        firsts = digests.claim(organization_id, first_of)
        counted = count(
            digests.counted(organization_id, first_of),
            calls,
            self._usages(calls),
            firsts,
            currency,
        )
        if not digests.count(organization_id, records, tuple(counted.values())):
            return False
        self.done.calls += len(calls)
        return True

    def _sends(self, day: date) -> bool:
        """Send the next digests of a day; False if there are none, or somebody else was faster."""
        digests, organization_id = self.use_case.digests, self.organization_id
        counted = digests.counted_on(organization_id, day, limit=DIGESTS_SENT_AT_ONCE)
        if not counted:
            return False
        sent = [_traced(one.to_send(self.at)) for one in counted]
        if not digests.send(organization_id, counted, sent):
            return False
        self.done.sent += len(sent)
        return True

    def _usages(self, calls: Sequence[CallToNotify]) -> Mapping[str, Usage]:
        """Read what is recorded of calls by now, each of which is a consistent reading."""
        call_ids = list(dict.fromkeys(call.notification.call_id or "" for call in calls))
        usages: dict[str, Usage] = {}
        for start in range(0, len(call_ids), MAX_CALLS_READ):
            some = call_ids[start : start + MAX_CALLS_READ]
            read = self.use_case.calls.read_calls(self.organization_id, some)
            usages |= {name: call for name, call in read.items() if isinstance(call, Usage)}
        return usages


def _traced(call: CallToNotify) -> CallToNotify:
    """Have a digest name the run: no event is behind it."""
    return call if call.correlation_id else call._replace(correlation_id=correlation_id())


def _fitting(records: Sequence[CallRecord]) -> list[CallRecord]:
    """Return the first records that are counted together with their groups in one transaction."""
    groups: set[CallGroup] = set()
    calls = 0
    some: list[CallRecord] = []
    for one in records:
        groups |= {CallGroup.of(call.notification) for call in one.calls}
        calls += len(one.calls)
        too_many = (
            len(some) + 1 + len(groups) > MAX_ITEMS_PER_TRANSACTION or calls > MAX_CALLS_COUNTED
        )
        if some and too_many:
            break
        some.append(one)
    return some
