"""Checks the books of an organization, a piece at a time; reports, and changes none of them.

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

from perminute.application.reconcile_books import BooksReport
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.book_checks import (
    WHOLE_WITHIN_DAYS,
    BooksReading,
    is_due_whole,
)
from perminute.domain.reconciliation.book_sums import (
    NOTHING_PROVEN,
    BookSums,
    agrees,
    differences,
)
from perminute.domain.reconciliation.reconciliation import Difference

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.reconcile_books import ReconcileBooks
    from perminute.application.retry import RetryPolicy
    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.domain.reconciliation.reconciliation import AccountTotals
    from perminute.ports import BookChecks, Books, RunOrganization

MAX_CALLS_BACK = 20_000
"""Calls that a run goes back through to explain what came after the checkpoint. If these do not
explain it, all books are read: that goes on where it stopped, and this would not."""

AHEAD = timedelta(days=2)
"""How far ahead of a run another one may have been that has done its work. One that was started by
hand for a wrong day in the future must not silence all nights until then."""

MAX_IN_MEMORY = 20_000
"""Entries of books whose differences are looked for once more in memory, where each is named. It
takes some 600 bytes an entry, and the functions have 512 MB."""


@dataclass(frozen=True, slots=True)
class CheckBooks:
    """The use case with what it needs from outside."""

    books: Books
    checks: BookChecks
    reconcile: ReconcileBooks
    retry: RetryPolicy
    whole_within_days: int = WHOLE_WITHIN_DAYS

    def __call__(self, work: RunOrganization, deadline: Deadline = NEVER) -> BooksReport:
        """Check an organization for a run. Raises `Unavailable`.

        Once the deadline has passed, how far it has come is stored, and `goes_on` is set: call
        again.
        """
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
        """Add up what came after the checkpoint; None if it does not explain the account."""
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
        """Add up what follows, at least one piece; False once time has run out.

        How far it has come is stored even if the rest cannot be read.
        """
        try:
            parts = self.books.parts(check.organization_id, after=reading.cursor)
            for cursor, part in parts:
                reading.sums.add(part)
                reading.cursor = cursor
                if deadline.passed:
                    return False
        except Unavailable:
            with suppress(Unavailable):
                self.checks.store(check)
            raise
        return True

    def _differences(self, organization_id: str, reading: BooksReading) -> tuple[Difference, ...]:
        """Compare everything but the pools that calls have drawn on meanwhile."""
        now = self.books.pools(organization_id)
        unchanged = {month: pool for month, pool in reading.pools.items() if now.get(month) == pool}
        return differences(organization_id, reading.sums, reading.account, unchanged)

    def _account(self, organization_id: str) -> AccountTotals:
        """Read the account and its further lots until they belong together."""
        for _ in self.retry.tries():
            account, read_at_once = self.books.account_totals(organization_id)
            if read_at_once:
                break
        return account

    def _stored(self, check: BooksCheck, report: BooksReport) -> BooksReport:
        """Store what is known by now, and return what to report.

        If it was not stored, another invocation was faster, and reports it. Or it was, and only the
        answer was lost: then a reading still goes on, and what was found must still be reported.
        """
        if self.checks.store(check):
            return report
        known = self.checks.check(check.organization_id)
        if known.reading is not None:
            return replace(report, differences=(), goes_on=True)
        if known == replace(check, step=check.step + 1):
            return report
        return BooksReport(check.organization_id, is_repeated=True)


def _report_of_repetition(check: BooksCheck, at: datetime) -> BooksReport:
    """Report a run that was carried out before.

    Its invocation may have ended before it reported the differences: rather twice than never.
    """
    repeated = BooksReport(check.organization_id, is_repeated=True)
    if check.checked_at != at or not check.differences:
        return repeated
    message = f"{check.differences} differences were found by this run before"
    return replace(repeated, differences=(Difference(check.organization_id, message),))
