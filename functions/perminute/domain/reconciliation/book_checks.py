"""What is known of how an organization's books were checked, and how far a check has come."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.reconciliation.book_sums import NOTHING_PROVEN, Checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.domain.pools.pools import Month
    from perminute.domain.reconciliation.book_sums import PoolUse, Standing, Sums

WHOLE_WITHIN_DAYS = 28
"""Days within which each organization's books are read whole, unless the stack says otherwise."""


class Place(NamedTuple):
    """Where a reading of all books of an organization is: in which part of them, after which key.

    Parts and keys are the store's own; they are kept and handed back.
    """

    part: str
    key: str


@dataclass(slots=True, kw_only=True)
class Reading:
    """A reading of all books of an organization, as far as it has come.

    `at` is the run for which it began. `standing` and `pools` were read when it began, and `sums`
    has added up all that lies up to `place`. `again`: what was read before did not agree.
    """

    at: datetime
    standing: Standing
    pools: Mapping[Month, PoolUse]
    sums: Sums
    place: Place | None = None
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BooksCheck:
    """What is known of an organization's books.

    `step` counts the writes of this record: each holds only against the step that was read.
    `checked_at` is the last run that was carried out, `whole_at` the last one for which all books
    were read and agreed. `checkpoint` is up to where they agreed last, and `differences` how many
    were found by the last run. `reading` is under way; None, nothing is.
    """

    organization_id: str
    step: int = 0
    checked_at: datetime | None = None
    whole_at: datetime | None = None
    checkpoint: Checkpoint = NOTHING_PROVEN
    differences: int = 0
    reading: Reading | None = None

    def agreed(self, at: datetime, standing: Standing) -> BooksCheck:
        """Return what is known once the entries since the checkpoint have agreed."""
        return replace(self, checked_at=at, checkpoint=standing.checkpoint(), differences=0)

    def agreed_whole(self, at: datetime, standing: Standing) -> BooksCheck:
        """Return what is known once all books have agreed."""
        return replace(self.agreed(at, standing), whole_at=at, reading=None)

    def differed(self, at: datetime, differences: int) -> BooksCheck:
        """Return what is known once differences are certain: the checkpoint stays where it is."""
        return replace(self, checked_at=at, differences=differences, reading=None)


def is_due_whole(check: BooksCheck, at: datetime, within_days: int) -> bool:
    """Whether a run is to read all books, and not only what came after the checkpoint.

    Each organization has a day of its own in a cycle of so many days, by a hash of its name: so the
    same share is read whole every night. A day that was missed is made up for once the time is
    over, and books that differ are read whole every night until they agree.
    """
    if check.whole_at is None or check.differences:
        return True
    days = (at.date() - check.whole_at.date()).days
    slot = int.from_bytes(sha256(check.organization_id.encode()).digest()[:8], "big")
    has_its_day = (at.toordinal() - slot) % within_days == 0
    return days >= within_days or (has_its_day and days > 0)
