"""A rate card as a list: for what `rates convert` adds to any list, such as blocking rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.errors import FaultyRateCard
from perminute.formats.rate_card_csv import read_rate_card
from perminute_local.carrier_price_lists.price_list import PriceList

if TYPE_CHECKING:
    from perminute_local.carrier_price_lists.options import DeckOptions


def read_card(content: bytes, options: DeckOptions) -> PriceList:
    """Read a rate card, with all its steps and periods."""
    _ = options  # a rate card is written in one way
    prices = PriceList()
    try:
        prices.of_card += read_rate_card(content).rates
    except FaultyRateCard as error:
        prices.faults += error.faults
    return prices
