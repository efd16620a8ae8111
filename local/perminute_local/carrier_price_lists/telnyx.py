"""Telnyx's rate deck "Global Voice Conversational": prices of outbound calls, in US dollars.

The columns are those of the file that Telnyx's portal offers for an outbound profile (September
2026). The deck has no currency; Telnyx's context of service, section 4.1, say US dollars. What an
origination type means is from Telnyx's article "Updates to Global Conversational Rate Deck".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.reference.countries import check_card_country
from perminute.formats.csv_tables import Columns
from perminute.formats.rate_card_csv import check_prefix, read_increment
from perminute_local.carrier_price_lists.calling_codes import CALLING_CODES, is_shared
from perminute_local.carrier_price_lists.options import parts_of
from perminute_local.carrier_price_lists.origins import (
    ANYBODY,
    Callers,
    PricesByOrigin,
    callers_from,
)
from perminute_local.carrier_price_lists.price_list import PriceList, rate_of, rates_of

if TYPE_CHECKING:
    from perminute.formats.csv_tables import Row
    from perminute_local.carrier_price_lists.options import DeckOptions

_COLUMNS = Columns(
    (
        "ISO",
        "Origination Prefixes",
        "Destination Prefixes",
        "Description",
        "Interval 1",
        "Interval N",
        "Rate",
        "Price Per Call",
        "Exact Match",
    )
)
_LOCAL = "local"
_BEST_MATCH = 16
"""How well a caller from the destination's own country matches: better than by any prefix."""


def read_telnyx(content: bytes, options: DeckOptions) -> PriceList:
    """Read the deck; a price per call is a connection fee, in addition to the price of a minute."""
    prices = PriceList()
    offers = PricesByOrigin(prices, options.origin)
    for row in prices.rows(content, _COLUMNS, options, prefix="Destination Prefixes"):
        _check_exact(row)
        callers = row.read(
            "Origination Prefixes",
            lambda text: _callers(text, row.text("ISO"), options.origin),  # noqa: B023 - read at once
            default=ANYBODY,
            may_be_empty=True,
        )
        rate = rate_of(
            row,
            row.read("Rate", options.read_rate, default=0),
            currency="USD",
            country=row.read("ISO", check_card_country, default=None, may_be_empty=True),
            description=row.text("Description"),
            connection_fee_micros=row.read(
                "Price Per Call", options.read_rate, default=0, may_be_empty=True
            ),
            initial_increment_seconds=row.read("Interval 1", read_increment, default=60),
            increment_seconds=row.read("Interval N", read_increment, default=60),
        )
        for priced in rates_of(row, "Destination Prefixes", options.read_prefix_list, rate):
            offers.offer(priced, callers)
    offers.choose()
    return prices


def _check_exact(row: Row) -> None:
    if row.text("Exact Match"):
        row.refuse(
            "the row prices one number and not a prefix, which a card cannot: delete it, or empty "
            "this cell to price all numbers that begin like it",
            column="Exact Match",
        )


def _callers(text: str, country: str, origin: str | None) -> Callers:
    """Return the callers of a row: those with some prefixes, or of a class that has a name.

    The only class that a number shows by itself is `local`, and only if its country code is of one
    country alone. Rows of other classes, such as the EEA, are for none of our callers.
    """
    parts = parts_of(text)
    if any(character.isdigit() for character in text):
        return callers_from([check_prefix(part) for part in parts], origin)
    if text.casefold() != _LOCAL:
        return Callers(text, None)
    code = CALLING_CODES.get(country)
    ours = origin and code and not is_shared(code) and origin[1:].startswith(code)
    return Callers(f"numbers of {country} itself", _BEST_MATCH if ours else None)
