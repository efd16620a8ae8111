"""Check the books of an organization, a piece at a time; report, and change none of them.

Most nights only what came after the last checkpoint is read. In a share of the organizations,
another one every night, all books are read. That may take several invocations: each stores how far
it has come, and none reads again what another one has read. What differs since the checkpoint is no
difference yet: first all books are read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.retry import NEVER, Deadline, RetryPolicy
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.book_checks import (
    NOTHING_PROVEN,
    WHOLE_WITHIN_DAYS,
    BooksCheck,
    BooksReading,
    BookSums,
    agrees,
    differences,
    is_due_whole,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals, Difference, reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from perminute.ports.messaging import RunOrganization
    from perminute.ports.stores import BookChecks, Books, CreditStore

# Calls that a run goes back through to explain what came after the checkpoint. If these do not
# explain it, all books are read: that continues where it stopped, and this would not.
MAX_CALLS_BACK = 20_000
# How far ahead of a run another one may have been that has done its work. One that was started by
# hand for a wrong day in the future must not silence all nights until then.
AHEAD = timedelta(days=2)
# Entries of books whose differences are looked for once more in memory, where each is named. It
# takes some 600 bytes an entry, and the functions have 512 MB.
MAX_IN_MEMORY = 20_000


@dataclass(frozen=True, slots=True)
class BooksReport:
    """How much of an organization's books was read, and what differs."""

    organization_id: str
    version: int = 0  # that of the account; 0, it was never written
    entries: int = 0
    differences: tuple[Difference, ...] = ()
    unavailable: str | None = None  # why the books could not be read; then nothing else is known
    calls: int = 0
    is_whole: bool = False  # all books were read, and not only what came after a checkpoint
    goes_on: bool = False  # time has run out before the end
    is_repeated: bool = False  # this run has done it before, or another invocation is doing it

    @classmethod
    def of(cls, organization_id: str, sums: BookSums) -> BooksReport:
        """Return how much of an organization's books was added up."""
        return cls(organization_id, entries=sums.entries, calls=sums.calls)

    @property
    def failed(self) -> Unavailable | None:
        """Why the books could not be read."""
        return None if self.unavailable is None else Unavailable(self.unavailable)


@dataclass(frozen=True, slots=True)
class ReconcileBooks:
    """The use case with what it needs from outside."""

    credit: CreditStore
    retry: RetryPolicy

    def __call__(self, organization_ids: Iterable[str] | None = None) -> Iterator[BooksReport]:
        """Reconcile these organizations, or all; raises `Unavailable` if they cannot be listed."""
        listed = self.credit.organizations() if organization_ids is None else organization_ids
        yield from map(self._reconcile, listed)

    def _reconcile(self, organization_id: str) -> BooksReport:
        report = BooksReport(organization_id)
        # Only what differs every time is no charge that is just being booked.
        for _ in self.retry.tries():
            try:
                statement = self.credit.statement(organization_id)
            except Unavailable as error:
                return BooksReport(organization_id, unavailable=str(error))
            report = BooksReport(
                organization_id,
                version=statement.account.version,
                entries=len(statement.entries),
                differences=reconcile(statement),
            )
            if not report.differences:
                break
        return report


