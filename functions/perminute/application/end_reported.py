"""Replace what bridges reported by what telephony says, once, when a `Call Ended` comes after all.

The call was charged by the reports; its `Call Ended` takes the place of the call that they
describe, and what it costs more or less is booked as an adjustment. So it comes to the same as if
the event had been first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from perminute.domain.credit.ledger import RERATING
from perminute.domain.pools.pools import DrawPosition, MinutePools, month_of
from perminute.domain.rating.rating import RatingContext, rate_call
from perminute.domain.rerating.corrections import ended_after_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.application.charge_calls import EndedCall
    from perminute.application.recorded_calls import RecordedCalls
    from perminute.application.retry import Deadline
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.pools.pools import Month
    from perminute.domain.rating.calls import Call, LegType
    from perminute.domain.rating.rating import Rating
    from perminute.domain.rating.usage_record import Usage

CALLS_PER_TRANSACTION = 10
"""With a list and two minute pools for each of them, and lots, they still fit a transaction."""

CAUSE = f"{RERATING}callEnded"


@dataclass(frozen=True, slots=True)
class EndReported:
    """The use case, over what it shares with re-rating."""

    recorded: RecordedCalls

    def __call__(
        self, organization_id: str, ended: Sequence[EndedCall], deadline: Deadline
    ) -> dict[str, Usage]:
        """Replace the calls that are still recorded as reported; returns their new records.

        Raises `Unavailable`.
        """
        replaced: dict[str, Usage] = {}
        for start in range(0, len(ended), CALLS_PER_TRANSACTION):
            some = ended[start : start + CALLS_PER_TRANSACTION]
            at = max(one.reported_at for one in some)
            decide = partial(self._decide, some)
            booking = self.recorded.commit(organization_id, at, deadline, decide)
            for usage in booking.rerated if booking else ():
                replaced[usage.call.call_id] = usage
        return replaced

    def _decide(
        self, ended: Sequence[EndedCall], account: Account, at: datetime
    ) -> Transaction | None:
        calls = {one.call.call_id: one.call for one in ended}
        usages = [
            usage
            for usage in self.recorded.calls.usages(account.organization_id, calls)
            if usage.reported_by_bridge
        ]
        organizers = {calls[usage.call.call_id].organizer_id for usage in usages}
        # Those whom bridges had named as well: what was counted of their limits is taken back.
        organizers |= {usage.call.organizer_id for usage in usages}
        licensing = self.recorded.licensing.for_account(account, organizers)
        both = []
        for usage in usages:
            call = calls[usage.call.call_id]
            both.append((usage, rate_call(call, self._terms(usage, call, account, licensing))))
        months = {month for usage, rating in both for month in _months(usage, rating)}
        pools = MinutePools(self.recorded.credit.pools(account.organization_id, months), licensing)
        rerated = [
            ended_after_all(usage, rating, pools, account.now(at))
            for usage, rating in sorted(both, key=lambda one: DrawPosition.of(one[1].call))
        ]
        return self.recorded.corrected(account, rerated, pools, at, CAUSE)

    def _terms(
        self, usage: Usage, call: Call, account: Account, licensing: Licensing
    ) -> RatingContext:
        """Rate a call by the card by which it was rated: only what is known of it has changed.

        Another number or another answer may find another row of it: then all of it is needed.
        """
        return RatingContext(
            licensing=licensing,
            rate_card=usage.price.as_card(usage.call.leg_type)
            if _finds_the_same_row(usage.call, call)
            else self.recorded.rate_cards.version(usage.price.rate_card_version),
            currency=account.currency,
            credits_set_up_at=account.credits_set_up_at,
        )


def _finds_the_same_row(one: Call, other: Call) -> bool:
    """Whether a rate card has one row for both: their prices differ by the time connected."""
    return _finds_row_by(one) == _finds_row_by(other)


def _finds_row_by(call: Call) -> tuple[LegType, str | None, datetime]:
    return call.leg_type, call.rated_number, call.rated_at


def _months(usage: Usage, rating: Rating) -> Iterator[Month]:
    if usage.draws_on_pool:
        yield month_of(usage.call)
    if rating.draws_on_pool:
        yield month_of(rating.call)
