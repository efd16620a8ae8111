"""Carriers' price lists as rate cards.

A list that does not look as it should is refused with its line, never half converted. Nothing is
guessed: a carrier's list of outbound prices becomes `dialOut` rates, and nothing else.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, TypeVar

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.legs import LegType
from perminute.domain.rate_card import Rate, Step
from perminute.domain.rate_card_csv import (
    check_card_country,
    check_prefix,
    decode_csv,
    read_rate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")
Row = tuple[int, "Mapping[str, str]"]

_ACS_COLUMNS = ("Destination Name", "Country", "Prefix", "Price / min")
_TWILIO_COLUMNS = (
    "ISO",
    "Description",
    "Price / min",
    "Origination Prefixes",
    "Destination Prefixes",
)
_CURRENCY = "USD"
"""Both carriers publish these lists in US dollars, without a column that says so."""

_EVERYWHERE = frozenset({"", "ALL", "ROW"})


def acs(content: bytes, origin: str | None) -> list[Rate]:
    """Convert Azure Communication Services' outbound prices: a row is a prefix."""
    _ = origin  # these prices do not depend on the caller
    return [
        _rate(line, row["Prefix"], row["Country"], row["Destination Name"], row["Price / min"])
        for line, row in _rows(content, _ACS_COLUMNS)
    ]


def twilio(content: bytes, origin: str | None) -> list[Rate]:
    """Convert Twilio's voice prices: a row lists the prefixes that share a price.

    Some destinations are cheaper from certain callers. Of the rows for one prefix the one with
    the longest match to `origin` holds; without an origin, the one for callers from anywhere,
    which is the dearest: our card must not promise a price that the carrier may not grant.
    """
    best: dict[str, tuple[int, Rate]] = {}
    for line, row in _rows(content, _TWILIO_COLUMNS):
        match = _match(_split(row["Origination Prefixes"]), origin)
        if match is None:
            continue
        for prefix in _split(row["Destination Prefixes"]):
            rate = _rate(line, prefix, row["ISO"], row["Description"], row["Price / min"])
            known = best.get(prefix)
            if known is None or match > known[0]:
                best[prefix] = match, rate
            elif match == known[0] and rate.steps != known[1].steps:
                raise FaultyRateCard([Fault(line, f"prefix {prefix} has two prices")])
    return [rate for _, rate in best.values()]


DECKS: dict[str, Callable[[bytes, str | None], list[Rate]]] = {"acs": acs, "twilio": twilio}


def _match(origins: Sequence[str], origin: str | None) -> int | None:
    """Tell how many digits of the origin a row names: 0 for anywhere, None for elsewhere."""
    if not origins or _EVERYWHERE.intersection(origins):
        return 0
    if origin is None:
        return None
    return max((len(prefix) for prefix in origins if origin[1:].startswith(prefix)), default=None)


def _split(cell: str) -> list[str]:
    return [part for part in (part.strip() for part in cell.split(",")) if part]


def _rows(content: bytes, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(decode_csv(content), newline=""))
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise FaultyRateCard([Fault(1, f"column {column} is missing") for column in missing])
        for row in reader:
            yield reader.line_num, {column: (row[column] or "").strip() for column in columns}
    except csv.Error as error:
        raise FaultyRateCard([Fault(max(reader.line_num, 1), f"is no CSV: {error}")]) from error


def _rate(line: int, prefix: str, country: str, description: str, price: str) -> Rate:
    """Check what goes into the card here, where the carrier's own line is still known."""
    micros = _read(line, "Price / min", price, read_rate)
    _read(line, "prefix", prefix, check_prefix)
    if country:
        _read(line, "country", country, check_card_country)
    return Rate(
        leg_type=LegType.DIAL_OUT,
        prefix=prefix,
        country=country or None,
        description=description,
        currency=_CURRENCY,
        connection_fee_micros=0,
        initial_increment_seconds=60,
        steps=(Step(0, micros, 60),),
        effective_from=None,
        effective_to=None,
        blocked=False,
    )


def _read(line: int, name: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise FaultyRateCard([Fault(line, f"{name}: {error}")]) from error
