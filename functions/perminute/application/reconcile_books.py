"""Holds the books of organizations against each other; reports, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.application.patience import NEVER, Deadline
from perminute.domain.errors import Unavailable
from perminute.domain.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.application.patience import Patience
    from perminute.domain.reconciliation import Difference
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The books of one organization: how much was read, and what differs.

    `unavailable` says why they could not be read; then nothing else is known. An account that was
    never written has version 0.
    """

    organization_id: str
    version: int = 0
    entries: int = 0
    differences: tuple[Difference, ...] = ()
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class ReconcileBooks:
    """The use case with what it needs from outside."""

    credit: CreditStore
    patience: Patience

    def __call__(
        self, organization_ids: Iterable[str] | None = None, deadline: Deadline = NEVER
    ) -> Iterator[Reconciled]:
        """Reconcile these organizations, or all that have an account, one after the other.

        Raises `Unavailable` if they cannot be listed or time runs out; what was yielded holds.
        """
        if organization_ids is None:
            organization_ids = self.credit.organizations()
        for organization_id in organization_ids:
            deadline.check()
            yield self._reconcile(organization_id)

    def _reconcile(self, organization_id: str) -> Reconciled:
        """Read again what differs: only what differs every time is no charge just being booked."""
        reconciled = Reconciled(organization_id)
        for _ in self.patience.tries():
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
