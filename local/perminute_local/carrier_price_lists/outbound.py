"""Carriers' prices of outbound calls, in US dollars; some depend on the number a call comes from.

- Azure Communication Services: a row is a prefix. Microsoft publishes the list at
  github.com/Azure/Communication/blob/master/pricing.
- Twilio: a row lists the prefixes that share a price. Twilio publishes the list at
  twilio.com/en-us/voice/pricing.
- Telnyx's rate deck "Global Voice Conversational": the columns are those of the file that Telnyx's
  portal offers for an outbound profile (September 2026). The deck has no currency; Telnyx's context
  of service, section 4.1, says US dollars. What an origination type means is from Telnyx's article
  "Updates to Global Conversational Rate Deck".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import Fault
from perminute.domain.rating.calls import LegType
from perminute.formats.csv_tables import Columns
from perminute.formats.rate_card_csv import check_prefix
from perminute_local.carrier_price_lists.calling_codes import CALLING_CODES, is_shared
from perminute_local.carrier_price_lists.mapped import ColumnMapping, mapped_rate, read_mapped
from perminute_local.carrier_price_lists.price_list import PriceList, parts_of, rates_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute.domain.rating.rate_card import Rate
    from perminute.formats.csv_tables import Row
    from perminute_local.carrier_price_lists.price_list import DeckOptions


class Callers(NamedTuple):
    """Which callers a row prices: `match` is None if not ours, else how well it fits (0: all)."""

    named: str
    match: int | None


ANYBODY = Callers("anywhere", 0)


def callers_from(prefixes: Sequence[str], origin: str | None) -> Callers:
    """Return the callers with these prefixes; they match by the longest that the origin has."""
    ours = [len(prefix) for prefix in prefixes if origin and origin[1:].startswith(prefix)]
    return Callers(", ".join(prefixes), max(ours, default=None))


@dataclass(slots=True)
class PricesByOrigin:
    """The offers of a list for each prefix, by how well they fit the caller.

    Without an `origin` the price for callers from anywhere holds: a card must not promise a price
    that the carrier may not grant. A dearer one for some callers is left out with a warning.
    """

    prices: PriceList
    origin: str | None
    _offers: dict[str, dict[int, Rate]] = field(default_factory=dict)
    _elsewhere: list[tuple[Rate, str]] = field(default_factory=list)

    def offer(self, row: Rate, callers: Callers) -> None:
        """Add the price of one prefix for some callers."""
        if callers.match is None:
            self._elsewhere.append((row, callers.named))
            return
        offers = self._offers.setdefault(row.prefix, {})
        if self.prices.differs(row, offers.get(callers.match)):
            offers[callers.match] = row

    def choose(self) -> None:
        """Take the best offer for each prefix; the rest is left out, or a fault if it is all."""
        used: set[int] = set()
        for offers in self._offers.values():
            best = offers[max(offers)]
            self.prices.take(best)
            used.add(best.line)
        self._refuse_lost()
        offered = {
            row.line: "a more exact row prices calls to its prefixes" for row in self._offered()
        }
        others = {
            row.line: f"is for calls from {named}; not used" for row, named in self._elsewhere
        }
        self.prices.left_out += [
            Fault(line, why)
            for line, why in (others | self._dearer(others) | offered).items()
            if line not in used
        ]

    def _dearer(self, others: Mapping[int, str]) -> dict[int, str]:
        # Without an origin the card may be too cheap for some callers: its rows are named.
        if self.origin is not None:
            return {}
        general = {prefix: offers[max(offers)] for prefix, offers in self._offers.items()}
        return {
            row.line: f"{others[row.line]}, though dearer than line {taken.line} for prefix "
            f"{row.prefix}: name your number by --origin"
            for row, _ in self._elsewhere
            if (taken := general.get(row.prefix))
            and row.rate_micros_per_minute > taken.rate_micros_per_minute
        }

    def _offered(self) -> list[Rate]:
        return [row for offers in self._offers.values() for row in offers.values()]

    def _refuse_lost(self) -> None:
        lost: set[str] = set()
        for row, named in self._elsewhere:
            if row.prefix not in self._offers and row.prefix not in lost:
                lost.add(row.prefix)
                message = (
                    f"prefix {row.prefix} is priced for calls from {named} only: name the number "
                    "that your calls come from by --origin, or delete the row"
                )
                self.prices.faults.append(Fault(row.line, message))


_ACS = ColumnMapping(
    columns={
        "description": "Destination Name",
        "country": "Country",
        "prefix": "Prefix",
        "rate": "Price / min",
    },
    leg_type=LegType.DIAL_OUT,
    currency="USD",
)
_TWILIO = ColumnMapping(
    columns={"country": "ISO", "description": "Description", "rate": "Price / min"},
    leg_type=LegType.DIAL_OUT,
    currency="USD",
)
_TELNYX = ColumnMapping(
    columns={
        "country": "ISO",
        "description": "Description",
        "initial_increment_seconds": "Interval 1",
        "increment_seconds": "Interval N",
        "rate": "Rate",
        "connection_fee": "Price Per Call",
    },
    leg_type=LegType.DIAL_OUT,
    currency="USD",
    required=frozenset({"rate", "initial_increment_seconds", "increment_seconds"}),
)
_ORIGINS, _DESTINATIONS, _EXACT = "Origination Prefixes", "Destination Prefixes", "Exact Match"

_EVERYWHERE = frozenset({"ALL", "ROW"})
_LOCAL = "local"
_BEST_MATCH = 16
"""How well a caller from the destination's own country matches: better than by any prefix."""


