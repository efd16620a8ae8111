"""From an ended call to its usage record: the outcome, its reason and the charge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
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
    Step,
    Unpriced,
)
from perminute.domain.reference.phone_numbers import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from perminute.domain.credit.lots import LotShare


class Outcome(StrEnum):
    """What became of a call."""

    CHARGED = "charged"
    POOLED = "pooled"
    INCLUDED = "included"
    FREE = "free"
    NOT_ENTITLED = "notEntitled"
    UNRATED = "unrated"


class Free(StrEnum):
    """Why a call costs nobody anything."""

    APP_JOIN = "appJoin"
    NOT_ANSWERED = "notAnswered"
    AD_HOC_MEETING = "adHocMeeting"


Reason = Free | NotEntitled | Unpriced


class Flag(StrEnum):
    """What else there is to say of a call."""

    DIAL_OUT_NOT_ALLOWED = "dialOutNotAllowed"
    TOLL_FREE_NOT_ALLOWED = "tollFreeNotAllowed"
    OVERDRAWN = "overdrawn"
    RERATED = "rerated"
    REPORTED_BY_BRIDGE = "reportedByBridge"
    PREFIX_UNCERTAIN = "prefixUncertain"
    """The masked digits of the number may hide a longer prefix, which has another price."""


POLICY_FLAGS = (Flag.DIAL_OUT_NOT_ALLOWED, Flag.TOLL_FREE_NOT_ALLOWED)
"""What a call is flagged with that the organizer's policies do not allow (docs/domain.md §6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the rate card says of a call, whoever pays; money in micro-units of `currency`.

    Where the card has no price, `retail_micros` is None, `unpriced` says why, and `prefix` names
    the row that blocks the number. A price in another currency than the credit's is here whole, and
    `unpriced` says that credit cannot pay it: see `Usage.stated_price` for what is stated of it.

    The row that priced the call is here with all its steps, so that the call can be priced again,
    and its price explained, without the card: the first step is `rate_micros_per_minute` in blocks
    of `increment_seconds`. `is_prefix_uncertain` says that masked digits of the number may hide a
    longer prefix with a price of its own, or a blocked one.
    """

    rate_card_version: str
    billed_seconds: int = 0
    prefix: str | None = None
    country: str | None = None
    rate_micros_per_minute: int | None = None
    connection_fee_micros: int | None = None
    retail_micros: int | None = None
    currency: str | None = None
    unpriced: Unpriced | None = None
    initial_increment_seconds: int = SECONDS_PER_MINUTE
    increment_seconds: int = SECONDS_PER_MINUTE
    later_steps: tuple[Step, ...] = ()
    is_prefix_uncertain: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps of the row that priced the call; empty without a price."""
        if self.rate_micros_per_minute is None:
            return ()
        return (Step(0, self.rate_micros_per_minute, self.increment_seconds), *self.later_steps)

    def without_amounts(self) -> Price:
        """Return what is stated of a price that nobody pays: which row and currency it is in."""
        return Price(
            rate_card_version=self.rate_card_version,
            prefix=self.prefix,
            country=self.country,
            currency=self.currency,
            unpriced=self.unpriced,
            is_prefix_uncertain=self.is_prefix_uncertain,
        )

    def as_card(self, leg_type: LegType) -> RateCard:
        """Return a card that says of this call what its whole card says."""
        if self.prefix is None:
            return self._card_of()
        row = Rate(
            leg_type=leg_type,
            prefix=self.prefix,
            country=self.country,
            description="",
            currency=self.currency or "",
            connection_fee_micros=self.connection_fee_micros or 0,
            initial_increment_seconds=self.initial_increment_seconds,
            steps=self.steps,
            # It was in force when the call was answered, which is all that is asked of it.
            effective_from=None,
            effective_to=None,
            blocked=self.unpriced is Unpriced.BLOCKED_NUMBER,
        )
        return self._card_of(row)

    def _card_of(self, *rows: Rate) -> RateCard:
        return RateCard(rows, version=self.rate_card_version, is_uncertain=self.is_prefix_uncertain)


class NotifiedAgain(NamedTuple):
    """Something that was notified of a call after it had been recorded, by which transaction."""

    reason: str
    version: int


