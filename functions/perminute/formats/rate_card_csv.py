"""Read and write the rate card as CSV (docs/rate-cards.md).

A card is accepted whole or refused whole, with the line of every fault.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.rating.calls import LegType
from perminute.domain.rating.rate_card import Rate, RateCard, Step
from perminute.domain.reference.countries import check_card_country
from perminute.domain.values.money import format_micros
from perminute.domain.values.printable import spreadsheet_text
from perminute.domain.values.times import format_instant, parse_instant
from perminute.formats.csv_tables import Columns, read_rows
from perminute.formats.rate_cells import (
    check_prefix,
    read_boolean,
    read_currency,
    read_from_second,
    read_increment,
    read_leg_type,
    read_rate,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from perminute.formats.csv_tables import Row

REQUIRED_COLUMNS = ("leg_type", "prefix", "currency", "rate_per_minute")
COLUMNS = (
    "leg_type",
    "prefix",
    "country",
    "description",
    "currency",
    "rate_per_minute",
    "connection_fee",
    "initial_increment_seconds",
    "increment_seconds",
    "from_second",
    "effective_from",
    "effective_to",
    "blocked",
)

_COLUMNS = Columns(
    REQUIRED_COLUMNS, tuple(name for name in COLUMNS if name not in REQUIRED_COLUMNS)
)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


def read_rate_card(content: bytes, *, version: str = "") -> RateCard:
    """Read a whole card; raises `FaultyRateCard` with every fault if there is any."""
    faults: list[Fault] = []
    rows = [_read_row(row) for row in read_rows(content, _COLUMNS, faults)]
    rates = combine((row for row in rows if row is not None), faults)
    if not rates and not faults:
        faults.append(Fault(1, "the card has no rates"))
    if faults:
        raise FaultyRateCard(faults)
    return RateCard(rates, version=version)


def write_rate_card(rates: Iterable[Rate]) -> str:
    """Write rates as a card that `read_rate_card` reads."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rate in rates:
        writer.writerows(_cells(rate, step) for step in rate.steps)
    return text.getvalue()


def _cells(rate: Rate, step: Step) -> dict[str, str]:
    return {
        "leg_type": rate.leg_type,
        "prefix": rate.prefix,
        "country": rate.country or "",
        # A carrier's words, and people open a card in a spreadsheet before they publish it.
        "description": spreadsheet_text(rate.description),
        "currency": rate.currency,
        "rate_per_minute": format_micros(step.rate_micros_per_minute),
        "connection_fee": format_micros(rate.connection_fee_micros),
        "initial_increment_seconds": str(rate.initial_increment_seconds),
        "increment_seconds": str(step.increment_seconds),
        "from_second": str(step.from_second),
        "effective_from": format_instant(rate.effective_from) if rate.effective_from else "",
        "effective_to": format_instant(rate.effective_to) if rate.effective_to else "",
        "blocked": "true" if rate.blocked else "",
    }


def _read_row(row: Row) -> Rate | None:
    blocked = row.read("blocked", read_boolean, default=False, may_be_empty=True)
    step = Step(
        row.read("from_second", read_from_second, default=0, may_be_empty=True),
        # A blocked prefix is never priced, so its rate may stay empty.
        row.read("rate_per_minute", read_rate, default=0, may_be_empty=blocked),
        row.read("increment_seconds", read_increment, default=60, may_be_empty=True),
    )
    rate = Rate(
        leg_type=row.read("leg_type", read_leg_type, default=LegType.DIAL_OUT),
        prefix=row.read("prefix", check_prefix, default="1"),
        country=row.read("country", check_card_country, default=None, may_be_empty=True),
        description=row.text("description"),
        currency=row.read("currency", read_currency, default="XXX"),
        connection_fee_micros=row.read("connection_fee", read_rate, default=0, may_be_empty=True),
        initial_increment_seconds=row.read(
            "initial_increment_seconds", read_increment, default=60, may_be_empty=True
        ),
        steps=(step,),
        effective_from=row.read("effective_from", parse_instant, default=None, may_be_empty=True),
        effective_to=row.read("effective_to", parse_instant, default=None, may_be_empty=True),
        blocked=blocked,
        lines=(row.line,),
    )
    if rate.effective_from and rate.effective_to and rate.effective_to <= rate.effective_from:
        row.refuse("must lie after effective_from", column="effective_to")
    return rate if row.sound else None


def combine(rows: Iterable[Rate], faults: list[Fault]) -> list[Rate]:
    """Return the rates of a card from its rows, each with one step.

    Rows that contradict each other are faults: duplicates, overlapping periods, steps without a
    first, two currencies.
    """
    by_prefix: defaultdict[tuple[LegType, str], list[Rate]] = defaultdict(list)
    for row in rows:
        by_prefix[row.leg_type, row.prefix].append(row)
    rates: list[Rate] = []
    for of_prefix in by_prefix.values():
        periods: defaultdict[tuple[datetime, datetime], list[Rate]] = defaultdict(list)
        for row in of_prefix:
            periods[row.effective_from or _BEGINNING, row.effective_to or _END].append(row)
        if len(of_prefix) > 1:
            faults += _two_currencies(of_prefix)
            faults += _overlaps(periods)
        for steps in periods.values():
            steps.sort(key=lambda row: row.steps[0].from_second)
            faults += _wrong_steps(steps)
            rates.append(_with_steps(steps))
    return rates


def _two_currencies(rows: Sequence[Rate]) -> Iterator[Fault]:
    first = rows[0]
    for row in rows:
        if row.currency != first.currency:
            other = f"{first.currency} at line {first.line}"
            yield Fault(row.line, f"currency: is {row.currency}, but {other}")


def _overlaps(periods: Mapping[tuple[datetime, datetime], Sequence[Rate]]) -> Iterator[Fault]:
    """Compare each period with the longest of those that began before it."""
    longest: tuple[datetime, Rate] | None = None
    for (start, end), rows in sorted(periods.items(), key=lambda period: period[0]):
        if longest is not None and start < longest[0]:
            first, second = sorted((longest[1].line, rows[0].line))
            yield Fault(second, f"its effective period overlaps that of line {first}")
        if longest is None or end > longest[0]:
            longest = end, rows[0]


def _wrong_steps(rows: Sequence[Rate]) -> Iterator[Fault]:
    first = rows[0]
    if first.steps[0].from_second:
        yield Fault(first.line, "from_second: there is no step 0 with the same effective period")
    for row, following in pairwise(rows):
        if row.steps[0].from_second == following.steps[0].from_second:
            yield Fault(following.line, f"is a duplicate of line {row.line}")
    for row in rows[1:]:
        if row.connection_fee_micros not in {0, first.connection_fee_micros}:
            belongs = f"it belongs to line {first.line}"
            yield Fault(row.line, f"connection_fee: is charged once; {belongs}")
        if row.blocked is not first.blocked:
            yield Fault(row.line, f"blocked: must be as at line {first.line}")


def _with_steps(rows: Sequence[Rate]) -> Rate:
    if len(rows) == 1:
        return rows[0]
    steps = tuple(step for row in rows for step in row.steps)
    return replace(rows[0], steps=steps, lines=tuple(row.line for row in rows))
