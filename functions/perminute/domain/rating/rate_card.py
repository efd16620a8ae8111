"""The rate card: what a call costs, exactly (docs/domain.md §2).

A rate is micro-units per minute and a block is whole seconds, so every price is a whole number
of sixtieths of a micro-unit until it is rounded, once, at the end.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.rating.calls import PHONE_LEG_TYPES, LegType
from perminute.domain.reference.phone_numbers import MASK
from perminute.domain.values.money import round_half_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

SECONDS_PER_MINUTE = 60

_NO_END = 10**9  # in seconds, the end of the last step


class Step(NamedTuple):
    """From this second of the call on, each second costs this rate, in blocks of this length."""

    from_second: int
    rate_micros_per_minute: int
    increment_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The price of one leg type to one prefix in one period: half-open, in UTC, None is open."""

    leg_type: LegType
    prefix: str
    country: str | None
    description: str
    currency: str
    connection_fee_micros: int
    initial_increment_seconds: int
    # The first starts at second 0; empty only in a blocked row that was read back from a usage.
    steps: tuple[Step, ...]
    effective_from: datetime | None
    effective_to: datetime | None
    blocked: bool
    # Where the steps stand in the file that the rate was read from.
    lines: tuple[int, ...] = field(default=(), compare=False, repr=False)

    @property
    def pricing(self) -> tuple[object, ...]:
        """All that decides what a call costs and who pays it: pools go by the country."""
        return (
            self.blocked,
            self.country,
            self.currency,
            self.connection_fee_micros,
            self.initial_increment_seconds,
            self.steps,
        )

    @property
    def line(self) -> int:
        """The first of the lines of a rate that was read from a file."""
        return self.lines[0]

    @property
    def rate_micros_per_minute(self) -> int:
        """The price of a minute at the start of a call."""
        return self.steps[0].rate_micros_per_minute

    def in_force(self, at: datetime) -> bool:
        """Whether the rate prices calls answered at an instant."""
        return (self.effective_from is None or self.effective_from <= at) and (
            self.effective_to is None or at < self.effective_to
        )

    def billed_seconds(self, seconds: int) -> int:
        """Round connected time up to whole blocks, in seconds (docs/domain.md §2.2)."""
        # The first block is the initial increment. Every further block has the increment of the
        # step in which it starts, and is billed in full once started: the floor of the negative
        # difference is the ceiling of what is left.
        if seconds <= 0:
            return 0
        billed = self.initial_increment_seconds
        if seconds <= billed:
            return billed
        if len(self.steps) == 1:
            # Nearly every rate of a real price list: worth a path of its own (`make bench`).
            block = self.steps[0].increment_seconds
            return billed - (billed - seconds) // block * block
        for step, step_end in self._spans():
            end = min(seconds, step_end)
            if end > billed:
                block = step.increment_seconds
                billed -= (billed - end) // block * block
        return billed

    def charge_micros(self, billed_seconds: int, from_second: int = 0) -> int:
        """Return the charge of whole blocks, rounded once (docs/domain.md §2.3)."""
        # Seconds before `from_second` are paid otherwise. The connection fee falls due with the
        # first second that is charged, so an unanswered call costs nothing.
        if billed_seconds <= from_second:
            return 0
        if len(self.steps) == 1:
            sixtieths = (billed_seconds - from_second) * self.steps[0].rate_micros_per_minute
        else:
            parts = self.parts(billed_seconds, from_second)
            sixtieths = sum(seconds * step.rate_micros_per_minute for seconds, step in parts)
        return self.connection_fee_micros + round_half_up(sixtieths, SECONDS_PER_MINUTE)

    def parts(self, billed_seconds: int, from_second: int = 0) -> list[tuple[int, Step]]:
        """Return how many of the billed seconds each step prices, without those that price none."""
        return [
            (end - start, step)
            for step, step_end in self._spans()
            if (end := min(billed_seconds, step_end))
            > (start := max(from_second, step.from_second))
        ]

    def quote(self, seconds: int) -> Quote:
        """Price seconds of connected time, in the currency of this row."""
        billed_seconds = self.billed_seconds(seconds)
        # `Quote(…)` passes through a function in Python, which takes a sixth of a look-up.
        return _NEW(Quote, (self, billed_seconds, self.charge_micros(billed_seconds)))

    def _spans(self) -> Iterable[tuple[Step, int]]:
        ends = (*(step.from_second for step in self.steps[1:]), _NO_END)
        return zip(self.steps, ends, strict=True)


