"""What a call under way costs, however long it lasts and whenever it was answered.

A bridge asks before the call is answered, and its clock may differ from ours. By the instant that
`Call Ended` states, another rate, license or month may be in force. So the dearest price of all
instants from `CLOCK_SKEW` before the request to `RINGING` after it is reserved. Of a number with
masked digits it is the dearest price of all rates that these may match as well: `Call Ended` may
state the number in full.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.authorization.call_times import CLOCK_SKEW, RINGING
from perminute.domain.licensing.licensing import Cover, Entitlement
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

    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rating import RatingContext


class CallRatings(NamedTuple):
    """How a call under way may be rated.

    `shown` is by the digits that its number shows: at the instant of the request first, then at
    each other one at which it may be answered and is rated differently. `hidden` is by further
    rates that the masked digits may match, at all these instants; empty for most calls.
    """

    shown: tuple[Rating, ...]
    hidden: tuple[Rating, ...] = ()

    @property
    def first(self) -> Rating:
        """The rating by which the call is priced if it is answered at once."""
        return self.shown[0]

    @property
    def at_request(self) -> tuple[Rating, ...]:
        """All ratings of the instant of the request, that by the digits shown first."""
        at = self.first.call.answered_at
        return (self.first, *(one for one in self.hidden if one.call.answered_at == at))

    @property
    def prefixes(self) -> tuple[str | None, ...]:
        """The prefixes by which the call is counted, each once.

        Not those that are hidden: there may be hundreds, and each would be a record to read.
        """
        return tuple(dict.fromkeys(rating.price.prefix for rating in self.shown))


def ratings_of(call: Call, context: RatingContext) -> CallRatings:
    """Rate a call under way in every way in which it may be rated."""
    # A call of some length: what has no length costs nothing.
    started = replace(call, billable_seconds=1)
    others = (
        replace(started, answered_at=at, ended_at=at) for at in _other_instants(call, context)
    )
    calls = (started, *others)
    return CallRatings(
        tuple(rate_call(one, context) for one in calls),
        tuple(
            rate_call(one, context) for shown in calls for one in _with_more_digits(shown, context)
        ),
    )


def _with_more_digits(call: Call, context: RatingContext) -> Iterator[Call]:
    """Yield the call with as many of the masked digits as each rate has that these may match."""
    number, field = call.rated_number, PRICED_BY.get(call.leg_type)
    if number is None or field is None:
        return
    for rate in context.rate_card.hidden_rates(call.leg_type, number, call.rated_at):
        more = f"+{rate.prefix}".ljust(len(number), MASK)
        if field == "remoteNumber":
            yield replace(call, remote_number=more)
        else:
            yield replace(call, service_number=more)


def _other_instants(call: Call, context: RatingContext) -> Iterator[datetime]:
    """Yield the other instants at which the call may have been answered, one for each price.

    Nearly always the price changes at none of them.
    """
    at = call.rated_at
    since, until = at - CLOCK_SKEW, at + RINGING
    changes = set(_changes(call, context, since, until))
    return iter((since, *sorted(changes - {at})) if changes else ())


def _changes(
    call: Call, context: RatingContext, since: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield the instants after `since`, up to `until`, at which the price may change."""
    number = call.rated_number
    if number is not None and call.leg_type is not LegType.APP:
        yield from context.rate_card.changes_between(call.leg_type, number, since, until)
    yield from context.licensing.changes_between(call.organizer_id, since, until)
    for instant in (month_start(until), context.credits_set_up_at):
        if instant is not None and since < instant <= until:
            yield instant


@dataclass(frozen=True, slots=True)
class CallPrice:
    """What a call costs that lasts for a number of seconds, of which a pool may bear the first.

    `rating` is that of the instant of the request. `others` are those of the other instants at
    which the call may have been answered, and of the rates that a masked number may hide, each with
    whether the pool bears its minutes then.
    """

    rating: Rating
    pool_minutes: int
    others: tuple[tuple[Rating, bool], ...] = ()

    @classmethod
    def of(cls, ratings: CallRatings, pool_minutes: int) -> CallPrice:
        """Price a call that may draw so many minutes of the pool of its month."""
        first, *others = (*ratings.shown, *ratings.hidden)
        month = month_of(first.call)
        return cls(
            first,
            pool_minutes,
            tuple(
                (other, other.draws_on_pool and month_of(other.call) == month) for other in others
            ),
        )

    @property
    def costs_nothing(self) -> bool:
        """Whether the call is included or free, whenever it is answered."""
        return _is_free(self.rating) and not any(
            _price_micros(other, 1, 0) or other.draws_on_pool for other, _ in self.others
        )

    @property
    def is_free_at_once(self) -> bool:
        """Whether it is included or free if it is answered at the instant of the request."""
        return _is_free(self.rating)

    def blocks(self, seconds: int) -> int:
        """Round up to whole billing blocks."""
        return seconds if self.rating.rate is None else self.rating.rate.billed_seconds(seconds)

    def minutes(self, seconds: int) -> int:
        """Count the minutes that the pool bears."""
        wanted = -(-seconds // SECONDS_PER_MINUTE) if self.rating.draws_on_pool else 0
        return min(wanted, self.pool_minutes)

    def micros(self, seconds: int) -> int | None:
        """Price so many seconds in all; None if neither the pool nor the credit can pay them.

        That is so if the pool is used up and the licenses allow nothing else.
        """
        minutes = self.minutes(seconds)
        micros = _price_micros(self.rating, seconds, minutes)
        if micros is None:
            return None
        for other, pooled in self.others:
            # What nobody can pay then costs nothing: it would be recorded, and not charged.
            micros = max(micros, _price_micros(other, seconds, minutes if pooled else 0) or 0)
        return micros


def _is_free(rating: Rating) -> bool:
    return isinstance(rating.cover, Free) or rating.cover.rest is Cover.INCLUDED


def _price_micros(rating: Rating, seconds: int, minutes: int) -> int | None:
    if minutes * SECONDS_PER_MINUTE >= seconds or _is_free(rating):
        return 0
    rate, cover = rating.rate, rating.cover
    if rate is None or not isinstance(cover, Entitlement) or cover.rest is not Cover.CREDITS:
        return None
    return rate.charge_micros(rate.billed_seconds(seconds), minutes * SECONDS_PER_MINUTE)
