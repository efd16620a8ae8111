"""Replace what bridges reported by what telephony says, once, when a `Call Ended` comes after all.

The call was charged by the reports; its `Call Ended` takes the place of the leg that they describe,
and what it costs more or less is booked as an adjustment. So it comes to the same as if the event
had been first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from perminute.domain.ledger import RERATING
from perminute.domain.pools import Pools, Position, month_of
from perminute.domain.rerating import ended_after_all
from perminute.domain.usage import Terms, rate_leg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.charge_legs import EndedLeg
    from perminute.application.looking_again import LookingAgain
    from perminute.application.patience import Deadline
    from perminute.domain.accounts import Account, Booking
    from perminute.domain.legs import Leg, LegType
    from perminute.domain.licensing import Licensing
    from perminute.domain.pools import Month
    from perminute.domain.usage import Rating, Usage

CALLS_PER_POSTING = 10
"""With a list and two minute pools for each of them, and lots, they still fit a transaction."""

CAUSE = f"{RERATING}callEnded"


@dataclass(frozen=True, slots=True)
class EndReported:
    """The use case, over what it shares with re-rating."""

    again: LookingAgain

    def __call__(
        self, organization_id: str, ended: Sequence[EndedLeg], deadline: Deadline
    ) -> dict[str, Usage]:
        """Replace the calls that are still recorded as reported; returns their new records.

        Raises `Unavailable`.
        """
        replaced: dict[str, Usage] = {}
        for start in range(0, len(ended), CALLS_PER_POSTING):
            some = ended[start : start + CALLS_PER_POSTING]
            at = max(one.reported_at for one in some)
            decide = partial(self._decide, some)
            for usage in self.again.commit(organization_id, at, deadline, decide):
                replaced[usage.leg.call_id] = usage
        return replaced

    def _decide(self, ended: Sequence[EndedLeg], account: Account, at: datetime) -> Booking | None:
        legs = {one.leg.call_id: one.leg for one in ended}
        usages = [
            usage
            for usage in self.again.calls.usages(account.organization_id, legs)
            if usage.reported_by_bridge
        ]
        organizers = {legs[usage.leg.call_id].organizer_id for usage in usages}
        # Those whom bridges had named as well: what was counted of their limits is taken back.
        organizers |= {usage.leg.organizer_id for usage in usages}
        licensing = self.again.licensing.for_account(account, organizers)
        both = []
        for usage in usages:
            leg = legs[usage.leg.call_id]
            both.append((usage, rate_leg(leg, self._terms(usage, leg, account, licensing))))
        months = {month for usage, rating in both for month in _months(usage, rating)}
        pools = Pools(self.again.credit.pools(account.organization_id, months), licensing)
        rerated = [
            ended_after_all(usage, rating, pools, account.now(at))
            for usage, rating in sorted(both, key=lambda one: Position.of(one[1].leg))
        ]
        return self.again.booking(account, rerated, pools, at, CAUSE)

    def _terms(self, usage: Usage, leg: Leg, account: Account, licensing: Licensing) -> Terms:
        """Rate a call by the card by which it was rated: only what is known of it has changed.

        Another number or another answer may find another row of it: then all of it is needed.
        """
        again = self.again
        return Terms(
            licensing=licensing,
            rate_card=usage.price.as_card(usage.leg.leg_type)
            if _finds_the_same_row(usage.leg, leg)
            else again.rate_cards.version(usage.price.rate_card_version),
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )


def _finds_the_same_row(one: Leg, other: Leg) -> bool:
    """Whether a rate card has one row for both: their prices differ by the time connected."""
    return _finds_row_by(one) == _finds_row_by(other)


def _finds_row_by(leg: Leg) -> tuple[LegType, str | None, datetime]:
    return leg.leg_type, leg.rated_number, leg.answered_at or leg.ended_at


def _months(usage: Usage, rating: Rating) -> Iterator[Month]:
    if usage.draws_on_pool:
        yield month_of(usage.leg)
    if rating.draws_on_pool:
        yield month_of(rating.leg)
