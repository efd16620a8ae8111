"""The books of organizations, and what is known of how they were checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.pools.pools import Month
    from perminute.domain.reconciliation.book_checks import (
        BooksCheck,
        BooksCursor,
        CallCost,
        PoolUse,
    )
    from perminute.domain.reconciliation.reconciliation import AccountTotals


class Books(Protocol):
    """All that is booked for an organization, read piece by piece. Raises `Unavailable`.

    Read `account_totals` first: the entries that it counts exist from then on, and never change.
    """

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        """Read what entries and calls must add up to.

        Account and further lots are read one after the other: also returns whether they belong
        together.
        """
        ...

    def pools(self, organization_id: str) -> Mapping[Month, PoolUse]:
        """Read what the minute pools have given."""
        ...

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        """Go through all entries, then through what each call cost, with the cursor of each.

        Entries are in no order. `after` is a cursor at which an earlier reading stopped.
        """
        ...

    def other_entries(self, organization_id: str, *, after: int) -> Iterator[LedgerEntry]:
        """Go through the entries after a number that charge no calls of their own transaction."""
        ...

    def latest_calls(
        self, organization_id: str
    ) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        """Go back through the calls, the last that ended first, some at a time.

        With the entries that charged them, each of which is returned once. A call may be returned
        twice; those that are free whatever the licenses are are not returned.
        """
        ...


class BookChecks(Protocol):
    """What is known of how books were checked. Raises `Unavailable`."""

    def check(self, organization_id: str) -> BooksCheck:
        """Read what is known; of books that were never checked, nothing."""
        ...

    def store(self, check: BooksCheck) -> bool:
        """Write what is known by now, as the next step; False if another writer was faster."""
        ...

    def all(self) -> Iterator[BooksCheck]:
        """Go through what is known of all organizations, in no order."""
        ...
