"""List prices, read from `prices.toml`: exact decimals, never floats."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

_FILE = Path(__file__).with_name("prices.toml")
_CONTENT = tomllib.loads(_FILE.read_text(encoding="utf-8"), parse_float=Decimal)

AS_OF: date = _CONTENT["as_of"]
MILLION = 1_000_000
DAYS = 30
"""A month has so many days here, as in the prices by the month that AWS names in its examples."""
HOURS = DAYS * 24
SECONDS = HOURS * 3_600


def price(service: str, name: str) -> Decimal:
    """Return a price in dollars, of what its name says."""
    found: Decimal = _CONTENT[service][name]
    return found


def of_a_million(service: str, name: str, count: int | Decimal) -> Decimal:
    """Return the dollars for so many, where the price is that of a million."""
    return price(service, name) * count / MILLION


def gigabytes(megabytes: int) -> Decimal:
    """Convert a function's memory as Lambda does."""
    return Decimal(megabytes) / 1_024
