"""From an ended call to its usage record: who pays for it, and how much (docs/domain.md §1, §2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.domain.licensing.licensing import Cover, Entitlement, Licensing, NotEntitled
from perminute.domain.pools.pools import minutes_wanted
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rate_card import (
    SECONDS_PER_MINUTE,
    NoQuote,
    Quote,
    Rate,
    RateCard,
    Unpriced,
)
from perminute.domain.rating.usage_record import Flag, Free, Outcome, Price, Reason, Usage
from perminute.domain.reference.phone_numbers import MASK

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account


class RatingContext(NamedTuple):
    """The licenses, rates and credit of an organization by which calls are rated."""

    licensing: Licensing
    rate_card: RateCard
    currency: str | None
    credits_set_up_at: datetime | None

    @classmethod
    def of(cls, account: Account, licensing: Licensing, rate_card: RateCard) -> RatingContext:
        """Return the context of calls of an account."""
        return cls(licensing, rate_card, account.currency, account.credits_set_up_at)


def charged_in(call: Call, currency: str | None, credits_set_up_at: datetime | None) -> str | None:
    """Return the currency in which a call can be charged; None before the credit was set up."""
    # So a call from before then is priced alike whether it is reported before or after.
    was_set_up = credits_set_up_at is not None and credits_set_up_at <= call.rated_at
    return currency if was_set_up else None


class Rating(NamedTuple):
    """The price of a call and who pays, before the pool says how many minutes it has left."""

    call: Call
    price: Price
    rate: Rate | None  # None if the card has no price, or one in another currency
    cover: Free | Entitlement
    flags: tuple[Flag, ...] = ()

    @property
    def pool_minutes_wanted(self) -> int:
        """How many minutes of the pool the call draws if there are as many."""
        return minutes_wanted(self.call) if self.draws_on_pool else 0

    @property
    def draws_on_pool(self) -> bool:
        """Whether the pool pays for the call as far as it reaches."""
        return isinstance(self.cover, Entitlement) and self.cover.draws_on_pool

    def usage(
        self,
        pool_minutes: int = 0,
        reserved_minutes: int = 0,
        authorized_at: datetime | None = None,
    ) -> Usage:
        """Return the record of the call, which drew so many minutes from the pool."""
        outcome, reason, charge_micros = self._paid(pool_minutes)
        return Usage(
            call=self.call,
            outcome=outcome,
            reason=reason,
            price=self.price,
            charge_micros=charge_micros,
            pool_minutes=pool_minutes,
            draws_on_pool=self.draws_on_pool,
            reserved_minutes=min(reserved_minutes, self.pool_minutes_wanted),
            authorized_at=authorized_at,
            flags=self.flags,
        )

    def _paid(self, pool_minutes: int) -> tuple[Outcome, Reason | None, int]:
        if isinstance(self.cover, Free):
            return Outcome.FREE, self.cover, 0
        if self.draws_on_pool and pool_minutes == self.pool_minutes_wanted:
            return Outcome.POOLED, None, 0
        match self.cover.beyond_pool:
            case NotEntitled() as why:
                return Outcome.NOT_ENTITLED, why, 0
            case Cover.INCLUDED:
                return Outcome.INCLUDED, None, 0
            case Cover.CREDITS if self.rate is None:
                return Outcome.UNRATED, self.price.unpriced, 0
            case Cover.CREDITS:
                # The minutes of the pool are the first of the call (docs/domain.md §4.2).
                pool_seconds = pool_minutes * SECONDS_PER_MINUTE
                micros = self.rate.charge_micros(self.price.billed_seconds, pool_seconds)
                return Outcome.CHARGED, None, micros
            case never:
                assert_never(never)


def rate_call(call: Call, context: RatingContext) -> Rating:
    """Decide what a call costs and who pays for it; the same context gives the same rating."""
    price, rate = _price(call, context)
    uncertain = (Flag.PREFIX_UNCERTAIN,) if price.is_prefix_uncertain else ()
    free = _free(call)
    if free is not None:
        return Rating(call, price, rate, free, uncertain)
    licensing = context.licensing
    # A blocked number is no destination of the pool; a rate in another currency still is.
    destination = None if price.unpriced is Unpriced.BLOCKED_NUMBER else price.country
    policy = () if licensing.allows(call, price.country) else (_POLICY_FLAG[call.leg_type],)
    cover = licensing.entitlement(call, context.credits_set_up_at, destination)
    return Rating(call, price, rate, cover, (*policy, *uncertain))


_POLICY_FLAG = {
    LegType.DIAL_OUT: Flag.DIAL_OUT_NOT_ALLOWED,
    LegType.TOLL_FREE_DIAL_IN: Flag.TOLL_FREE_NOT_ALLOWED,
}


def _free(call: Call) -> Free | None:
    if call.leg_type is LegType.APP:
        return Free.APP_JOIN
    if call.connected_seconds == 0:
        return Free.NOT_ANSWERED
    if call.meeting_type is MeetingType.AD_HOC:
        return Free.AD_HOC_MEETING
    return None


def _price(call: Call, context: RatingContext) -> tuple[Price, Rate | None]:
    card, number = context.rate_card, call.rated_number
    if call.leg_type is LegType.APP or number is None:
        return Price(rate_card_version=card.version, retail_micros=0), None
    price, rate = _price_by_card(call, number, context)
    if number.endswith(MASK) and card.is_uncertain(call.leg_type, number, call.rated_at):
        price = price._replace(is_prefix_uncertain=True)
    return price, rate


def _price_by_card(call: Call, number: str, context: RatingContext) -> tuple[Price, Rate | None]:
    card, seconds = context.rate_card, call.connected_seconds
    currency = charged_in(call, context.currency, context.credits_set_up_at)
    match card.quote(call.leg_type, number, seconds, call.rated_at, currency=currency):
        case NoQuote(Unpriced.CURRENCY_MISMATCH as why, Rate() as rate):
            # Nothing converts: the price is stated in the currency of the rate.
            return _price_of(rate.quote(seconds), card.version, why), None
        case NoQuote(reason, rate):
            prefix, country = (rate.prefix, rate.country) if rate else (None, None)
            price = Price(
                rate_card_version=card.version, prefix=prefix, country=country, unpriced=reason
            )
            return price, None
        case Quote(rate) as quote:
            return _price_of(quote, card.version), rate
        case never:
            assert_never(never)


def _price_of(quote: Quote, version: str, unpriced: Unpriced | None = None) -> Price:
    rate, billed_seconds, charge_micros = quote
    return Price(
        rate_card_version=version,
        billed_seconds=billed_seconds,
        prefix=rate.prefix,
        country=rate.country,
        rate_micros_per_minute=rate.rate_micros_per_minute,
        connection_fee_micros=rate.connection_fee_micros,
        retail_micros=charge_micros,
        currency=rate.currency,
        unpriced=unpriced,
        initial_increment_seconds=rate.initial_increment_seconds,
        increment_seconds=rate.steps[0].increment_seconds,
        later_steps=rate.steps[1:],
    )
