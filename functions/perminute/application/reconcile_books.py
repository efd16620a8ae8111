"""Holds the books of organizations against each other; reports, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.application.retry import RetryPolicy
    from perminute.domain.reconciliation.book_checks import BooksCheck
    from perminute.domain.reconciliation.book_sums import Sums
    from perminute.domain.reconciliation.reconciliation import Difference
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The books of one organization: how much was read, and what differs.

    `unavailable` says why they could not be read; then nothing else is known. An account that was
    never written has version 0. `is_whole`: all books were read, and not only what came after a
    checkpoint. `goes_on`: time has run out before the end. `is_repeated`: this run has done it
    before, or somebody else is doing it.
    """

    organization_id: str
    version: int = 0
    entries: int = 0
    differences: tuple[Difference, ...] = ()
    unavailable: str | None = None
    calls: int = 0
    is_whole: bool = False
    goes_on: bool = False
    is_repeated: bool = False

    @classmethod
    def of(cls, check: BooksCheck, sums: Sums, *, is_whole: bool = False) -> Reconciled:
        """Return how much of an organization's books was added up."""
        return cls(check.organization_id, entries=sums.entries, calls=sums.calls, is_whole=is_whole)

    @property
    def failed(self) -> Unavailable | None:
        """Why the books could not be read."""
        return None if self.unavailable is None else Unavailable(self.unavailable)


@dataclass(frozen=True, slots=True)
class ReconcileBooks:
    """The use case with what it needs from outside."""

    credit: CreditStore
    retry: RetryPolicy

    def __call__(self, organization_ids: Iterable[str] | None = None) -> Iterator[Reconciled]:
        """Reconcile these organizations, or all that have an account, one after the other.

        Raises `Unavailable` if they cannot be listed; what was yielded holds.
        """
        if organization_ids is None:
            organization_ids = self.credit.organizations()
        for organization_id in organization_ids:
            yield self._reconcile(organization_id)

    def _reconcile(self, organization_id: str) -> Reconciled:
        """Read again what differs: only what differs every time is no charge just being booked."""
        reconciled = Reconciled(organization_id)
        for _ in self.retry.tries():
            try:
                reconciled = self._read(organization_id)
            except Unavailable as error:
                return Reconciled(organization_id, unavailable=str(error))
            if not reconciled.differences:
                break
        return reconciled

    def _read(self, organization_id: str) -> Reconciled:
        statement = self.credit.statement(organization_id)
        return Reconciled(
            organization_id,
            version=statement.account.version,
            entries=len(statement.entries),
            differences=reconcile(statement),
        )
