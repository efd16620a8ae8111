"""From an ended leg to its usage record: the outcome, its reason and the charge (CONTRACT §4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from perminute.domain.legs import Leg, LegType, MeetingType
from perminute.domain.licensing import Cover, Licensing, NotEntitled
from perminute.domain.rate_card import NoQuote, Quote, Unpriced

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.lots import LotShare
    from perminute.domain.rate_card import RateCard


class Outcome(StrEnum):
    """What became of a leg; `pooled` comes with the minute pool of subscriptions."""

    CHARGED = "charged"
    INCLUDED = "included"
    FREE = "free"
    NOT_ENTITLED = "notEntitled"
    UNRATED = "unrated"


class Free(StrEnum):
    """Why a leg costs nobody anything."""

    APP_JOIN = "appJoin"
    NOT_ANSWERED = "notAnswered"
    AD_HOC_MEETING = "adHocMeeting"


Reason = Free | NotEntitled | Unpriced


class Flag(StrEnum):
    """What else there is to say of a leg."""

    OVERDRAWN = "overdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What the rate card says of a leg, whoever pays; money in micro-units of `currency`.

    Where the card has no price, `retail_micros` is None, `unpriced` says why, and `prefix` names
    the row that blocks the number, if one does.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The record of one leg for ever: what came in, what was decided, what credit paid.

    `lots` says which lots paid; what they did not pay of the charge was made debt.
    """

    leg: Leg
    outcome: Outcome
    reason: Reason | None
    price: Price
    charge_micros: int
    flags: tuple[Flag, ...] = ()
    entry_id: str | None = None
    lots: tuple[LotShare, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """All that a decision about a leg of an organization rests on."""

    licensing: Licensing
    rate_card: RateCard
    currency: str | None
    credits_set_up_at: datetime | None


def rate_leg(leg: Leg, terms: Terms) -> Usage:
    """Decide what a leg costs and who bears it; the same terms always give the same answer."""
    price = _price(leg, terms)
    free = _free(leg)
    if free is not None:
        return _usage(leg, Outcome.FREE, free, price)
    match terms.licensing.entitlement(leg, terms.credits_set_up_at):
        case NotEntitled() as why:
            return _usage(leg, Outcome.NOT_ENTITLED, why, price)
        case Cover.INCLUDED:
            return _usage(leg, Outcome.INCLUDED, None, price)
        case Cover.CREDITS if price.retail_micros is None:
            return _usage(leg, Outcome.UNRATED, price.unpriced, price)
        case Cover.CREDITS:
            return _usage(leg, Outcome.CHARGED, None, price, price.retail_micros)
        case never:
            assert_never(never)


def _usage(
    leg: Leg, outcome: Outcome, reason: Reason | None, price: Price, charge_micros: int = 0
) -> Usage:
    return Usage(leg=leg, outcome=outcome, reason=reason, price=price, charge_micros=charge_micros)


def _free(leg: Leg) -> Free | None:
    if leg.leg_type is LegType.APP:
        return Free.APP_JOIN
    if leg.connected_seconds == 0:
        return Free.NOT_ANSWERED
    if leg.meeting_type is MeetingType.AD_HOC:
        return Free.AD_HOC_MEETING
    return None


def _price(leg: Leg, terms: Terms) -> Price:
    """Ask the card; a rate in another currency than the credit's cannot price (no conversion)."""
    card = terms.rate_card
    number = leg.rated_number
    if leg.leg_type is LegType.APP or number is None:
        return Price(rate_card_version=card.version, retail_micros=0)
    at = leg.answered_at or leg.ended_at
    match card.quote(leg.leg_type, number, leg.connected_seconds, at):
        case NoQuote(reason, rate):
            return Price(
                rate_card_version=card.version,
                prefix=rate.prefix if rate else None,
                country=rate.country if rate else None,
                unpriced=reason,
            )
        case Quote(rate) if terms.currency is not None and rate.currency != terms.currency:
            return Price(rate_card_version=card.version, unpriced=Unpriced.NO_RATE)
        case Quote(rate, billed_seconds, charge_micros):
            return Price(
                rate_card_version=card.version,
                billed_seconds=billed_seconds,
                prefix=rate.prefix,
                country=rate.country,
                rate_micros_per_minute=rate.rate_micros_per_minute,
                connection_fee_micros=rate.connection_fee_micros,
                retail_micros=charge_micros,
                currency=rate.currency,
            )
        case never:
            assert_never(never)