class Adjusted(NamedTuple):
    """By how much a ledger entry changed what credit pays for a call; signed micro-units."""

    entry_id: str
    amount_micros: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The record of one call: what came in, what was decided, what pool and credit paid.

    `charge_micros` is what credit pays by now: what the charge `entry_id` took at first, and what
    each re-rating changed. `lots` says which lots paid it; what they did not pay was made debt.
    A call that draws on the pool has a place in its order even if it found nothing left. Of the
    minutes that it drew, `reserved_minutes` are its own. `authorized_at` is set if it had reserved
    something before it began. `notifications_held` is set while news of its outcome waits for its
    pool to be settled, after which the outcome may be another. `notified_again` says what was
    notified of it later than its charge, the latest of each reason: an earlier notification is out
    of date.
    """

    call: Call
    outcome: Outcome
    reason: Reason | None
    price: Price
    charge_micros: int
    pool_minutes: int = 0
    draws_on_pool: bool = False
    reserved_minutes: int = 0
    authorized_at: datetime | None = None
    flags: tuple[Flag, ...] = ()
    entry_id: str | None = None
    adjustments: tuple[Adjusted, ...] = ()
    lots: tuple[LotShare, ...] = ()
    notifications_held: bool = False
    notified_again: tuple[NotifiedAgain, ...] = ()

    @property
    def stated_price(self) -> Price:
        """The price as it is shown and summed: an unrated call has no amounts.

        If credit would have to pay a price in another currency, the call is unrated. The record has
        that price all the same, for a call that is rated again may turn out to be pooled.
        """
        return self.price.without_amounts() if self.outcome is Outcome.UNRATED else self.price

    @property
    def began_at(self) -> datetime:
        """The instant by which it belongs to the period of a limit."""
        return self.authorized_at or self.call.answered_at or self.call.ended_at

    @property
    def movements(self) -> tuple[Adjusted, ...]:
        """How the charge came about, entry by entry."""
        if self.entry_id is None:
            return self.adjustments
        later_micros = sum(one.amount_micros for one in self.adjustments)
        first = Adjusted(self.entry_id, self.charge_micros - later_micros)
        return (first, *self.adjustments)

    @property
    def reported_by_bridge(self) -> bool:
        """Whether it was charged by what its bridge reported, and no `Call Ended` has come yet."""
        return Flag.REPORTED_BY_BRIDGE in self.flags

    @property
    def policy_flag(self) -> Flag | None:
        """Which policy of its organizer the call went against, if any."""
        return policy_flag_of(self.flags)


def policy_flag_of(flags: Iterable[Flag]) -> Flag | None:
    """Return the flag that says which policy of its organizer a call went against, if any."""
    return next((flag for flag in flags if flag in POLICY_FLAGS), None)


@dataclass(frozen=True, slots=True)
class RatingContext:
    """All that a decision about a call of an organization rests on."""

    licensing: Licensing
    rate_card: RateCard
    currency: str | None
    credits_set_up_at: datetime | None


def charged_in(call: Call, currency: str | None, credits_set_up_at: datetime | None) -> str | None:
    """Return the currency in which a call can be charged; None, nothing can be charged at all.

    Before the credits were set up a call cost nobody anything, whatever currency they have now: so
    it is priced alike whether it is reported before that or after.
    """
    was_set_up = credits_set_up_at is not None and credits_set_up_at <= call.rated_at
    return currency if was_set_up else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What the rules say of a call, but for the minutes that the pool has left when its turn comes.

    `rate` is what credit pays by; None where the card has no price, or one in another currency.
    """

    call: Call
    price: Price
    rate: Rate | None
    cover: Free | Entitlement
    flags: tuple[Flag, ...] = ()

    @property
    def pool_minutes_wanted(self) -> int:
        """How many minutes of the pool the call would draw, if there are as many."""
        return minutes_wanted(self.call) if self.draws_on_pool else 0

    @property
    def draws_on_pool(self) -> bool:
        """Whether the pool bears the call as far as it reaches."""
        return isinstance(self.cover, Entitlement) and self.cover.draws_on_pool

    def usage(self, pool_minutes: int = 0, reserved_minutes: int = 0) -> Usage:
        """Make the record of the call, to which the pool gave so many minutes."""
        outcome, reason, charge_micros = self._borne(pool_minutes)
        return Usage(
            call=self.call,
            outcome=outcome,
            reason=reason,
            price=self.price,
            charge_micros=charge_micros,
            pool_minutes=pool_minutes,
            draws_on_pool=self.draws_on_pool,
            reserved_minutes=min(reserved_minutes, self.pool_minutes_wanted),
            flags=self.flags,
        )

    def _borne(self, pool_minutes: int) -> tuple[Outcome, Reason | None, int]:
        """Say who bears the call; what the pool does not is for the licenses to say."""
        if isinstance(self.cover, Free):
            return Outcome.FREE, self.cover, 0
        if self.draws_on_pool and pool_minutes == self.pool_minutes_wanted:
            return Outcome.POOLED, None, 0
        match self.cover.rest:
            case NotEntitled() as why:
                return Outcome.NOT_ENTITLED, why, 0
            case Cover.INCLUDED:
                return Outcome.INCLUDED, None, 0
            case Cover.CREDITS if self.rate is None:
                return Outcome.UNRATED, self.price.unpriced, 0
            case Cover.CREDITS:
                return Outcome.CHARGED, None, self._rest_micros(self.rate, pool_minutes)
            case never:
                assert_never(never)

    def _rest_micros(self, rate: Rate, pool_minutes: int) -> int:
        """Price what comes after the minutes of the pool, which are the first of the call.

        The connection fee is charged as soon as any minute is (docs/domain.md §4.2).
        """
        return rate.charge_micros(self.price.billed_seconds, pool_minutes * SECONDS_PER_MINUTE)