def read_acs(content: bytes, options: DeckOptions) -> PriceList:
    """Read Azure Communication Services' list; a price does not depend on the caller."""
    return read_mapped(content, options, _ACS, or_else="")


def read_twilio(content: bytes, options: DeckOptions) -> PriceList:
    """Read Twilio's list; some destinations are cheaper from certain callers."""
    columns = Columns((*_TWILIO.columns.values(), _ORIGINS, _DESTINATIONS))
    return _read_by_origin(content, options, _TWILIO, columns, _twilio_callers)


def read_telnyx(content: bytes, options: DeckOptions) -> PriceList:
    """Read Telnyx's deck; a price per call is a connection fee, in addition to the minutes."""
    columns = Columns((*_TELNYX.columns.values(), _ORIGINS, _DESTINATIONS, _EXACT))
    return _read_by_origin(content, options, _TELNYX, columns, _telnyx_callers)


def _read_by_origin(
    content: bytes,
    options: DeckOptions,
    mapping: ColumnMapping,
    columns: Columns,
    callers_of: Callable[[str, str | None, str], Callers],
) -> PriceList:
    prices = PriceList()
    offers = PricesByOrigin(prices, options.origin)
    for row in prices.rows(content, columns, options, prefix=_DESTINATIONS):
        if _EXACT in columns.required:
            _check_exact(row)
        read = partial(callers_of, row.text("ISO"), options.origin)
        callers = row.read(_ORIGINS, read, default=ANYBODY, may_be_empty=True)
        rate = mapped_rate(row, options, mapping)
        for priced in rates_of(row, _DESTINATIONS, options.read_prefix_list, rate):
            offers.offer(priced, callers)
    offers.choose()
    return prices


def _twilio_callers(_country: str, origin: str | None, text: str) -> Callers:
    origins = parts_of(text)
    if _EVERYWHERE.intersection(map(str.upper, origins)):
        return ANYBODY
    if not any(character.isdigit() for character in text):
        # A class of callers, such as the EEA, which no number shows.
        return Callers(text, None)
    return callers_from([check_prefix(part) for part in origins], origin)


def _check_exact(row: Row) -> None:
    if row.text(_EXACT):
        row.refuse(
            "the row prices one number and not a prefix, which a card cannot: delete it, or empty "
            "this cell to price all numbers that begin like it",
            column=_EXACT,
        )


def _telnyx_callers(country: str, origin: str | None, text: str) -> Callers:
    # The only class of callers that a number shows by itself is `local`, and only if its country
    # code is of one country alone. Rows of other classes, such as the EEA, are for none of ours.
    parts = parts_of(text)
    if any(character.isdigit() for character in text):
        return callers_from([check_prefix(part) for part in parts], origin)
    if text.casefold() != _LOCAL:
        return Callers(text, None)
    code = CALLING_CODES.get(country)
    ours = origin and code and not is_shared(code) and origin[1:].startswith(code)
    return Callers(f"numbers of {country} itself", _BEST_MATCH if ours else None)
