"""What a call would cost, asked before it is made. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.pools.pools import Pools, month_of
from perminute.domain.rating.rating import RatingContext, rate_call

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.application.licensing_cache import LicensingCache
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports import CreditStore, RateCards


class Asking(NamedTuple):
    """A call as it might be, of a known length, and when it would be answered.

    An organizer without a name is nobody, and holds nothing.
    """

    call: Call
    at: datetime


@dataclass(frozen=True, slots=True)
class AskPrice:
    """The use case with what it needs from outside."""

    credit: CreditStore
    licensing: LicensingCache
    rate_cards: RateCards

    def __call__(self, asking: Asking) -> Usage:
        """Give the record that the call would have, by the licenses and the pool as they are now.

        Raises `Unavailable`.
        """
        call, at = asking
        account = self.credit.account(call.organization_id)
        organizers = {call.organizer_id} if call.organizer_id else set[str]()
        licensing = self.licensing.for_account(account, organizers)
        context = RatingContext(
            licensing=licensing,
            rate_card=self.rate_cards.current(),
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )
        rating = rate_call(call, context)
        minutes = 0
        if rating.draws_on_pool:
            month = month_of(call)
            pools = Pools(self.credit.pools(call.organization_id, [month]), licensing)
            wanted = rating.pool_minutes_wanted
            minutes = pools.draw(call, wanted, reserved=0, now=at)
        return rating.usage(minutes)
