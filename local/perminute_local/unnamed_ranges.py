"""Special ranges that a card prices as if they were ordinary numbers, and rows that block them.

A row names a range by its prefix or a longer one. A shorter prefix names it if no ordinary number
begins with that and no ordinary row of the same calling code has that price: a list that sells +449
at 1.50 and +44 at 0.01 means something by it, one that sells +371 and +3719 at 0.30 does not.
Where no row names it, a premium-rate number would be charged like a phone beside it, though the
carrier charges a hundred times as much.

Only dial-outs are looked at. The number of a dial-in is one of the organization's own, which
nobody else chooses.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Rate, Step
from perminute.domain.reference.countries import COUNTRIES
from perminute_local.digit_patterns import after, next_digits
from perminute_local.special_ranges import SpecialRange, calling_code, is_ordinary, special_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute_local.digit_patterns import States

Price: TypeAlias = tuple[str, str, int, int, tuple[Step, ...]]

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class UnnamedRange(NamedTuple):
    """A special range, and a rate for ordinary numbers that prices it."""

    range: SpecialRange
    rate: Rate


def unnamed_ranges(rates: Iterable[Rate]) -> list[UnnamedRange]:
    """Return the ranges that no row names, each with every rate that prices it at some time."""
    by_prefix: defaultdict[str, list[Rate]] = defaultdict(list)
    for rate in rates:
        if rate.leg_type is LegType.DIAL_OUT:
            by_prefix[rate.prefix].append(rate)
    shorter = {prefix[:length] for prefix in by_prefix for length in range(1, len(prefix))}
    ordinary = {
        _price(rate)
        for prefix, of_prefix in by_prefix.items()
        if is_ordinary(prefix)
        for rate in of_prefix
        if not rate.blocked
    }
    return [
        UnnamedRange(special, rate)
        for special in special_ranges()
        if not _is_named_in_parts(special.prefix, special.numbers, by_prefix, shorter)
        for rate in _longest_rates(special.prefix, by_prefix)
        if not rate.blocked and (is_ordinary(rate.prefix) or _price(rate) in ordinary)
    ]


def blocking_rates(rates: Iterable[Rate]) -> list[Rate]:
    """Return blocking rows for the ranges that no row names, where a prefix separates them.

    A prefix that has a row in some period gets none: the two would overlap.
    """
    rates = list(rates)
    prefixes = {rate.prefix for rate in rates if rate.leg_type is LegType.DIAL_OUT}
    blocked: dict[str, Rate] = {}
    last = ""
    # By prefix, so that a range that lies within another comes after it, and needs no row.
    for special, rate in unnamed_ranges(rates):
        inside = last and special.prefix.startswith(last)
        if special.exact and special.prefix not in prefixes and not inside:
            last = special.prefix
            blocked[last] = _blocking(special, rate.currency)
    return list(blocked.values())


def _price(rate: Rate) -> Price:
    """Return the price of a row, to be compared with others of its calling code only."""
    return (
        calling_code(rate.prefix),
        rate.currency,
        rate.connection_fee_micros,
        rate.initial_increment_seconds,
        rate.steps,
    )


def _longest_rates(prefix: str, by_prefix: Mapping[str, Sequence[Rate]]) -> Iterator[Rate]:
    """Yield the rates of shorter prefixes that are, at some time, the longest to a range."""
    candidates = [
        rate for length in range(len(prefix), 0, -1) for rate in by_prefix.get(prefix[:length], ())
    ]
    # What holds changes only where some period begins or ends.
    instants = {
        instant or _BEGINNING
        for rate in candidates
        for instant in (rate.effective_from, rate.effective_to)
    }
    longest = dict.fromkeys(
        next((rate for rate in candidates if rate.in_force(instant)), None)
        for instant in sorted(instants)
    )
    yield from (rate for rate in longest if rate is not None and rate.prefix != prefix)


def _is_named_in_parts(
    prefix: str, numbers: States, by_prefix: Mapping[str, object], shorter: set[str]
) -> bool:
    """Whether longer rows name all numbers of a range, as ten rows of one more digit do."""
    digits = next_digits(numbers) if prefix in shorter else ""
    return bool(digits) and all(
        prefix + digit in by_prefix
        or _is_named_in_parts(prefix + digit, after(numbers, digit), by_prefix, shorter)
        for digit in digits
    )


def _blocking(special: SpecialRange, currency: str) -> Rate:
    region = special.regions[0]
    return Rate(
        leg_type=LegType.DIAL_OUT,
        prefix=special.prefix,
        country=region if region in COUNTRIES else None,
        description=f"{region}: {special.kind} numbers, blocked by --block-premium",
        currency=currency,
        connection_fee_micros=0,
        initial_increment_seconds=SECONDS_PER_MINUTE,
        steps=(Step(0, 0, SECONDS_PER_MINUTE),),
        effective_from=None,
        effective_to=None,
        blocked=True,
    )
