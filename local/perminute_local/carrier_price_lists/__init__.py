"""Carriers' price lists as rate cards.

A row becomes a rate, is left out for a reason that is named, or is a fault; a list with a fault is
refused whole. Nothing is guessed: where a list does not say to which prefix, country or caller a
price belongs, its reader asks for an option that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute_local.carrier_price_lists.acs_inbound import read_acs_inbound
from perminute_local.carrier_price_lists.mapped import read_mapped
from perminute_local.carrier_price_lists.outbound import read_acs, read_telnyx, read_twilio
from perminute_local.carrier_price_lists.price_list import read_card

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.carrier_price_lists.price_list import DeckOptions, PriceList

DECKS: dict[str, Callable[[bytes, DeckOptions], PriceList]] = {
    "acs": read_acs,
    "acs-inbound": read_acs_inbound,
    "card": read_card,
    "telnyx": read_telnyx,
    "twilio": read_twilio,
}
"""By the name that `--from` has for each."""

WITH_ORIGIN = frozenset({"telnyx", "twilio"})
"""Decks whose prices depend on the number that a call comes from."""

__all__ = ["DECKS", "WITH_ORIGIN", "read_mapped"]
