"""The daily expiry of an account: what time brings, calls that nobody has ended, and digests."""

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
class BroughtUpToDate:
    """What became of an account that was due."""

    organization_id: str
    expired: Expired
    reported: ChargedByReports
    digests: DigestsSent

    @property
    def failed(self) -> Unavailable | None:
        """Why not all of it could be done; the rest of it may have been."""
        return self.expired.failed or self.reported.failed or self.digests.failed

    @property
    def goes_on(self) -> bool:
        """Whether time has run out before the last of its reported calls, or of its digests."""
        return self.reported.goes_on or self.digests.goes_on


@dataclass(frozen=True, slots=True)
class ExpireAccount:
    """The use case with what it needs from outside."""

    expire_credit: ExpireCredit
    charge_reported: ChargeReported
    send_digests: SendDigests

    def __call__(self, work: RunOrganization, deadline: Deadline) -> BroughtUpToDate:
        """Do all of it: the trouble of one part is not another's."""
        organization_id, at = work.organization_id, work.at
        return BroughtUpToDate(
            organization_id,
            self.expire_credit(organization_id, at),
            self.charge_reported(organization_id, at, deadline),
            self.send_digests(organization_id, work.days_until or at, at, deadline),
        )
