"""What time alone brings to an account is booked even where nobody calls or pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.application.advancing import brought_up_to
from perminute.application.retry import gave_up
from perminute.domain.credit.recharge import UNANSWERED_AFTER
from perminute.domain.errors import Contended, Unavailable

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
        why = ""
        try:
            for _ in self.retry.tries():
                account = self.credit.account(organization_id)
                try:
                    account = brought_up_to(self.credit, account, at)
                except Contended as error:
                    why = str(error)
                else:
                    return Expired(_unanswered(account, at))
        except Unavailable as error:
            return Expired(failed=error)
        return Expired(failed=gave_up(organization_id, why))


def _unanswered(account: Account, at: datetime) -> str | None:
    recharge = account.recharge
    if recharge.open is not None and recharge.open.requested_at + UNANSWERED_AFTER <= at:
        return recharge.open.recharge_id
    return None
