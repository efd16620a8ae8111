"""Prices that depend on the number a call comes from: of several for one prefix the right one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from perminute.domain.rating.rate_card import Rate
    from perminute_local.carrier_price_lists.price_list import PriceList


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
        """Return the rows for other callers that the card may be too cheap for, and why."""
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