class Quote(NamedTuple):
    """The price of one call, and the rate that gave it."""

    rate: Rate
    billed_seconds: int
    charge_micros: int


_NEW = tuple.__new__


class Unpriced(StrEnum):
    """Why the rate card has no price for a number (docs/domain.md §2.4)."""

    NO_RATE = "noRate"
    BLOCKED_NUMBER = "blockedNumber"
    CURRENCY_MISMATCH = "currencyMismatch"


class NoQuote(NamedTuple):
    """The rate card does not price this number."""

    reason: Unpriced
    rate: Rate | None  # the row that blocks it or prices it in another currency


_NO_RATE = NoQuote(Unpriced.NO_RATE, None)


Rates = dict[str, tuple[Rate, ...] | str]
"""By prefix with `+`: its rates, one for each period, or the text that they are read from."""


class RateCard:
    """All rates under one version; its prices never change."""

    # Look-up is by dictionary, on the number cut to each prefix length that occurs among numbers
    # with the same first digits, longest first: a handful of look-ups in the widest real price
    # list.
    def __init__(
        self, rates: Iterable[Rate], *, version: str = "", is_uncertain: bool = False
    ) -> None:
        self.version = version
        # Of a card that was read back from a usage: the whole card had other rates which the masked
        # digits of the number may have matched.
        self._is_uncertain = is_uncertain
        by_leg_type: dict[LegType, Rates] = {}
        for rate in rates:
            prefixes = by_leg_type.setdefault(rate.leg_type, {})
            key = "+" + rate.prefix
            prefixes[key] = (*prefixes.get(key, ()), rate)
        self._prefixes = {
            leg_type: _PrefixIndex(by_leg_type.get(leg_type, {})) for leg_type in PHONE_LEG_TYPES
        }

    @classmethod
    def unread(
        cls,
        by_leg_type: Mapping[LegType, Rates],
        read: Callable[[LegType, str, str], tuple[Rate, ...]],
        *,
        version: str,
    ) -> RateCard:
        """Return a card that reads the rates of a prefix when a number first has it.

        `read` gets leg type, prefix with `+`, and text. A card of 300,000 prefixes is in use in a
        fraction of a second, since hardly any of them is ever called.
        """
        card = cls((), version=version)
        for leg_type, rates in by_leg_type.items():
            card._prefixes[leg_type] = _PrefixIndex(rates, partial(read, leg_type))
        return card

    @property
    def rates(self) -> tuple[Rate, ...]:
        """All rates, by leg type."""
        return tuple(rate for index in self._prefixes.values() for rate in index.rates())

    @property
    def prefixes(self) -> int:
        """How many prefixes the card has, each counted by leg type."""
        return sum(map(len, self._prefixes.values()))

    def quote(
        self,
        leg_type: LegType,
        number: str,
        seconds: int,
        at: datetime,
        *,
        currency: str | None = None,
    ) -> Quote | NoQuote:
        """Price `seconds` of connected time to an E.164 `number`, answered `at`."""
        # The longest prefix in force sets the rate, also if it is blocked or in another `currency`
        # (docs/domain.md §2.1, §2.4). Without a `currency`, a rate in any currency is a price.
        rate = self._prefixes[leg_type].find(number, at)
        if rate is None:
            return _NO_RATE
        if rate.blocked:
            return NoQuote(Unpriced.BLOCKED_NUMBER, rate)
        if currency is not None and rate.currency != currency:
            return NoQuote(Unpriced.CURRENCY_MISMATCH, rate)
        return rate.quote(seconds)

    def hidden_rates(self, leg_type: LegType, number: str, at: datetime) -> tuple[Rate, ...]:
        """Return one rate of each other price that the masked digits of a number may hide."""
        # A rate is left out if longer prefixes replace it for every number (docs/domain.md §2.5).
        if not number.endswith(MASK):
            return ()
        prefixes = self._prefixes[leg_type]
        shown = prefixes.find(number, at)
        hidden = {rate.pricing: rate for rate in prefixes.masked(number, at) if rate is not None}
        if shown is not None:
            hidden.pop(shown.pricing, None)
        return tuple(hidden.values())

    def is_uncertain(self, leg_type: LegType, number: str, at: datetime) -> bool:
        """Whether a masked number may have another rate than the one that it is priced by."""
        return self._is_uncertain or bool(self.hidden_rates(leg_type, number, at))

    def changes_between(
        self, leg_type: LegType, number: str, since: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Yield the instants after `since`, up to `until`, at which a number's rate may change."""
        for rate in self._prefixes[leg_type].matching(number):
            for instant in (rate.effective_from, rate.effective_to):
                if instant is not None and since < instant <= until:
                    yield instant


def _is_read(_: str, text: str) -> tuple[Rate, ...]:
    raise AssertionError(text)


class _PrefixIndex:
    _HEAD = 5  # "+" and four digits: enough to distinguish the prefix lengths of most countries

    def __init__(
        self, rates: Rates, read: Callable[[str, str], tuple[Rate, ...]] = _is_read
    ) -> None:
        self._by_prefix, self._read = rates, read
        shorter = {length for length in map(len, rates) if length < self._HEAD}
        lengths: dict[str, set[int]] = {}
        for head, length in {(prefix[: self._HEAD], len(prefix)) for prefix in rates}:
            if head not in lengths:
                lengths[head] = {n for n in shorter if head[:n] in rates}
            lengths[head].add(length)
        self._lengths = {head: tuple(sorted(ls, reverse=True)) for head, ls in lengths.items()}
        self._shorter = tuple(sorted(shorter, reverse=True))

    def __len__(self) -> int:
        return len(self._by_prefix)

    def rates(self) -> Iterator[Rate]:
        for prefix in self._by_prefix:
            yield from self._of(prefix)

    def find(self, number: str, at: datetime) -> Rate | None:
        # Masked digits match no prefix.
        by_prefix = self._by_prefix
        for length in self._lengths.get(number[: self._HEAD], self._shorter):
            rates = by_prefix.get(number[:length])
            if rates is None:
                continue
            if isinstance(rates, str):
                rates = self._of(number[:length])
            for rate in rates:
                since, until = rate.effective_from, rate.effective_to
                if (since is None or since <= at) and (until is None or at < until):
                    return rate
        return None

    def matching(self, number: str) -> Iterator[Rate]:
        # Of all prefixes that a number has or may have, in force or not.
        for length in self._lengths.get(number[: self._HEAD], self._shorter):
            yield from self._of(number[:length])
        if number.endswith(MASK):
            shown = number.rstrip(MASK)
            for prefix in self._longer_than(shown):
                if len(prefix) <= len(number):
                    yield from self._of(prefix)

    def _of(self, prefix: str) -> tuple[Rate, ...]:
        rates = self._by_prefix.get(prefix, ())
        if isinstance(rates, str):
            # Two threads may both read it: the same rates.
            rates = self._by_prefix[prefix] = self._read(prefix, rates)
        return rates

    def masked(self, number: str, at: datetime) -> Iterator[Rate | None]:
        # One for each range of numbers that a masked number may stand for.
        shown = number.rstrip(MASK)
        return self._below(shown, len(number) - len(shown), self.find(shown, at), at)

    def _below(
        self, shown: str, hidden_digits: int, rate: Rate | None, at: datetime
    ) -> Iterator[Rate | None]:
        # Digit by digit, only as far as the card has prefixes.
        if not hidden_digits or not self._longer_than(shown):
            yield rate
            return
        for digit in "0123456789":
            longer = shown + digit
            in_force = (rate for rate in self._of(longer) if rate.in_force(at))
            yield from self._below(longer, hidden_digits - 1, next(in_force, rate), at)

    def _longer_than(self, prefix: str) -> Sequence[str]:
        first = bisect_right(self._in_order, prefix)
        # A colon comes after all digits.
        return self._in_order[first : bisect_right(self._in_order, prefix + ":")]

    @cached_property
    def _in_order(self) -> list[str]:
        # Sorted when it is first needed: hardly any number is masked.
        return sorted(self._by_prefix)
