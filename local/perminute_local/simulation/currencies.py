"""What calls state of their prices, by the whole rate card and not by the code that rates them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Quote
from perminute.domain.rating.usage_record import Outcome
from perminute_local.simulation.write_recorder import Broken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute.domain.rating.rate_card import RateCard
    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.backend import Seen

RETAIL = "a call that is rated states what its card says"
OWN_CURRENCY = "credit pays in its own currency only"

_Stated = tuple[int | None, int, str | None]
"""Retail cost, billed seconds and currency."""


def broken_of(organization_id: str, seen: Seen, cards: Mapping[str, RateCard]) -> Iterator[Broken]:
    """Compare what each call states with its card, and what it cost with the credit's currency."""
    for usage in seen.usages.values():
        call, price = usage.call, usage.stated_price
        stated = (price.retail_micros, price.billed_seconds, price.currency)
        due = _due(usage, cards[price.rate_card_version])
        if usage.outcome is Outcome.UNRATED:
            # Its currency says why, and is all that it states.
            due = (None, 0, price.currency)
        if stated != due:
            why = f"{organization_id}: {call.call_id} states {stated}, and its card {due}"
            yield Broken(RETAIL, why)
        if usage.charge_micros and price.currency != seen.account.currency:
            why = f"{organization_id}: {call.call_id} is paid, and its price is in {price.currency}"
            yield Broken(OWN_CURRENCY, why)


def _due(usage: Usage, card: RateCard) -> _Stated:
    """Price a call in whatever currency its card does."""
    call = usage.call
    if call.leg_type is LegType.APP or call.rated_number is None:
        return 0, 0, None
    at = call.rated_at
    match card.quote(call.leg_type, call.rated_number, call.connected_seconds, at):
        case Quote(rate, billed_seconds, charge_micros):
            return charge_micros, billed_seconds, rate.currency
        case _:
            return None, 0, None
