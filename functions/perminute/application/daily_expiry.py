"""The daily expiry of an account: due changes, calls that nobody has ended, and digests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perminute.application.charge_reported import ChargedByReports, ChargeReported
    from perminute.application.expire_credit import ExpireCredit, Expired
    from perminute.application.retry import Deadline
    from perminute.application.send_digests import DigestsSent, SendDigests
    from perminute.domain.errors import Unavailable
    from perminute.ports import RunOrganization


@dataclass(frozen=True, slots=True)
class AccountExpiry:
    """The results of the daily expiry of one account."""

    organization_id: str
    expired: Expired
    reported: ChargedByReports
    digests: DigestsSent

    @property
    def failed(self) -> Unavailable | None:
        """Why a part failed; the others may have succeeded."""
        return self.expired.failed or self.reported.failed or self.digests.failed

    @property
    def goes_on(self) -> bool:
        """Whether time ran out before the last of its reported calls or digests."""
        return self.reported.goes_on or self.digests.goes_on


@dataclass(frozen=True, slots=True)
class ExpireAccount:
    """The use case, made of three others."""

    expire_credit: ExpireCredit
    charge_reported: ChargeReported
    send_digests: SendDigests

    def __call__(self, work: RunOrganization, deadline: Deadline) -> AccountExpiry:
        """Do all three parts: if one fails, the others are done all the same."""
        organization_id, at = work.organization_id, work.at
        return AccountExpiry(
            organization_id,
            self.expire_credit(organization_id, at),
            self.charge_reported(organization_id, at, deadline),
            self.send_digests(organization_id, work.days_until or at, at, deadline),
        )
