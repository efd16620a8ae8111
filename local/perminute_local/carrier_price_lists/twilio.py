"""Twilio's prices of outbound voice calls: a row lists the prefixes that share a price.

Twilio publishes the list in US dollars at twilio.com/en-us/voice/pricing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.reference.countries import check_card_country
from perminute.formats.csv_tables import Columns
from perminute.formats.rate_card_csv import check_prefix
from perminute_local.carrier_price_lists.options import parts_of
from perminute_local.carrier_price_lists.origins import (
    ANYBODY,
    Callers,
    PricesByOrigin,
    callers_from,
)
from perminute_local.carrier_price_lists.price_list import PriceList, rate_of, rates_of

if TYPE_CHECKING:
    from perminute_local.carrier_price_lists.options import DeckOptions

_COLUMNS = Columns(
    ("ISO", "Description", "Price / min", "Origination Prefixes", "Destination Prefixes")
)
_EVERYWHERE = frozenset({"ALL", "ROW"})


def read_twilio(content: bytes, options: DeckOptions) -> PriceList:
    """Read the list; some destinations are cheaper from certain callers."""
    prices = PriceList()
    offers = PricesByOrigin(prices, options.origin)
    for row in prices.rows(content, _COLUMNS, options, prefix="Destination Prefixes"):
        callers = row.read(
            "Origination Prefixes",
            lambda text: _callers(text, options.origin),
            default=ANYBODY,
            may_be_empty=True,
        )
        rate = rate_of(
            row,
            row.read("Price / min", options.read_rate, default=0),
            currency="USD",
            country=row.read("ISO", check_card_country, default=None, may_be_empty=True),
            description=row.text("Description"),
        )
        for priced in rates_of(row, "Destination Prefixes", options.read_prefix_list, rate):
            offers.offer(priced, callers)
    offers.choose()
    return prices


def _callers(text: str, origin: str | None) -> Callers:
    origins = parts_of(text)
    if _EVERYWHERE.intersection(map(str.upper, origins)):
        return ANYBODY
    if not any(character.isdigit() for character in text):
        # A class of callers, such as the EEA, which no number shows.
        return Callers(text, None)
    return callers_from([check_prefix(part) for part in origins], origin)
