"""Ranges of numbers that are no ordinary phones, and whether a rate card prices them as such.

Premium-rate, shared-cost, toll-free and other numbers: libphonenumber's metadata says of each
region which numbers are of which kind, as patterns of national numbers. Here they become prefixes
of E.164 numbers, as a rate card has them: as short as possible, but never one that an ordinary
number (fixed line, mobile, voice over IP) begins with.

A row names a range by its prefix or a longer one. A shorter prefix names it if no ordinary number
begins with that and no ordinary row of the same calling code has that price: a list that sells +449
at 1.50 and +44 at 0.01 means something by it, one that sells +371 and +3719 at 0.30 does not.
Where no row names it, a premium-rate number would be charged like a phone beside it, though the
carrier charges a hundred times as much. Only dial-outs are checked: the number of a dial-in is one
of the organization's own, which nobody else chooses.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Rate, Step
from perminute.domain.reference.countries import COUNTRIES
from perminute_local.rates.digit_patterns import (
    COMPLETE,
    NONE,
    States,
    after,
    after_all,
    next_digits,
    numbers_like,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from phonenumbers import PhoneNumberDesc


class Kind(StrEnum):
    """A kind of numbers that costs the caller otherwise than a phone; the words are the user's."""

    PREMIUM = "premium-rate"
    SHARED_COST = "shared-cost"
    TOLL_FREE = "toll-free"
    PERSONAL = "personal"
    UNIVERSAL_ACCESS = "universal access"
    PAGER = "pager"


_SPECIAL = {
    Kind.PREMIUM: "premium_rate",
    Kind.SHARED_COST: "shared_cost",
    Kind.TOLL_FREE: "toll_free",
    Kind.PERSONAL: "personal_number",
    Kind.UNIVERSAL_ACCESS: "uan",
    Kind.PAGER: "pager",
}
# Not voice mail: it answers for a mobile, at the price of a mobile.
_ORDINARY = ("fixed_line", "mobile", "voip")

_MOST_DIGITS = 7
"""Digits of a national number: ranges that differ only in later digits are single numbers."""

_NEARLY_ALL = 8
"""Of ten next digits. Plans leave out 0 and 1 where these would be read as trunk or service codes,
so a range that goes on by 2 to 9 is one range, and not eight."""


class SpecialRange(NamedTuple):
    """Numbers of one kind that begin with one prefix.

    If `exact`, no ordinary number begins with it. If not, ordinary numbers do, and no longer
    prefix tells them apart. `regions` are libphonenumber's codes, the main one of the calling code
    first, which are those of ISO 3166-1 but for AC and TA (SH there) and `001`, the whole world.
    """

    prefix: str
    kind: Kind
    regions: tuple[str, ...]
    exact: bool
    numbers: States
    """How the numbers go on after the prefix."""


class _Cut(NamedTuple):
    exact: tuple[str, ...]
    mixed: tuple[str, ...]


_NOTHING, _ALL, _MIXED = _Cut((), ()), _Cut(("",), ()), _Cut((), ("",))


@cache
def special_ranges() -> tuple[SpecialRange, ...]:
    """Return the ranges of all regions, by prefix."""
    return tuple(
        sorted(
            found
            for code in COUNTRY_CODE_TO_REGION_CODE
            for kind in Kind
            for found in _ranges_of(code, kind)
        )
    )


@cache
def is_ordinary(prefix: str) -> bool:
    """Whether some ordinary number begins with these digits of an E.164 number."""
    return any(
        after_all(_ordinary(code), prefix[len(str(code)) :])
        for code in COUNTRY_CODE_TO_REGION_CODE
        if prefix.startswith(str(code)) or str(code).startswith(prefix)
    )


def calling_code(prefix: str) -> str:
    """Return the calling code that a prefix begins with, or all of one that is too short."""
    codes = (prefix[:length] for length in range(1, 4))
    return next((code for code in codes if int(code) in COUNTRY_CODE_TO_REGION_CODE), prefix)


def _ranges_of(code: int, kind: Kind) -> Iterator[SpecialRange]:
    of_regions = {region: _numbers(code, region, [_SPECIAL[kind]]) for region in _regions(code)}
    special = _united(of_regions.values())
    cut = _cut(special, _ordinary(code), 0)
    for digits in (*cut.exact, *cut.mixed):
        regions = tuple(r for r, numbers in of_regions.items() if after_all(numbers, digits))
        yield SpecialRange(
            f"{code}{digits}", kind, regions, digits in cut.exact, after_all(special, digits)
        )


@cache
def _cut(special: States, ordinary: States, depth: int) -> _Cut:
    if special == NONE:
        return _NOTHING
    digits = next_digits(special)
    if ordinary == NONE and (not digits or len(digits) >= _NEARLY_ALL):
        return _ALL
    # Where an ordinary number is complete, a longer one begins with all of it.
    if not digits or depth == _MOST_DIGITS or ordinary & COMPLETE:
        return _MIXED
    below = {d: _cut(after(special, d), after(ordinary, d), depth + 1) for d in digits}
    if len([cut for cut in below.values() if cut == _MIXED]) >= _NEARLY_ALL:
        return _MIXED
    return _Cut(
        tuple(d + rest for d, cut in below.items() for rest in cut.exact),
        tuple(d + rest for d, cut in below.items() for rest in cut.mixed),
    )


@cache
def _ordinary(code: int) -> States:
    return _united(_numbers(code, region, _ORDINARY) for region in _regions(code))


def _numbers(code: int, region: str, fields: Iterable[str]) -> States:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    descriptions: Iterator[PhoneNumberDesc | None] = (getattr(metadata, field) for field in fields)
    return _united(
        numbers_like(description.national_number_pattern)
        for description in descriptions
        if description is not None and description.national_number_pattern
    )


def _regions(code: int) -> tuple[str, ...]:
    return COUNTRY_CODE_TO_REGION_CODE[code]


def _united(numbers: Iterable[States]) -> States:
    return frozenset().union(*numbers)


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
    # To be compared with others of its calling code only.
    return (
        calling_code(rate.prefix),
        rate.currency,
        rate.connection_fee_micros,
        rate.initial_increment_seconds,
        rate.steps,
    )


def _longest_rates(prefix: str, by_prefix: Mapping[str, Sequence[Rate]]) -> Iterator[Rate]:
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
    # Ten rows of one more digit, for example, name all numbers of a range.
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
