"""Checks the books of an organization, a piece at a time; reports, and changes none of them.

Most nights only what came after the last checkpoint is read. In a share of the organizations, which
goes round, all books are. That may take several invocations: each keeps how far it has come, and
none reads again what another one has read. What differs since the checkpoint is no difference
yet: first all books are read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.application.reconcile_books import Reconciled
from perminute.application.retry import NEVER, Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.book_checks import WHOLE_WITHIN_DAYS, Reading, is_due_whole
from perminute.domain.reconciliation.book_sums import NOTHING_PROVEN, Sums, agrees, differences
from perminute.domain.reconciliation.reconciliation import Difference

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.reconcile_books import ReconcileBooks
    from perminute.application.retry import RetryPolicy
    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.domain.reconciliation.book_sums import Standing
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

    def __call__(self, work: RunOrganization, deadline: Deadline = NEVER) -> Reconciled:
        """Check an organization for a run. Raises `Unavailable`.

        Once the deadline has passed, how far it has come is kept, and `goes_on` is set: call again.
        """
        at, organization_id = work.at, work.organization_id
        check = self.checks.check(organization_id)
        if check.reading is None:
            if check.checked_at is not None and at <= check.checked_at <= at + AHEAD:
                return _told_before(check, at)
            if not is_due_whole(check, at, self.whole_within_days):
                checked = self._since_checkpoint(check, at, deadline)
                if checked is not None:
                    return checked
            check = self._begin(check, at)
        return self._read_on(check, deadline)

    # ── What came after the checkpoint ───────────────────────────────────────────────────────

    def _since_checkpoint(
        self, check: BooksCheck, at: datetime, deadline: Deadline
    ) -> Reconciled | None:
        """Return what was read; None if it does not explain how the account stands."""
        standing = self._standing(check.organization_id)
        sums = self._added_up_since(check, standing, deadline)
        if sums is None:
            return None
        agreed = check.agreed(at, standing)
        return self._kept(agreed, Reconciled.of(agreed, sums))

    def _added_up_since(
        self, check: BooksCheck, standing: Standing, deadline: Deadline
    ) -> Sums | None:
        """Add up what came after the checkpoint until all agrees."""
        organization_id, proven = check.organization_id, check.checkpoint
        sums = Sums.begin(proven, standing.entries)
        if standing.entries > proven.entries:
            sums.add_all(self.books.other_entries(organization_id, after=proven.entries))
        if agrees(sums, standing):
            return sums
        is_explained = standing.entries > proven.entries and self._explained(
            organization_id, sums, standing, deadline
        )
        return sums if is_explained else None

    def _explained(
        self, organization_id: str, sums: Sums, standing: Standing, deadline: Deadline
    ) -> bool:
        """Go back through the calls until all agrees: nearly always these are the latest ones."""
        # A call may be listed twice, and must be added once.
        seen = set[str]()
        for entries, costs in self.books.latest_calls(organization_id):
            sums.add_all(entries)
            sums.add_all(one for one in costs if one.call_id not in seen)
            seen.update(one.call_id for one in costs)
            if agrees(sums, standing):
                return True
            if len(seen) > MAX_CALLS_BACK or deadline.passed:
                break
        return False

    # ── All books ────────────────────────────────────────────────────────────────────────────

    def _begin(self, check: BooksCheck, at: datetime, *, again: bool = False) -> BooksCheck:
        organization_id = check.organization_id
        pools = self.books.pools(organization_id)
        standing = self._standing(organization_id)
        sums = Sums.begin(NOTHING_PROVEN, standing.entries)
        reading = Reading(at=at, standing=standing, pools=pools, sums=sums, again=again)
        return replace(check, reading=reading)

    def _read_on(self, check: BooksCheck, deadline: Deadline) -> Reconciled:
        reading = check.reading
        assert reading is not None, "it has just begun, or is under way"  # noqa: S101 - for mypy
        while True:
            if not self._added_up(check, reading, deadline):
                return self._kept(check, replace(Reconciled.of(check, reading.sums), goes_on=True))
            found = self._differences(check, reading)
            if not found:
                agreed = check.agreed_whole(reading.at, reading.standing)
                return self._kept(agreed, Reconciled.of(agreed, reading.sums, is_whole=True))
            if reading.again or reading.standing.entries <= MAX_IN_MEMORY:
                return self._certain(check, reading, found)
            check = self._begin(check, reading.at, again=True)
            assert check.reading is not None  # noqa: S101 - for mypy
            reading = check.reading

    def _added_up(self, check: BooksCheck, reading: Reading, deadline: Deadline) -> bool:
        """Add up what follows; False once time has run out. At least one piece is added.

        How far it has come is kept also if the rest cannot be read.
        """
        try:
            parts = self.books.parts(check.organization_id, after=reading.place)
            for place, part in parts:
                reading.sums.add(part)
                reading.place = place
                if deadline.passed:
                    return False
        except Unavailable:
            with suppress(Unavailable):
                self.checks.keep(check)
            raise
        return True

    def _differences(self, check: BooksCheck, reading: Reading) -> tuple[Difference, ...]:
        """Compare; pools that calls have drawn on meanwhile are left out."""
        now = self.books.pools(check.organization_id)
        unchanged = {month: pool for month, pool in reading.pools.items() if now.get(month) == pool}
        return differences(check.organization_id, reading.sums, reading.standing, unchanged)

    def _certain(
        self, check: BooksCheck, reading: Reading, found: tuple[Difference, ...]
    ) -> Reconciled:
        """Have each entry named that is wrong, if books are short.

        What no longer differs then was just being booked.
        """
        if reading.standing.entries <= MAX_IN_MEMORY:
            (books,) = self.reconcile([check.organization_id])
            if books.unavailable is not None:
                raise Unavailable(books.unavailable)
            found = books.differences
        differed = check.differed(reading.at, len(found))
        reconciled = Reconciled.of(differed, reading.sums, is_whole=True)
        return self._kept(differed, replace(reconciled, differences=found))

    def _standing(self, organization_id: str) -> Standing:
        """Read the account and its further lots until they belong together."""
        standing, read_at_once = self.books.standing(organization_id)
        for attempt in self.retry.tries():
            if read_at_once:
                break
            if attempt:
                standing, read_at_once = self.books.standing(organization_id)
        return standing

    def _kept(self, check: BooksCheck, reconciled: Reconciled) -> Reconciled:
        """Keep what is known by now.

        If it was not kept, somebody else was faster, and reports it. Or it was, and only the answer
        was lost: then a reading still goes on, and what was found still is to be reported.
        """
        if self.checks.keep(check):
            return reconciled
        known = self.checks.check(check.organization_id)
        if known.reading is not None:
            return replace(reconciled, differences=(), goes_on=True)
        if known == replace(check, step=check.step + 1):
            return reconciled
        return Reconciled(check.organization_id, is_repeated=True)


def _told_before(check: BooksCheck, at: datetime) -> Reconciled:
    """Return what is known of a run that was carried out; differences may not have been reported.

    Its invocation may have ended between writing and reporting: rather twice than never.
    """
    repeated = Reconciled(check.organization_id, is_repeated=True)
    if check.checked_at != at or not check.differences:
        return repeated
    message = f"{check.differences} differences were found by this run before"
    return replace(repeated, differences=(Difference(check.organization_id, message),))
