"""Numbers with masked digits, which may hide a price of their own; and what has to come of them.

By the rows of the whole rate card, and not by the code that looks for what a mask may hide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.authorization.reservations import PaidBy
from perminute.domain.rating.usage_record import Flag
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from perminute.domain.authorization.reservations import Reservation
    from perminute.domain.rating.calls import Call
    from perminute.domain.rating.rate_card import Rate, RateCard
    from perminute_local.simulation.backend import Seen

UNCERTAIN = "a masked number says whether its price is certain"
DEAREST = "a masked number is granted what covers the dearest price it may have"

DEARER, BLOCKED, CERTAIN = "+4420794601**", "+142555501**", "+493023125***"
ROWS = (
    "dialOut,44207946015,GB,USD,0.90,0.15,60,60,0,,,",
    "dialOut,14255550199,US,USD,,,60,60,0,,,true",
)
"""What the first two of these numbers may hide."""

_IN_FULL = {DEARER: "+442079460155"}
"""The number that costs most of those that a mask may hide."""


def sometimes_masked(number: str, drawn: Random) -> str:
    """Return the number, or once in a while a masked one in its place."""
    return drawn.choice((DEARER, DEARER, BLOCKED, CERTAIN)) if drawn.randrange(6) == 0 else number


def sometimes_in_full(number: str, drawn: Random) -> str:
    """Return what telephony says of a number in the end, which a bridge has masked."""
    return _IN_FULL.get(number, number) if drawn.randrange(2) else number


def flags_of(organization_id: str, seen: Seen, cards: Mapping[str, RateCard]) -> Iterator[Broken]:
    """Compare the flag of each call with its card."""
    for usage in seen.usages.values():
        is_due = bool(_others(usage.call, cards[usage.price.rate_card_version]))
        if is_due != (Flag.PREFIX_UNCERTAIN in usage.flags):
            why = f"{organization_id}: {usage.call.call_id} has the flags {usage.flags}"
            yield Broken(UNCERTAIN, why)


def grants_of(organization_id: str, seen: Seen, cards: Mapping[str, RateCard]) -> Iterator[Broken]:
    """Compare what credit has promised to pay for each call under way with all its prices."""
    for reservation in seen.reservations:
        if reservation.promised is not None and reservation.answer.paid_by is PaidBy.CREDITS:
            yield from _granted(organization_id, reservation, cards)


def _granted(
    organization_id: str, reservation: Reservation, cards: Mapping[str, RateCard]
) -> Iterator[Broken]:
    call, promised = reservation.call, reservation.promised
    seconds = reservation.used_seconds + reservation.answer.granted_seconds
    for rate in _others(call, cards[reservation.rate_card_version]):
        due_micros = rate.quote(seconds).charge_micros
        if rate.blocked or promised is None or promised.micros < due_micros:
            why = f"{organization_id}: {call.call_id} is granted {seconds} s, and may be {rate}"
            yield Broken(DEAREST, why)


def _others(call: Call, card: RateCard) -> list[Rate]:
    """Return the longer rows in force that the number may match, and that say something else."""
    number, at = call.rated_number, call.rated_at
    if number is None or not number.endswith("*"):
        return []
    shown = number.strip("+*")
    in_force = [one for one in card.rates if one.leg_type is call.leg_type and one.in_force(at)]
    own = [one for one in in_force if shown.startswith(one.prefix)]
    priced_by = max(own, key=lambda one: len(one.prefix), default=None)
    return [
        one
        for one in in_force
        if len(shown) < len(one.prefix) < len(number)
        and one.prefix.startswith(shown)
        and _says(one) != (priced_by and _says(priced_by))
    ]


def _says(rate: Rate) -> tuple[object, ...]:
    price = rate.steps, rate.initial_increment_seconds, rate.connection_fee_micros, rate.currency
    return (*price, rate.country, rate.blocked)
