"""The daily run: what time alone brings is booked even where nobody calls or pays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from perminute.application.advancing import brought_up_to
from perminute.application.patience import NEVER, Deadline, contended
from perminute.domain.errors import Unavailable
from perminute.domain.recharge import UNANSWERED_AFTER
from perminute.ports import Moved

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.patience import Patience
    from perminute.domain.accounts import Account
    from perminute.ports import CreditStore


@dataclass(slots=True)
class Run:
    """What a scheduled run did, for whom it could not, and why it stopped before the end.

    `unanswered` are the recharges, by organization, whose outcome nobody has reported for days.
    """

    organizations: int = 0
    unanswered: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Unavailable] = field(default_factory=dict)
    stopped: Unavailable | None = None

    def check(self) -> None:
        """Raise `Unavailable` if somebody's account could not be brought up to date."""
        if self.stopped is not None:
            raise self.stopped
        if self.failed:
            organization_id, error = next(iter(self.failed.items()))
            msg = f"{len(self.failed)} of {self.organizations} accounts: {organization_id}: {error}"
            raise Unavailable(msg)


@dataclass(frozen=True, slots=True)
class ExpireCredit:
    """The use case with what it needs from outside."""

    credit: CreditStore
    patience: Patience

    def __call__(self, at: datetime, deadline: Deadline = NEVER) -> Run:
        """Bring every account that is due up to `at`; one organization's trouble is its own.

        It stops if they cannot be listed or time runs out: what was booked stays booked, and
        running again goes on with the rest.
        """
        run = Run()
        try:
            for organization_id in self.credit.organizations(due_by=at):
                deadline.check()
                self._advance(run, organization_id, at)
        except Unavailable as error:
            run.stopped = error
        return run

    def _advance(self, run: Run, organization_id: str, at: datetime) -> None:
        run.organizations += 1
        why = ""
        try:
            for _ in self.patience.tries():
                result = brought_up_to(self.credit, self.credit.account(organization_id), at)
                if not isinstance(result, Moved):
                    _note_unanswered(run, result, at)
                    return
                why = result.why
        except Unavailable as error:
            run.failed[organization_id] = error
        else:
            run.failed[organization_id] = contended(organization_id, why)


def _note_unanswered(run: Run, account: Account, at: datetime) -> None:
    recharge = account.recharge
    if recharge.open is not None and recharge.open.requested_at + UNANSWERED_AFTER <= at:
        run.unanswered[account.organization_id] = recharge.open.recharge_id
