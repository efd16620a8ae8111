"""Ranges of numbers that are no ordinary phones: premium-rate, shared-cost, toll-free and others.

libphonenumber's metadata says of each region which numbers are of which kind, as patterns of
national numbers. Here they become prefixes of E.164 numbers, as a rate card has them: as short as
possible, but never one that an ordinary number (fixed line, mobile, voice over IP) begins with.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from perminute_local.digit_patterns import (
    COMPLETE,
    NONE,
    States,
    after,
    after_all,
    next_digits,
    numbers_like,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
"""Of a national number: ranges that only more digits tell apart are single numbers."""

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
    """The shortest prefixes that separate numbers, and those that cannot be separated."""

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
    """Separate special numbers from ordinary ones by the digits that come next."""
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
    """Return the ordinary numbers of all regions that share a calling code."""
    return _united(_numbers(code, region, _ORDINARY) for region in _regions(code))


def _numbers(code: int, region: str, fields: Iterable[str]) -> States:
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    descriptions: Iterator[PhoneNumberDesc | None] = (getattr(metadata, one) for one in fields)
    return _united(
        numbers_like(one.national_number_pattern)
        for one in descriptions
        if one is not None and one.national_number_pattern
    )


def _regions(code: int) -> tuple[str, ...]:
    return COUNTRY_CODE_TO_REGION_CODE[code]


def _united(numbers: Iterable[States]) -> States:
    return frozenset().union(*numbers)
