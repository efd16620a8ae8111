"""What time alone brings to an account is booked even where nobody calls or pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.application.transact import apply_due_changes
from perminute.domain.credit.recharge import UNANSWERED_AFTER
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.retry import RetryPolicy
    from perminute.domain.credit.accounts import Account
    from perminute.ports import CreditStore


@dataclass(frozen=True, slots=True)
class Expired:
    """An account that was brought up to date, or why it could not be.

    `unanswered` is the recharge whose outcome nobody has reported for days.
    """

    unanswered: str | None = None
    failed: Unavailable | None = None


@dataclass(frozen=True, slots=True)
class ExpireCredit:
    """The use case with what it needs from outside."""

    credit: CreditStore
    retry: RetryPolicy

    def __call__(self, organization_id: str, at: datetime) -> Expired:
        """Bring an account up to `at`; what was booked before is not booked again."""

        def attempt() -> Account:
            return apply_due_changes(self.credit, self.credit.account(organization_id), at)

        try:
            account = self.retry.call(attempt, organization_id)
        except Unavailable as error:
            return Expired(failed=error)
        return Expired(_unanswered(account, at))


def _unanswered(account: Account, at: datetime) -> str | None:
    recharge = account.recharge
    if recharge.open is not None and recharge.open.requested_at + UNANSWERED_AFTER <= at:
        return recharge.open.recharge_id
    return None
