"""Read and write the rate card as CSV (CONTRACT §3).

A card is taken whole or refused whole: `read_rate_card` returns a card or raises
`FaultyRateCard` with every fault it found and the line of each.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from perminute.domain.codes import check_currency
from perminute.domain.errors import Fault, FaultyRateCard
from perminute.domain.legs import MAX_LEG_SECONDS, PHONE_LEG_TYPES, LegType
from perminute.domain.money import format_micros, parse_micros
from perminute.domain.printable import spreadsheet_text
from perminute.domain.rate_card import Rate, RateCard, Step
from perminute.domain.times import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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

_T = TypeVar("_T")
_D = TypeVar("_D")
_PREFIX = re.compile(r"[1-9][0-9]{0,14}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,6}", re.ASCII)

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the file, its cells read; what it means together with others comes later."""

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


def read_rate_card(content: bytes, *, version: str = "") -> RateCard:
    """Read a whole card; raise `FaultyRateCard` with every fault if there is any."""
    faults: list[Fault] = []
    rows = list(_read_rows(decode_csv(content), faults))
    rates = _combine(rows, faults)
    if not rates and not faults:
        faults.append(Fault(1, "the card has no rates"))
    if faults:
        raise FaultyRateCard(faults)
    return RateCard(rates, version=version)


def write_rate_card(rates: Iterable[Rate]) -> str:
    """Write rates as a card that `read_rate_card` takes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for rate in rates:
        writer.writerows(_cells(rate, step) for step in rate.steps)
    return text.getvalue()


def decode_csv(content: bytes) -> str:
    """Decode a CSV file as UTF-8; `FaultyRateCard` names the line that is something else."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise FaultyRateCard([Fault(line, "is not UTF-8; save the file as UTF-8")]) from error


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


def _read_rows(text: str, faults: list[Fault]) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = _read_row(line, header, cells, faults)
                if row is not None:
                    yield row
            line = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(max(reader.line_num, 1), f"is no CSV: {error}"))


def _check_header(header: Sequence[str]) -> None:
    faults = [
        Fault(1, f"column {name} is missing") for name in REQUIRED_COLUMNS if name not in header
    ]
    faults += [
        Fault(1, f"column {name} stands more than once")
        for name in COLUMNS
        if header.count(name) > 1
    ]
    if faults:
        raise FaultyRateCard(faults)


