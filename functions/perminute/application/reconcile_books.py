"""Holds the books of organizations against each other; reports, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.application.patience import NEVER, Deadline
from perminute.domain.reconciliation import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.application.patience import Patience
    from perminute.domain.reconciliation import Difference
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The books of one organization: how much was read, and what differs."""

    organization_id: str
    entries: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class ReconcileBooks:
    """The use case with what it needs from outside."""

    credit: CreditStore
    patience: Patience

    def __call__(
        self, organization_ids: Iterable[str] | None = None, deadline: Deadline = NEVER
    ) -> Iterator[Reconciled]:
        """Reconcile these organizations, or all that have an account. Raises `Unavailable`."""
        if organization_ids is None:
            organization_ids = self.credit.organizations()
        for organization_id in organization_ids:
            deadline.check()
            yield self._reconcile(organization_id)

    def _reconcile(self, organization_id: str) -> Reconciled:
        """Read again what differs: only what differs every time is no charge just being booked."""
        reconciled = Reconciled(organization_id, 0, ())
        for _ in self.patience.tries():
            statement = self.credit.statement(organization_id)
            reconciled = Reconciled(organization_id, len(statement.entries), reconcile(statement))
            if not reconciled.differences:
                break
        return reconciled
