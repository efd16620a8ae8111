"""Prices in words: parts that add up to them, what a mask may hide, and why there is none."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, assert_never

from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, NoQuote, Quote, Rate, Unpriced
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import RateCard


def price(quote: Quote) -> str:
    """Return a price with the parts that it is made of, which add up to it.

    A rate is per minute; the parts are exact, and the text says if their sum was rounded.
    """
    rate, billed_seconds, charge_micros = quote
    charge = f"{format_micros(charge_micros)} {rate.currency}"
    if not billed_seconds:
        return f"{charge} (0 s billed, so no connection fee, prefix {rate.prefix})"
    parts = [
        _seconds_at_rates(rate, billed_seconds),
        *_blocks(rate, billed_seconds),
        f"connection fee {format_micros(rate.connection_fee_micros)}",
        f"prefix {rate.prefix}",
        *(["rounded to a millionth"] if _is_rounded(rate, billed_seconds) else []),
    ]
    return f"{charge} ({', '.join(parts)})"


def doubt(seconds: int, quote: Quote | NoQuote, hidden: Sequence[Rate]) -> str:
    """Return what a call to a masked number may cost at most, by its own rate or a hidden one."""
    dearest = _dearest(seconds, quote, hidden)
    may = [f"cost up to {' or '.join(dearest)}"] if dearest else []
    may += [f"be blocked by prefix {rate.prefix}" for rate in hidden if rate.blocked]
    return f"; the masked digits may hide a longer prefix: the call may {' or '.join(may)}"


def why_unpriced(
    card: RateCard, leg_type: LegType, number: str, at: datetime, quote: NoQuote
) -> str:
    """Return why a number has no price at an instant."""
    match quote:
        case NoQuote(Unpriced.BLOCKED_NUMBER, Rate() as rate):
            return f"the card blocks prefix {rate.prefix}"
        case NoQuote(Unpriced.CURRENCY_MISMATCH, Rate() as rate):
            return f"the card prices prefix {rate.prefix} in {rate.currency}"
        case NoQuote():
            return _why_no_rate(card, leg_type, number, at)
        case never:
            assert_never(never)


def _seconds_at_rates(rate: Rate, billed_seconds: int) -> str:
    parts = list(rate.parts(billed_seconds))
    if len(parts) == 1:
        per_minute = format_micros(parts[0][1].rate_micros_per_minute)
        return f"{billed_seconds} s billed at {per_minute} a minute"
    listed = ", ".join(
        f"{seconds} s at {format_micros(step.rate_micros_per_minute)}" for seconds, step in parts
    )
    return f"{billed_seconds} s billed: {listed} a minute"


def _blocks(rate: Rate, billed_seconds: int) -> list[str]:
    """Return the lengths of the blocks that were billed; whole minutes go without saying."""
    end = rate.initial_increment_seconds
    lengths = [end]
    for seconds, step in rate.parts(billed_seconds):
        if (missing := step.from_second + seconds - end) > 0:
            lengths.append(step.increment_seconds)
            end += -(-missing // step.increment_seconds) * step.increment_seconds
    in_order = [length for length, _ in groupby(lengths)]
    if in_order == [SECONDS_PER_MINUTE]:
        return []
    return [f"in blocks of {', then '.join(f'{length} s' for length in in_order)}"]


def _is_rounded(rate: Rate, billed_seconds: int) -> bool:
    parts = rate.parts(billed_seconds)
    sixtieths = sum(seconds * step.rate_micros_per_minute for seconds, step in parts)
    return sixtieths % SECONDS_PER_MINUTE != 0


def _dearest(seconds: int, quote: Quote | NoQuote, hidden: Iterable[Rate]) -> list[str]:
    """Return the greatest price in each currency that a hidden prefix has."""
    priced = [rate.quote(seconds) for rate in hidden if not rate.blocked]
    currencies = sorted({one.rate.currency for one in priced})
    if isinstance(quote, Quote):
        priced.append(quote)
    greatest = (
        max(
            (one for one in priced if one.rate.currency == currency),
            key=lambda one: one.charge_micros,
        )
        for currency in currencies
    )
    return [
        f"{format_micros(one.charge_micros)} {one.rate.currency} (prefix {one.rate.prefix})"
        for one in greatest
    ]


def _why_no_rate(card: RateCard, leg_type: LegType, number: str, at: datetime) -> str:
    of_type = [rate for rate in card.rates if rate.leg_type is leg_type]
    if not of_type:
        others = ", ".join(sorted({rate.leg_type for rate in card.rates}))
        return f"the card has no {leg_type} rates at all, only {others}"
    of_number = [rate for rate in of_type if number.startswith(f"+{rate.prefix}")]
    if of_number:
        return _out_of_force(of_number, at)
    why = f"no {leg_type} prefix of the card matches the number"
    if any(rate.in_force(at) for rate in of_type):
        return why
    return f"{why}, and no {leg_type} rate is in force at that time: {_out_of_force(of_type, at)}"


def _out_of_force(rates: Sequence[Rate], at: datetime) -> str:
    """Return when the nearest of rates that are not in force end and begin."""
    over = [(to, rate.prefix) for rate in rates if (to := rate.effective_to) and to <= at]
    ahead = [
        (since, rate.prefix) for rate in rates if (since := rate.effective_from) and since > at
    ]
    said = []
    if over:
        until, prefix = max(over)
        said.append(f"the rate of prefix {prefix} ended at {format_instant(until)}")
    if ahead:
        since, prefix = min(ahead)
        said.append(f"the rate of prefix {prefix} begins at {format_instant(since)}")
    hole = "a hole between two periods: " if over and ahead else ""
    return hole + ", and ".join(said)
