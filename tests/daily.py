"""The daily runs, over all organizations of a store at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builders import WITHOUT_WAITING

from perminute.application.daily_expiry import ExpireCredit, Expired

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.daily_expiry import ChargedByReports, ChargeReported
    from perminute.application.retry import RetryPolicy
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.stores import CreditStore


@dataclass
class Expiry:
    """Brings all accounts up to date that are due."""

    store: CreditStore
    retry: RetryPolicy = WITHOUT_WAITING

    def __call__(self, at: datetime) -> dict[str, Expired]:
        expire = ExpireCredit(self.store, self.retry)
        return {one: expire(one, at) for one in self.store.organizations(due_by=at)}

    def all(self, at: datetime) -> None:
        """Nothing may be in the way."""
        assert {one for one, expired in self(at).items() if expired.failed} == set()


def reported_by(charge_reported: ChargeReported, at: datetime) -> dict[str, ChargedByReports]:
    """Charge what was reported of all organizations that are due."""
    names = charge_reported.credit.organizations(due_by=at)
    return {one: charge_reported(one, at) for one in names}


def charged_by(charge_reported: ChargeReported, at: datetime) -> list[Usage]:
    """The same; nothing may be in the way."""
    done = reported_by(charge_reported, at)
    assert {one for one, reported in done.items() if reported.failed} == set()
    return [usage for reported in done.values() for usage in reported.charged]