@dataclass(frozen=True, slots=True)
class CheckBooks:
    """The use case with what it needs from outside."""

    books: Books
    checks: BookChecks
    reconcile: ReconcileBooks
    retry: RetryPolicy
    whole_within_days: int = WHOLE_WITHIN_DAYS

    def __call__(self, work: RunOrganization, deadline: Deadline = NEVER) -> BooksReport:
        """Check an organization; call again if the report `goes_on`. Raises `Unavailable`."""
        at, organization_id = work.at, work.organization_id
        check = self.checks.check(organization_id)
        if check.reading is not None:
            return self._read_on(check, check.reading, deadline)
        if check.checked_at is not None and at <= check.checked_at <= at + AHEAD:
            return _report_of_repetition(check, at)
        if not is_due_whole(check, at, self.whole_within_days):
            account = self._account(organization_id)
            sums = self._sums_since_checkpoint(check, account, deadline)
            if sums is not None:
                agreed = check.agreed(at, account)
                return self._stored(agreed, BooksReport.of(organization_id, sums))
        return self._read_on(check, self._begin(organization_id, at), deadline)

    def _sums_since_checkpoint(
        self, check: BooksCheck, account: AccountTotals, deadline: Deadline
    ) -> BookSums | None:
        # None: what came after the checkpoint does not explain the account.
        organization_id, since = check.organization_id, check.checkpoint
        sums = BookSums.begin(since, account.entries)
        if account.entries > since.entries:
            sums.add_all(self.books.other_entries(organization_id, after=since.entries))
        if agrees(sums, account):
            return sums
        if account.entries == since.entries:
            return None
        # Nearly always the latest calls explain it. A call may be listed twice, and is added once.
        added = set[str]()
        for entries, costs in self.books.latest_calls(organization_id):
            sums.add_all(entries)
            sums.add_all(cost for cost in costs if cost.call_id not in added)
            added.update(cost.call_id for cost in costs)
            if agrees(sums, account):
                return sums
            if len(added) > MAX_CALLS_BACK or deadline.passed:
                break
        return None

    def _begin(self, organization_id: str, at: datetime, *, again: bool = False) -> BooksReading:
        pools = self.books.pools(organization_id)
        account = self._account(organization_id)
        sums = BookSums.begin(NOTHING_PROVEN, account.entries)
        return BooksReading(at=at, account=account, pools=pools, sums=sums, again=again)

    def _read_on(self, check: BooksCheck, reading: BooksReading, deadline: Deadline) -> BooksReport:
        organization_id, at = check.organization_id, reading.at
        check = replace(check, reading=reading)
        if not self._add_rest(check, reading, deadline):
            report = BooksReport.of(organization_id, reading.sums)
            return self._stored(check, replace(report, goes_on=True))
        report = replace(BooksReport.of(organization_id, reading.sums), is_whole=True)
        found = self._differences(organization_id, reading)
        if not found:
            return self._stored(check.agreed_whole(at, reading.account), report)
        if reading.account.entries <= MAX_IN_MEMORY:
            # In memory each entry is named that is wrong. What agrees now was just being booked.
            (books,) = self.reconcile([organization_id])
            if books.failed is not None:
                raise books.failed
            found = books.differences
        elif not reading.again:
            return self._read_on(check, self._begin(organization_id, at, again=True), deadline)
        return self._stored(check.differed(at, len(found)), replace(report, differences=found))

    def _add_rest(self, check: BooksCheck, reading: BooksReading, deadline: Deadline) -> bool:
        # False: time has run out. At least one part is added, so that each invocation gets further.
        try:
            for cursor, part in self.books.parts(check.organization_id, after=reading.cursor):
                reading.sums.add(part)
                reading.cursor = cursor
                if deadline.passed:
                    return False
        except Unavailable:
            # What could not be read is reported, even if the progress cannot be stored either.
            with suppress(Unavailable):
                self.checks.store(check)
            raise
        return True

    def _differences(self, organization_id: str, reading: BooksReading) -> tuple[Difference, ...]:
        # Pools that calls have drawn on meanwhile are not compared.
        now = self.books.pools(organization_id)
        unchanged = {month: pool for month, pool in reading.pools.items() if now.get(month) == pool}
        return differences(organization_id, reading.sums, reading.account, unchanged)

    def _account(self, organization_id: str) -> AccountTotals:
        # Until the account and its further lots belong together.
        for _ in self.retry.tries():
            account, read_at_once = self.books.account_totals(organization_id)
            if read_at_once:
                break
        return account

    def _stored(self, check: BooksCheck, report: BooksReport) -> BooksReport:
        if self.checks.store(check):
            return report
        # Another invocation was faster, and reports it. Or it was stored, and only the answer was
        # lost: then a reading still continues, and what was found must still be reported.
        known = self.checks.check(check.organization_id)
        if known.reading is not None:
            return replace(report, differences=(), goes_on=True)
        if known == replace(check, step=check.step + 1):
            return report
        return BooksReport(check.organization_id, is_repeated=True)


def _report_of_repetition(check: BooksCheck, at: datetime) -> BooksReport:
    # Its invocation may have ended before it reported the differences: rather twice than never.
    repeated = BooksReport(check.organization_id, is_repeated=True)
    if check.checked_at != at or not check.differences:
        return repeated
    message = f"{check.differences} differences were found by this run before"
    return replace(repeated, differences=(Difference(check.organization_id, message),))