def _read_row(
    line: int, header: Sequence[str], cells: Sequence[str], faults: list[Fault]
) -> _Row | None:
    if len(cells) != len(header):
        faults.append(Fault(line, f"has {len(cells)} cells; the header has {len(header)}"))
        return None
    before = len(faults)
    cell = _Cells(line, dict(zip(header, (c.strip() for c in cells), strict=True)), faults)
    blocked = cell.read("blocked", _boolean, default=False)
    row = _Row(
        line=line,
        leg_type=cell.read("leg_type", read_leg_type, default=LegType.DIAL_OUT),
        prefix=cell.read("prefix", check_prefix, default="1"),
        country=cell.read("country", check_card_country, default=None),
        description=cell.text("description"),
        currency=cell.read("currency", check_currency, default="XXX"),
        # A blocked prefix is never priced, so its rate may stay empty.
        rate_micros_per_minute=cell.read(
            "rate_per_minute", read_rate, default=0, may_be_empty=blocked
        ),
        connection_fee_micros=cell.read("connection_fee", read_rate, default=0),
        initial_increment_seconds=cell.read("initial_increment_seconds", _increment, default=60),
        increment_seconds=cell.read("increment_seconds", _increment, default=60),
        from_second=cell.read("from_second", _second, default=0),
        effective_from=cell.read("effective_from", parse_instant, default=None),
        effective_to=cell.read("effective_to", parse_instant, default=None),
        blocked=blocked,
    )
    if row.effective_from and row.effective_to and row.effective_to <= row.effective_from:
        faults.append(Fault(line, "effective_to: must lie after effective_from"))
    return row if len(faults) == before else None


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one line; a cell that cannot be read becomes a fault and its default."""

    line: int
    by_name: dict[str, str]
    faults: list[Fault]

    def text(self, name: str) -> str:
        return self.by_name.get(name, "")

    def read(
        self,
        name: str,
        parse: Callable[[str], _T],
        *,
        default: _D,
        may_be_empty: bool | None = None,
    ) -> _T | _D:
        text = self.text(name)
        if not text:
            optional = name not in REQUIRED_COLUMNS if may_be_empty is None else may_be_empty
            if not optional:
                self.faults.append(Fault(self.line, f"{name}: must not be empty"))
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.faults.append(Fault(self.line, f"{name}: {error}"))
            return default


def read_leg_type(text: str) -> LegType:
    """Read a leg type that has rates; `ValueError` names them."""
    if text not in PHONE_LEG_TYPES:
        msg = f"must be one of {', '.join(PHONE_LEG_TYPES)}"
        raise ValueError(msg)
    return LegType(text)


def check_prefix(text: str) -> str:
    """Return a prefix if it is one."""
    return _matching(_PREFIX, text, "must be the digits of an E.164 prefix, without +")


def check_card_country(text: str) -> str:
    """Return the country of a row; the rate does not hang on it, so only its form is checked."""
    return _matching(_COUNTRY, text, "must be an ISO 3166-1 alpha-2 code such as DE, or empty")


def _matching(pattern: re.Pattern[str], text: str, message: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(message)
    return text


def read_rate(text: str) -> int:
    """Read a price as micro-units; it may be zero."""
    micros = parse_micros(text)
    if micros < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return micros


def _second(text: str) -> int:
    if _WHOLE.fullmatch(text) is None or int(text) > MAX_LEG_SECONDS:
        msg = f"must be a whole number of seconds from 0 to {MAX_LEG_SECONDS}"
        raise ValueError(msg)
    return int(text)


def _increment(text: str) -> int:
    if _WHOLE.fullmatch(text) is None or not 1 <= int(text) <= MAX_LEG_SECONDS:
        msg = f"must be a whole number of seconds from 1 to {MAX_LEG_SECONDS}"
        raise ValueError(msg)
    return int(text)


def _boolean(text: str) -> bool:
    match text.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            msg = "must be true, false or empty"
            raise ValueError(msg)


def _combine(rows: Sequence[_Row], faults: list[Fault]) -> list[Rate]:
    """Put the steps of each key and period together, and hold the periods against each other."""
    keys: defaultdict[tuple[LegType, str], list[_Row]] = defaultdict(list)
    for row in rows:
        keys[row.leg_type, row.prefix].append(row)
    rates: list[Rate] = []
    for of_key in keys.values():
        if len(of_key) > 1:
            _check_currencies(of_key, faults)
        rates += _rates_of_key(of_key, faults)
    return rates


def _check_currencies(rows: Sequence[_Row], faults: list[Fault]) -> None:
    first = rows[0]
    faults += [
        Fault(row.line, f"currency: is {row.currency}, but {first.currency} at line {first.line}")
        for row in rows
        if row.currency != first.currency
    ]


def _rates_of_key(rows: Sequence[_Row], faults: list[Fault]) -> Iterator[Rate]:
    periods: defaultdict[tuple[datetime, datetime], list[_Row]] = defaultdict(list)
    for row in rows:
        periods[row.effective_from or _BEGINNING, row.effective_to or _END].append(row)
    _check_overlaps(periods, faults)
    for steps in periods.values():
        steps.sort(key=lambda row: row.from_second)
        _check_steps(steps, faults)
        yield _rate(steps)


def _check_overlaps(
    periods: dict[tuple[datetime, datetime], list[_Row]], faults: list[Fault]
) -> None:
    """Hold each period against the one that lasts longest of those that began before it."""
    longest: tuple[datetime, _Row] | None = None
    for (start, end), rows in sorted(periods.items(), key=lambda period: period[0]):
        if longest is not None and start < longest[0]:
            first, second = sorted((longest[1].line, rows[0].line))
            faults.append(Fault(second, f"its effective period overlaps that of line {first}"))
        if longest is None or end > longest[0]:
            longest = end, rows[0]


def _check_steps(steps: Sequence[_Row], faults: list[Fault]) -> None:
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


def _rate(steps: Sequence[_Row]) -> Rate:
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
