"""Read and write the rate card as CSV (docs/rate-cards.md).

A card is taken whole or refused whole: `read_rate_card` returns a card or raises
`FaultyRateCard` with every fault it found and the line of each.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

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
    from collections.abc import Iterable, Iterator, Sequence

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """One row of a card or price list, its cells read; `combine` compares it with others.

    `line` is where it stands in the file of those who have to correct it.
    """

    line: int
    leg_type: LegType
    prefix: str
    country: str | None
    description: str
    currency: str
    rate_micros_per_minute: int
    connection_fee_micros: int
    initial_increment_seconds: int
    increment_seconds: int
    from_second: int
    effective_from: datetime | None
    effective_to: datetime | None
    blocked: bool


class LinedRate(NamedTuple):
    """A rate, and on which line of its file each of its steps stands."""

    rate: Rate
    lines: tuple[int, ...]


def read_rate_card(content: bytes, *, version: str = "") -> RateCard:
    """Read a whole card; raise `FaultyRateCard` with every fault if there is any."""
    _, rates = _read(content)
    return RateCard(rates, version=version)


def read_lined_rates(content: bytes) -> list[LinedRate]:
    """Read a whole card as `read_rate_card` does, with the lines of its file."""
    rows, rates = _read(content)
    lines = {
        (row.leg_type, row.prefix, row.effective_from, row.from_second): row.line for row in rows
    }
    return [
        LinedRate(
            rate,
            tuple(
                lines[rate.leg_type, rate.prefix, rate.effective_from, step.from_second]
                for step in rate.steps
            ),
        )
        for rate in rates
    ]


def write_rate_card(rates: Iterable[Rate]) -> str:
    """Write rates as a card that `read_rate_card` takes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rate in rates:
        writer.writerows(_cells(rate, step) for step in rate.steps)
    return text.getvalue()


def _read(content: bytes) -> tuple[list[RateRow], list[Rate]]:
    faults: list[Fault] = []
    read = [_read_row(row) for row in read_rows(content, _COLUMNS, faults)]
    rows = [row for row in read if row is not None]
    rates = combine(rows, faults)
    if not rates and not faults:
        faults.append(Fault(1, "the card has no rates"))
    if faults:
        raise FaultyRateCard(faults)
    return rows, rates


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


def _read_row(row: Row) -> RateRow | None:
    blocked = row.read("blocked", read_boolean, default=False, may_be_empty=True)
    fee = row.read("connection_fee", read_rate, default=0, may_be_empty=True)
    initial = row.read("initial_increment_seconds", read_increment, default=60, may_be_empty=True)
    since = row.read("effective_from", parse_instant, default=None, may_be_empty=True)
    until = row.read("effective_to", parse_instant, default=None, may_be_empty=True)
    read = RateRow(
        line=row.line,
        leg_type=row.read("leg_type", read_leg_type, default=LegType.DIAL_OUT),
        prefix=row.read("prefix", check_prefix, default="1"),
        country=row.read("country", check_card_country, default=None, may_be_empty=True),
        description=row.text("description"),
        currency=row.read("currency", read_currency, default="XXX"),
        # A blocked prefix is never priced, so its rate may stay empty.
        rate_micros_per_minute=row.read(
            "rate_per_minute", read_rate, default=0, may_be_empty=blocked
        ),
        connection_fee_micros=fee,
        initial_increment_seconds=initial,
        increment_seconds=row.read(
            "increment_seconds", read_increment, default=60, may_be_empty=True
        ),
        from_second=row.read("from_second", read_from_second, default=0, may_be_empty=True),
        effective_from=since,
        effective_to=until,
        blocked=blocked,
    )
    if since and until and until <= since:
        row.refuse("must lie after effective_from", column="effective_to")
    return read if row.sound else None


def combine(rows: Iterable[RateRow], faults: list[Fault]) -> list[Rate]:
    """Return the rates of a card: the steps of each key and period together.

    What contradicts another row is appended to the faults: duplicates, overlapping periods, steps
    without a first, two currencies.
    """
    keys: defaultdict[tuple[LegType, str], list[RateRow]] = defaultdict(list)
    for row in rows:
        keys[row.leg_type, row.prefix].append(row)
    rates: list[Rate] = []
    for of_key in keys.values():
        if len(of_key) > 1:
            _check_currencies(of_key, faults)
        rates += _rates_of_key(of_key, faults)
    return rates


def _check_currencies(rows: Sequence[RateRow], faults: list[Fault]) -> None:
    first = rows[0]
    faults += [
        Fault(row.line, f"currency: is {row.currency}, but {first.currency} at line {first.line}")
        for row in rows
        if row.currency != first.currency
    ]


def _rates_of_key(rows: Sequence[RateRow], faults: list[Fault]) -> Iterator[Rate]:
    periods: defaultdict[tuple[datetime, datetime], list[RateRow]] = defaultdict(list)
    for row in rows:
        periods[row.effective_from or _BEGINNING, row.effective_to or _END].append(row)
    _check_overlaps(periods, faults)
    for steps in periods.values():
        steps.sort(key=lambda row: row.from_second)
        _check_steps(steps, faults)
        yield _rate(steps)


def _check_overlaps(
    periods: dict[tuple[datetime, datetime], list[RateRow]], faults: list[Fault]
) -> None:
    """Hold each period against the one that lasts longest of those that began before it."""
    longest: tuple[datetime, RateRow] | None = None
    for (start, end), rows in sorted(periods.items(), key=lambda period: period[0]):
        if longest is not None and start < longest[0]:
            first, second = sorted((longest[1].line, rows[0].line))
            faults.append(Fault(second, f"its effective period overlaps that of line {first}"))
        if longest is None or end > longest[0]:
            longest = end, rows[0]


def _check_steps(steps: Sequence[RateRow], faults: list[Fault]) -> None:
    first = steps[0]
    if first.from_second:
        faults.append(
            Fault(first.line, "from_second: there is no step 0 with the same effective period")
        )
    for row, following in pairwise(steps):
        if row.from_second == following.from_second:
            faults.append(Fault(following.line, f"is a duplicate of line {row.line}"))
    for row in steps[1:]:
        if row.connection_fee_micros not in {0, first.connection_fee_micros}:
            faults.append(
                Fault(row.line, f"connection_fee: is charged once; it belongs to line {first.line}")
            )
        if row.blocked is not first.blocked:
            faults.append(Fault(row.line, f"blocked: must be as at line {first.line}"))


def _rate(steps: Sequence[RateRow]) -> Rate:
    first = steps[0]
    return Rate(
        leg_type=first.leg_type,
        prefix=first.prefix,
        country=first.country,
        description=first.description,
        currency=first.currency,
        connection_fee_micros=first.connection_fee_micros,
        initial_increment_seconds=first.initial_increment_seconds,
        steps=tuple(
            Step(row.from_second, row.rate_micros_per_minute, row.increment_seconds)
            for row in steps
        ),
        effective_from=first.effective_from,
        effective_to=first.effective_to,
        blocked=first.blocked,
    )
