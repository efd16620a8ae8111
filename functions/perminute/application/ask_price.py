"""What a call would cost, asked before it is made. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from perminute.domain.pools.pools import MinutePools, month_of
from perminute.domain.rating.rating import RatingContext, rate_call

if TYPE_CHECKING:
    from perminute.application.licensing_cache import LicensingCache
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.usage_record import Usage
    from perminute.ports.messaging import RateCards
    from perminute.ports.stores import CreditStore


@dataclass(frozen=True, slots=True)
class AskPrice:
    """The use case with its ports."""

    credit: CreditStore
    licensing: LicensingCache
    rate_cards: RateCards

    def __call__(self, call: Call) -> Usage:
        """Return the usage record that a call would have now; raises `Unavailable`."""
        # An organizer without a name holds no license.
        account = self.credit.account(call.organization_id)
        organizers = {call.organizer_id} if call.organizer_id else set[str]()
        licensing = self.licensing.for_account(account, organizers)
        context = RatingContext.of(account, licensing, self.rate_cards.current())
        rating = rate_call(call, context)
        if not rating.draws_on_pool:
            return rating.usage()
        month = month_of(call)
        pools = MinutePools(self.credit.pools(call.organization_id, [month]), licensing)
        wanted = rating.pool_minutes_wanted
        return rating.usage(pools.draw(call, wanted, reserved=0, now=call.rated_at))
