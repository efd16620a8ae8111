"""Compares the books of organizations in memory; reports, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.application.retry import RetryPolicy
    from perminute.domain.reconciliation.book_sums import BookSums
    from perminute.domain.reconciliation.reconciliation import Difference
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class BooksReport:
    """How much of an organization's books was read, and what differs."""

    organization_id: str
    # That of the account; 0, it was never written.
    version: int = 0
    entries: int = 0
    differences: tuple[Difference, ...] = ()
    # Why the books could not be read; then nothing else is known.
    unavailable: str | None = None
    calls: int = 0
    # Whether all books were read, and not only what came after a checkpoint.
    is_whole: bool = False
    # Time has run out before the end.
    goes_on: bool = False
    # This run has done it before, or another invocation is doing it.
    is_repeated: bool = False

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
        """Reconcile these organizations, or all that have an account, one after the other.

        Raises `Unavailable` if they cannot be listed; what was yielded is valid.
        """
        for organization_id in (
            self.credit.organizations() if organization_ids is None else organization_ids
        ):
            yield self._reconcile(organization_id)

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
