"""`perminute rates check`: the faults of a rate card, and what hardly anybody means, by line."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE
from perminute.domain.values.printable import counted
from perminute.domain.values.times import format_instant
from perminute.formats.rate_card_csv import COLUMNS, read_rate_card
from perminute_local.rates.special_ranges import unnamed_ranges
from perminute_local.terminal import write_json, write_line, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from perminute.domain.rating.rate_card import Rate
    from perminute_local.rates.special_ranges import SpecialRange

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_SHORT_HOLE = timedelta(days=1)
"""A longer one may be meant: a destination that is not sold for a time."""

_MOST_RUNS = 30
"""Of prefixes that a warning lists: China has hundreds, one for each area code."""

_NO_COUNTRY = (
    "country: is empty, so these calls never draw on a minute pool, and organizers who may call "
    "their own country or Zone A only may not make them: write the country's ISO 3166-1 code"
)
_BLOCK = (
    "block them (perminute rates convert --from card --block-premium), "
    "or add rows with their prices"
)
_CANNOT_BLOCK = (
    "ordinary numbers begin with the same digits, so no row can block them alone: ask the carrier "
    "what they cost"
)


def check_rates(path: Path, *, as_json: bool) -> int:
    """Write the number of rates of a card, or every fault; exit code 1 if there is one."""
    content = path.read_bytes()
    faults: tuple[Fault, ...] = ()
    try:
        rates = read_rate_card(content).rates
        warnings = card_warnings(content, rates)
    except FaultyRateCard as error:
        rates, warnings, faults = (), [], error.faults
    if as_json:
        write_json(
            {
                "valid": not faults,
                "rates": len(rates),
                "faults": [fault._asdict() for fault in faults],
                "warnings": [warning._asdict() for warning in warnings],
            }
        )
        return 1 if faults else 0
    write_lines(f"{path}:{fault.line}: {fault.message}" for fault in faults)
    write_lines(f"{path}:{one.line}: warning: {one.message}" for one in warnings)
    if not faults:
        remarks = f", {counted(len(warnings), 'warning')}" if warnings else ""
        write_line(f"{path}: {counted(len(rates), 'rate')}, no fault{remarks}")
    return 1 if faults else 0


def card_warnings(content: bytes, rates: Sequence[Rate]) -> list[Fault]:
    """Return the warnings of a card without faults, by line; `rates` are those of its `content`."""
    return sorted(
        (
            *_unread_columns(content),
            *(warning for rate in rates for warning in _of_one_rate(rate)),
            *_holes(rates),
            *_special_ranges(rates),
        )
    )


def _unread_columns(content: bytes) -> Iterator[Fault]:
    header = next(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    for name in map(str.strip, header):
        if name and name not in COLUMNS:
            yield Fault(1, f"column {name}: is not read; the columns are {', '.join(COLUMNS)}")


def _of_one_rate(rate: Rate) -> Iterator[Fault]:
    if rate.blocked:
        return
    if rate.leg_type is LegType.DIAL_OUT and rate.country is None:
        yield Fault(rate.line, _NO_COUNTRY)
    initial = ("initial_increment_seconds", rate.initial_increment_seconds, rate.line)
    steps = (
        ("increment_seconds", step.increment_seconds, line)
        for step, line in zip(rate.steps, rate.lines, strict=True)
    )
    for column, seconds, line in (initial, *steps):
        if seconds > SECONDS_PER_MINUTE:
            yield Fault(
                line,
                f"{column}: is {seconds}, so more than a minute is billed at once: write 60 or "
                "less, unless the carrier bills so",
            )


def _holes(rates: Iterable[Rate]) -> Iterator[Fault]:
    # No two periods of a key overlap.
    of_keys: defaultdict[tuple[LegType, str], list[Rate]] = defaultdict(list)
    for rate in rates:
        of_keys[rate.leg_type, rate.prefix].append(rate)
    for of_key in of_keys.values():
        of_key.sort(key=lambda rate: rate.effective_from or _BEGINNING)
        for before, following in pairwise(of_key):
            end, start = before.effective_to, following.effective_from
            if end is not None and start is not None and end < start < end + _SHORT_HOLE:
                yield Fault(
                    following.line,
                    f"effective_from: there is a hole from {format_instant(end)} (effective_to of "
                    f"line {before.line}) to {format_instant(start)}: this row prices no call "
                    "that is answered then. effective_to is the first instant that a row does not "
                    "hold for, so write the same instant in both",
                )


def _special_ranges(rates: Iterable[Rate]) -> Iterator[Fault]:
    found: defaultdict[tuple[Rate, str, str, bool], list[SpecialRange]] = defaultdict(list)
    for special, rate in unnamed_ranges(rates):
        found[rate, special.kind, special.regions[0], special.exact].append(special)
    for (rate, kind, _, exact), ranges in found.items():
        # The main region first, and then those that share its calling code and some range.
        regions = dict.fromkeys(region for special in ranges for region in special.regions)
        yield Fault(
            rate.line,
            f"prefix: {rate.prefix} prices {kind} numbers of {', '.join(regions)} as ordinary "
            f"ones: {_as_runs([special.prefix for special in ranges])}; "
            f"{_BLOCK if exact else _CANNOT_BLOCK}",
        )


def _as_runs(prefixes: Sequence[str]) -> str:
    runs = groupby(
        enumerate(prefixes), key=lambda numbered: (len(numbered[1]), int(numbered[1]) - numbered[0])
    )
    texts = []
    for _, numbered in runs:
        run = [prefix for _, prefix in numbered]
        texts.append(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}")
    more = [f"and {len(texts) - _MOST_RUNS} more"] if len(texts) > _MOST_RUNS else []
    return ", ".join(texts[:_MOST_RUNS] + more)
