"""What a call under way costs, however long it lasts and whenever it was answered.

A bridge asks before the call is answered, and its clock may differ from ours: by the instant that
`Call Ended` states, another rate, license or month may be in force. So the highest price of all
instants from `CLOCK_SKEW` before the request to `RINGING` after it is reserved, and of all rates
that masked digits may match (docs/domain.md §2.5).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.reservations import (
    CLOCK_SKEW,
    DEFAULT_QUOTA_SECONDS,
    RINGING,
    SHORTEST_VALIDITY,
)
from perminute.domain.credit.holds import lapses_at
from perminute.domain.licensing.licensing import Cover, Entitlement
from perminute.domain.limits.spending import spend_keys_of
from perminute.domain.pools.pools import month_of
from perminute.domain.rating.calls import PRICED_BY, LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE
from perminute.domain.rating.rating import Rating, rate_call
from perminute.domain.rating.usage_record import Free
from perminute.domain.reference.phone_numbers import MASK
from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from perminute.domain.authorization.reservations import ChargingRequest, Promise, Reservation
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.lots import Lots
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.limits.spending import SpendCounters, SpendKey
    from perminute.domain.pools.pools import MinutePool
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import RatingContext


class CallPrice(NamedTuple):
    """What a call under way costs, whenever it is answered and whatever its masked digits are."""

    # By the digits that its number shows: at the instant of the request first, then at each other
    # one at which it may be answered and is rated differently.
    shown: tuple[Rating, ...]
    # By further rates that masked digits may match, at all these instants; empty for most calls.
    hidden: tuple[Rating, ...] = ()
    pool_minutes: int = 0  # that the call may draw; they pay its first seconds

    @property
    def rating(self) -> Rating:
        """The rating if the call is answered at the instant of the request."""
        return self.shown[0]

    @property
    def ratings_at_request(self) -> tuple[Rating, ...]:
        """All ratings of the instant of the request, that by the digits shown first."""
        at = self.rating.call.answered_at
        return (self.rating, *(hidden for hidden in self.hidden if hidden.call.answered_at == at))

    @property
    def prefixes(self) -> tuple[str | None, ...]:
        """The prefixes by which limits count the call, each once."""
        # Without those that are hidden: there may be hundreds, each with a record to read.
        return tuple(dict.fromkeys(rating.price.prefix for rating in self.shown))

    def limit_keys(self, licensing: Licensing, settings: CreditSettings | None) -> set[SpendKey]:
        """Return the keys of the records that count the call for limits, without the day's."""
        call = self.rating.call
        return {
            key
            for prefix in self.prefixes
            for key in spend_keys_of(call, prefix, call.rated_at, licensing, settings)
        }

    @property
    def costs_nothing(self) -> bool:
        """Whether the call is included or free, whenever it is answered."""
        return is_free(self.rating) and not any(
            _price_micros(other, 1, 0) or other.draws_on_pool for other in self._others
        )

    def billed_seconds(self, seconds: int) -> int:
        """Round up to whole billing blocks."""
        return seconds if self.rating.rate is None else self.rating.rate.billed_seconds(seconds)

    def cost(self, seconds: int) -> tuple[int, int]:
        """Return what the started blocks of so many seconds cost: micro-units, pool minutes."""
        billed = self.billed_seconds(seconds)
        return self.micros(billed) or 0, self._minutes(billed)

    def micros(self, seconds: int) -> int | None:
        """Return what so many seconds cost the credit; None if neither pool nor credit can pay."""
        minutes = self._minutes(seconds)
        micros = _price_micros(self.rating, seconds, minutes)
        if micros is None:
            return None
        month = month_of(self.rating.call)
        for other in self._others:
            pooled = other.draws_on_pool and month_of(other.call) == month
            # What nobody can pay then costs nothing: it would be recorded, and not charged.
            micros = max(micros, _price_micros(other, seconds, minutes if pooled else 0) or 0)
        return micros

    def _minutes(self, seconds: int) -> int:
        wanted = -(-seconds // SECONDS_PER_MINUTE) if self.rating.draws_on_pool else 0
        return min(wanted, self.pool_minutes)

    @property
    def _others(self) -> tuple[Rating, ...]:
        return (*self.shown[1:], *self.hidden)


def is_free(rating: Rating) -> bool:
    """Whether a rating says that nobody pays for a call: it is included or free."""
    return isinstance(rating.cover, Free) or rating.cover.beyond_pool is Cover.INCLUDED


def _price_micros(rating: Rating, seconds: int, minutes: int) -> int | None:
    if minutes * SECONDS_PER_MINUTE >= seconds or is_free(rating):
        return 0
    rate, cover = rating.rate, rating.cover
    if rate is None or not isinstance(cover, Entitlement) or cover.beyond_pool is not Cover.CREDITS:
        return None
    return rate.charge_micros(rate.billed_seconds(seconds), minutes * SECONDS_PER_MINUTE)


def price_call(call: Call, context: RatingContext) -> CallPrice:
    """Rate a call under way in every way in which it may be rated."""
    # A call of some length: what has no length costs nothing.
    started = replace(call, billable_seconds=1)
    calls = [started]
    calls += (
        replace(started, answered_at=at, ended_at=at) for at in _other_instants(call, context)
    )
    masked = (hidden for shown in calls for hidden in _with_more_digits(shown, context))
    return CallPrice(
        tuple(rate_call(shown, context) for shown in calls),
        tuple(rate_call(hidden, context) for hidden in masked),
    )


def _with_more_digits(call: Call, context: RatingContext) -> Iterator[Call]:
    """Yield the call with masked digits replaced by those of each rate that they may match."""
    number, field = call.rated_number, PRICED_BY.get(call.leg_type)
    if number is None or field is None:
        return
    for rate in context.rate_card.hidden_rates(call.leg_type, number, call.rated_at):
        more = f"+{rate.prefix}".ljust(len(number), MASK)
        if field == "remoteNumber":
            yield replace(call, remote_number=more)
        else:
            yield replace(call, service_number=more)


def _other_instants(call: Call, context: RatingContext) -> tuple[datetime, ...]:
    at, number = call.rated_at, call.rated_number
    since, until = at - CLOCK_SKEW, at + RINGING
    changes = set(context.licensing.changes_between(call.organizer_id, since, until))
    if number is not None and call.leg_type is not LegType.APP:
        changes.update(context.rate_card.changes_between(call.leg_type, number, since, until))
    others = (month_start(until), context.credits_set_up_at)
    changes.update(instant for instant in others if instant and since < instant <= until)
    # Nearly always the price changes at none of them.
    return (since, *sorted(changes - {at})) if changes else ()


class AuthorizationContext(NamedTuple):
    """What a decision about a call under way depends on, beside the call and the request."""

    account: Account
    rating_context: RatingContext
    price: CallPrice
    pool: MinutePool | None  # of the month in which the call was authorized, if it draws on it
    spend_counters: SpendCounters  # of each limit that applies to the call or has reserved for it
    further: Lots = ()  # lots outside the account item; read only if one may expire soon


class PricedRequest(NamedTuple):
    """A request about a call with its price, and what its organization has for it."""

    # Account, pool and counters are without what the call had reserved before this request.
    context: AuthorizationContext
    call: Call
    request: ChargingRequest  # in full
    at: datetime
    is_new: bool  # the call is to be authorized
    used_seconds: int  # in all, by this request
    default_seconds: int  # what is wanted by a request that does not say it
    last_promise: Promise | None = None  # the bridge relies on it if the next answer gets lost

    @property
    def wanted_seconds(self) -> int:
        """How much is wanted from now on."""
        return self.request.requested_seconds or self.default_seconds

    def lapses_at(self, quota_seconds: int) -> datetime:
        """Return when a grant lapses that ends with this second: after twice its validity."""
        granted = timedelta(seconds=quota_seconds - self.used_seconds)
        return lapses_at(self.at, 2 * max(SHORTEST_VALIDITY, granted + RINGING))


def price_request(
    context: AuthorizationContext,
    call: Call,
    request: ChargingRequest,
    at: datetime,
    before: Reservation | None,
) -> PricedRequest:
    """Price a request; what the call had reserved before is given back first."""
    wanted, reported, promised = DEFAULT_QUOTA_SECONDS, 0, None
    if before is not None:
        wanted, reported, promised = before.wanted_seconds, before.used_seconds, before.promised
        # A request with a later clock may have removed it as lapsed: it is not reserved once more.
        if promised is not None and not context.account.reserved.lasts(promised.until, at):
            promised = None
        context = _with_given_back(context, before)
    in_full = request.in_full(wanted, reported)
    if context.pool is not None:
        minutes = _pool_minutes_left(context, context.pool, call, at)
        context = context._replace(price=context.price._replace(pool_minutes=minutes))
    used = reported + in_full.used_seconds
    return PricedRequest(context, call, in_full, at, before is None, used, wanted, promised)


def _with_given_back(context: AuthorizationContext, before: Reservation) -> AuthorizationContext:
    reserved, pool = context.account.reserved, context.pool
    for held in before.held:
        reserved = reserved.without(held.credit)
        if pool is not None and held.minutes:
            pool = pool.without_held(held.pool)
        for key in before.limit_keys:
            context.spend_counters.release(key, held.credit)
    return context._replace(account=context.account._replace(reserved=reserved), pool=pool)


def _pool_minutes_left(
    context: AuthorizationContext, pool: MinutePool, call: Call, at: datetime
) -> int:
    # The fewest by the licenses of now and of each instant at which the call may be answered.
    answered_at, licensing = call.rated_at, context.rating_context.licensing
    since = max(answered_at - CLOCK_SKEW, pool.month.start)
    until = min(answered_at + RINGING, pool.month.end)
    fewest = licensing.fewest_pool_minutes(since, until)
    minutes = min(fewest, licensing.pool_minutes_for_calls(at))
    return max(0, pool.left_at(at, minutes))
