"""What a call would cost, asked before it is made. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.pools import Pools, month_of
from perminute.domain.usage import Terms, rate_leg

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.remembered_licensing import RememberedLicensing
    from perminute.domain.legs import Leg
    from perminute.domain.usage import Usage
    from perminute.ports import CreditStore, RateCards


class Asking(NamedTuple):
    """A leg as it might be, of a known length, and when it would be answered.

    An organizer without a name is nobody, and holds nothing.
    """

    leg: Leg
    at: datetime


@dataclass(frozen=True, slots=True)
class AskPrice:
    """The use case with what it needs from outside."""

    credit: CreditStore
    licensing: RememberedLicensing
    rate_cards: RateCards

    def __call__(self, asking: Asking) -> Usage:
        """Give the record that the call would have, by the licenses and the pool as they are now.

        Raises `Unavailable`.
        """
        leg, at = asking
        account = self.credit.account(leg.organization_id)
        organizers = {leg.organizer_id} if leg.organizer_id else set[str]()
        licensing = self.licensing.for_account(account, organizers)
        terms = Terms(
            licensing=licensing,
            rate_card=self.rate_cards.current(),
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )
        rating = rate_leg(leg, terms)
        minutes = 0
        if rating.draws_on_pool:
            month = month_of(leg)
            pools = Pools(self.credit.pools(leg.organization_id, [month]), licensing)
            wanted = rating.pool_minutes_wanted
            minutes = pools.draw(leg, wanted, reserved=0, now=at)
        return rating.usage(minutes)
