"""How many calls a second one core rates over a deck of 6,592 prefixes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from perminute.domain.rating.calls import LegType
from perminute.formats.rate_card_csv import read_rate_card, write_rate_card
from perminute_local.bench.report import Row, best_cpu_seconds, print_result
from perminute_local.carrier_price_lists import DECKS
from perminute_local.carrier_price_lists.price_list import DeckOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.rating.rate_card import RateCard

# Not part of the project: those who have the carrier's file lay it beside their checkout.
REAL_DECK = Path(__file__).resolve().parents[4] / "shared" / "data" / "acs_pstn_rates.csv"
CALLS = 200_000
NAIVE_CALLS = 20_000
ROUNDS = 5
AT = datetime(2026, 11, 2, tzinfo=UTC)

TimedCall = tuple[LegType, str, int, datetime]


def main() -> None:
    """Rate distinct calls to random numbers, and a part of them in the naive way."""
    name, card = _card()
    calls = _calls(card, CALLS)
    ours = best_cpu_seconds(lambda: _rate(card, calls), ROUNDS)
    naive = best_cpu_seconds(lambda: _rate_naively(card, calls[:NAIVE_CALLS]), 2)
    per_second, naive_per_second = round(CALLS / ours), round(NAIVE_CALLS / naive)
    print_result(
        "rating",
        "at least 600,000 calls a second on one core",
        [Row("rating on one core, calls/s", per_second, naive_per_second, "≥ 600,000")],
        deck=name,
        prefixes=len(card.rates),
        callsPerSecond=per_second,
        naive="each prefix length from the longest, and decimal arithmetic",
        naiveCallsPerSecond=naive_per_second,
    )


def _rate(card: RateCard, calls: Sequence[TimedCall]) -> None:
    quote = card.quote
    for leg_type, number, seconds, at in calls:
        quote(leg_type, number, seconds, at)


def _rate_naively(card: RateCard, calls: Sequence[TimedCall]) -> None:
    rates = {(rate.leg_type, rate.prefix): rate for rate in card.rates}
    for leg_type, number, seconds, at in calls:
        for length in range(15, 0, -1):
            rate = rates.get((leg_type, number[1 : 1 + length]))
            if rate is not None and rate.in_force(at):
                minutes = -(-seconds // 60)
                price = Decimal(rate.rate_micros_per_minute) / 1_000_000 * minutes
                price.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)
                break


def _card() -> tuple[str, RateCard]:
    # The carrier's deck, or without it one of the same shape.
    if REAL_DECK.exists():
        rates = DECKS["acs"](REAL_DECK.read_bytes(), DeckOptions()).rates()
        return REAL_DECK.name, read_rate_card(write_rate_card(rates).encode())
    chance = random.Random(6_592)  # noqa: S311 - reproducible, guards nothing
    prefixes: set[str] = set()
    while len(prefixes) < 6_592:  # noqa: PLR2004 - the size of the real deck
        length = chance.choices((2, 3, 4, 5, 6, 7, 8), weights=(1, 3, 15, 21, 19, 30, 12))[0]
        prefixes.add(str(chance.randrange(10 ** (length - 1), 10**length)))
    rows = [f"dialOut,{p},USD,0.{chance.randrange(1, 9999):04d}" for p in sorted(prefixes)]
    header = "leg_type,prefix,currency,rate_per_minute"
    return "made up, of the real one's shape", read_rate_card("\n".join([header, *rows]).encode())


def _calls(card: RateCard, count: int) -> list[TimedCall]:
    chance = random.Random(1)  # noqa: S311 - reproducible, guards nothing
    prefixes = [rate.prefix for rate in card.rates]
    calls = []
    for number in range(count):
        prefix = chance.choice(prefixes)
        digits = f"+{prefix}{chance.randrange(10**11):011d}"[:13]
        at = AT + timedelta(milliseconds=number)
        calls.append((LegType.DIAL_OUT, digits, chance.randrange(1, 7_200), at))
    return calls


if __name__ == "__main__":
    main()