def rate_call(call: Call, context: RatingContext) -> Rating:
    """Decide what a call costs and who bears it; the same context always give the same answer."""
    price, rate = _price(call, context)
    uncertain = (Flag.PREFIX_UNCERTAIN,) if price.is_prefix_uncertain else ()
    free = _free(call)
    if free is not None:
        return Rating(call=call, price=price, rate=rate, cover=free, flags=uncertain)
    licensing = context.licensing
    # What the card blocks is premium; a rate in another currency still tells the country.
    destination = None if price.unpriced is Unpriced.BLOCKED_NUMBER else price.country
    policy = () if licensing.allows(call, price.country) else (_POLICY_FLAG[call.leg_type],)
    return Rating(
        call=call,
        price=price,
        rate=rate,
        cover=licensing.entitlement(call, context.credits_set_up_at, destination),
        flags=(*policy, *uncertain),
    )


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
    """Ask the card; a rate in another currency than the credit's is not charged by.

    Nothing converts: what such a call costs is stated in the currency of the rate.
    """
    card = context.rate_card
    number = call.rated_number
    if call.leg_type is LegType.APP or number is None:
        return Price(rate_card_version=card.version, retail_micros=0), None
    price, rate = _card_price(call, call.leg_type, number, context)
    if number.endswith(MASK) and card.is_uncertain(call.leg_type, number, call.rated_at):
        price = replace(price, is_prefix_uncertain=True)
    return price, rate


def _card_price(
    call: Call, leg_type: LegType, number: str, context: RatingContext
) -> tuple[Price, Rate | None]:
    """Price a call by the digits that its number shows."""
    card = context.rate_card
    at = call.rated_at
    currency = charged_in(call, context.currency, context.credits_set_up_at)
    match card.quote(leg_type, number, call.connected_seconds, at, currency=currency):
        case NoQuote(Unpriced.CURRENCY_MISMATCH as why, Rate() as rate):
            return _price_by(rate.quote(call.connected_seconds), card.version, why), None
        case NoQuote(reason, rate):
            price = Price(
                rate_card_version=card.version,
                prefix=rate.prefix if rate else None,
                country=rate.country if rate else None,
                unpriced=reason,
            )
            return price, None
        case Quote(rate) as quote:
            return _price_by(quote, card.version), rate
        case never:
            assert_never(never)


def _price_by(quote: Quote, version: str, unpriced: Unpriced | None = None) -> Price:
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
