"""What is known of how an organization's books were checked, and how far a check has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reconciliation.book_sums import NOTHING_PROVEN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.domain.pools.pools import Month
    from perminute.domain.reconciliation.book_sums import BookSums, PoolUse
    from perminute.domain.reconciliation.reconciliation import AccountTotals

WHOLE_WITHIN_DAYS = 28
"""Days within which each organization's books are read whole, unless the stack says otherwise."""


class BooksCursor(NamedTuple):
    """Where a reading of an organization's books is: after which key of which part of them.

    Parts and keys are the store's own: they are stored and passed back to it.
    """

    part: str
    key: str


@dataclass(slots=True, kw_only=True)
class BooksReading:
    """A reading of all books of an organization, as far as it has come."""

    # The run for which it began.
    at: datetime
    # Account and pools as they were when it began.
    account: AccountTotals
    pools: Mapping[Month, PoolUse]
    # What everything up to `cursor` adds up to.
    sums: BookSums
    cursor: BooksCursor | None = None
    # Whether all books were read before, and did not agree.
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksCheck:
    """What is known of an organization's books."""

    organization_id: str
    # Counts the writes of this record: each takes effect only on the step that was read.
    step: int = 0
    # The last run that was carried out, and the last one for which all books were read and agreed.
    checked_at: datetime | None = None
    whole_at: datetime | None = None
    # What the entries add up to where they agreed last: the next check goes on from there.
    checkpoint: AccountTotals = NOTHING_PROVEN
    # How many the last run has found.
    differences: int = 0
    # Set while all books are being read.
    reading: BooksReading | None = None

    def agreed(self, at: datetime, account: AccountTotals) -> BooksCheck:
        """Return what is known once the entries since the checkpoint have agreed."""
        return replace(self, checked_at=at, checkpoint=account.checkpoint(), differences=0)

    def agreed_whole(self, at: datetime, account: AccountTotals) -> BooksCheck:
        """Return what is known once all books have agreed."""
        return replace(self.agreed(at, account), whole_at=at, reading=None)

    def differed(self, at: datetime, differences: int) -> BooksCheck:
        """Return what is known once differences are certain: the checkpoint stays where it is."""
        return replace(self, checked_at=at, differences=differences, reading=None)


def is_due_whole(check: BooksCheck, at: datetime, within_days: int) -> bool:
    """Whether a run must read all books, and not only what came after the checkpoint.

    Each organization has a day of its own in a cycle of so many days, by a hash of its name: so the
    same share is read whole every night. A day that was missed is made up for once the cycle is
    over, and books that differ are read whole every night until they agree.
    """
    if check.whole_at is None or check.differences:
        return True
    days = (at.date() - check.whole_at.date()).days
    slot = int.from_bytes(sha256(check.organization_id.encode()).digest()[:8], "big")
    has_its_day = (at.toordinal() - slot) % within_days == 0
    return days >= within_days or (has_its_day and days > 0)
