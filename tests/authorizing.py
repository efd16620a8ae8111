"""One organization and its calls, decided one after the other: what unit tests of grants share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from builders import (
    ANSWERED,
    LONG_AGO,
    MICROS,
    ORGANIZATION,
    ORGANIZER,
    card,
    holding,
    holds,
    lot,
    phone_call,
    volume,
)

from perminute.domain.authorization.authorization import (
    Authorization,
    authorize,
)
from perminute.domain.authorization.pricing import AuthorizationContext, price_call
from perminute.domain.authorization.reservations import ChargingRequest, Operation
from perminute.domain.credit.credit_settings import CreditSettings
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.limits.limit_reached import concurrent_calls_reached, limit_reached
from perminute.domain.limits.spending import SpendCounter, SpendCounters
from perminute.domain.pools.pools import MinutePool, Month
from perminute.domain.rating.rating import RatingContext

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.licensing.timelines import Timeline
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import RateCard

RATE = 15_000
CARD = card(
    "dialOut,49,DE,USD,0.015,,",
    "dialOut,44,GB,USD,0.02,0.10,",
    "dialOut,1,US,USD,0.01,,",
    "dialOut,449,GB,USD,,,true",
    "dialOut,33,FR,EUR,0.016,,",
    "dialOut,371,LV,USD,0.50,,",
    "tollDialIn,1,US,USD,0.0085,,",
    "tollFreeDialIn,1800,US,USD,0.022,,",
)
NOVEMBER = Month(2026, 11)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BY_THE_MINUTE = holds("payPerMinute", "communicationsCredits")
SUBSCRIBED = holds("subscription", "communicationsCredits")


def under_way(**changed: Any) -> Call:
    return phone_call(**{"answered_at": ANSWERED, "ended_at": ANSWERED, **changed})


def asks(seconds: int | None = None, sequence: int = 0) -> ChargingRequest:
    return ChargingRequest(Operation.AUTHORIZE, sequence, seconds)


def used(seconds: int, sequence: int, requested: int | None = None) -> ChargingRequest:
    return ChargingRequest(Operation.UPDATE, sequence, requested, seconds)


@dataclass
class Scene:
    """One organization's account, and what its calls rest on, as it changes."""

    account: Account = field(default_factory=lambda: holding(lot("1", MICROS)))
    user: Timeline = BY_THE_MINUTE
    organization: Timeline = field(default_factory=volume)
    pool: MinutePool = field(
        default_factory=lambda: MinutePool(organization_id=ORGANIZATION, month=NOVEMBER)
    )
    spent: dict[Any, SpendCounter] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)
    rates: RateCard = field(default_factory=lambda: CARD)

    def context(self, call: Call) -> AuthorizationContext:
        licensing = Licensing(self.organization, {ORGANIZER: self.user})
        account = self.account
        context = RatingContext.of(account, licensing, self.rates)
        price = price_call(call, context)
        keys = price.limit_keys(licensing, account.settings)
        records = {key: self.spent.get(key, SpendCounter(key=key)) for key in keys}
        spend_counters = SpendCounters(account.days, records)
        return AuthorizationContext(account, context, price, self.pool, spend_counters)

    def take(self, decided: Authorization) -> Authorization:
        booking = decided.transaction
        self.account = booking.after
        self.pool = booking.pools[0] if booking.pools else self.pool
        self.spent |= {one.key: one for one in booking.spend_counters}
        currency = booking.after.currency
        self.told += [limit_reached(one, currency)[0] for one in decided.reached_limits]
        if decided.concurrent_calls is not None:
            self.told.append(concurrent_calls_reached(decided.concurrent_calls)[0])
        return decided

    def authorize(
        self, asked: ChargingRequest | None = None, at: datetime = ANSWERED, **leg_: Any
    ) -> Authorization:
        one = under_way(answered_at=at, ended_at=at, **leg_)
        return self.take(authorize(self.context(one), one, asked or asks(), at))

    def update(self, before: Authorization, asked: ChargingRequest, at: datetime) -> Authorization:
        known = before.reservation
        return self.take(authorize(self.context(known.call), known.call, asked, at, known))

    def release(self, before: Authorization, seconds: int, at: datetime) -> Authorization:
        asked = ChargingRequest(Operation.RELEASE, before.reservation.sequence + 1, None, seconds)
        return self.update(before, asked, at)

    def reserved(self, at: datetime = ANSWERED) -> int:
        return self.account.reserved.amount_at(at)


def configured(**limits: Any) -> CreditSettings:
    return CreditSettings(configured_at=LONG_AGO, event_id="e", currency="USD", **limits)
