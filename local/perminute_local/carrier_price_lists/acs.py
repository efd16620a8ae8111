"""Azure Communication Services' prices of outbound calls: a row is a prefix, in US dollars.

Microsoft publishes the list at github.com/Azure/Communication/blob/master/pricing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.reference.countries import check_card_country
from perminute.formats.csv_tables import Columns
from perminute_local.carrier_price_lists.price_list import PriceList, rate_of, rates_of

if TYPE_CHECKING:
    from perminute_local.carrier_price_lists.options import DeckOptions

_COLUMNS = Columns(("Destination Name", "Country", "Prefix", "Price / min"))


def read_acs(content: bytes, options: DeckOptions) -> PriceList:
    """Read the list; a price does not depend on the caller."""
    prices = PriceList()
    for row in prices.rows(content, _COLUMNS, options, prefix="Prefix"):
        rate = rate_of(
            row,
            row.read("Price / min", options.read_rate, default=0),
            currency="USD",
            country=row.read("Country", check_card_country, default=None, may_be_empty=True),
            description=row.text("Destination Name"),
        )
        for priced in rates_of(row, "Prefix", options.read_prefixes, rate):
            prices.take(priced)
    return prices
