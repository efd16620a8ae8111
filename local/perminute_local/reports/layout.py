"""How reports look: columns that add up by eye, and the lines below a table."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.table import Table

from perminute.domain.values.money import DECIMALS, MICROS_PER_UNIT, read_micros
from perminute.domain.values.printable import one_line, words_of
from perminute_local.tables import LEG_NAMES, STYLE, plain, title_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from rich.console import JustifyMethod
    from rich.text import Text

    Row = Mapping[str, Any]

NOTHING = "-"
"""What a cell shows of a value that there is not, such as the cost of a call without a price."""
FEWEST_DECIMALS = 2


class Column(NamedTuple):
    """A column of a table: its header, and how its values are written so that they align."""

    header: str
    write: Callable[[Sequence[Any]], Iterable[str]]
    justify: JustifyMethod = "left"
    folds: bool = False


class Section(NamedTuple):
    """A part of a report: a table of the rows' fields, with a line of totals below them."""

    heading: str
    columns: Mapping[str, Column]
    rows: Sequence[Row]
    total: Row | None = None


def text(header: str, *, folds: bool = False) -> Column:
    """Return a column of text; ids stay whole, so that they can be copied."""
    return Column(header, lambda values: map(_text, values), folds=folds)


def leg_type(header: str) -> Column:
    """Return a column of kinds of calls."""
    return Column(header, lambda values: [LEG_NAMES.get(value, _text(value)) for value in values])


def code(header: str) -> Column:
    """Return a column of codes, such as outcomes, which are written as words."""
    return Column(header, lambda values: [words_of(_text(value)) for value in values])


def count(header: str) -> Column:
    """Return a column of whole numbers."""
    return Column(header, lambda values: [f"{value:,}" for value in values], "right")


def minutes(header: str) -> Column:
    """Return a column of seconds, written as minutes and seconds: so they add up exactly."""
    return Column(header, lambda values: map(_minutes, values), "right")


def money(header: str) -> Column:
    """Return a column of amounts with as many decimals as the longest one has, at least two."""
    return Column(header, amounts, "right")


def instant(header: str) -> Column:
    """Return a column of times, UTC, to the second."""
    return Column(header, lambda values: map(time_of, values))


def amounts(values: Sequence[str | None]) -> list[str]:
    """Write amounts below each other, with thousands separators; an empty text stays empty."""
    decimals = [len(value.partition(".")[2]) for value in values if value is not None]
    most = max(FEWEST_DECIMALS, *decimals, 0)
    return [NOTHING if value is None else _amount(value, most) for value in values]


def amount(value: str | None) -> str:
    """Write one amount."""
    return amounts([value])[0]


def time_of(at: str | None) -> str:
    """Write a time of an answer as people read it."""
    return NOTHING if at is None else one_line(f"{at[:10]} {at[11:19]}".strip())


def table_of(
    heading: str, columns: Mapping[str, Column], rows: Sequence[Row], total: Row | None = None
) -> Table:
    """Return a table of the rows' fields, with a line of totals below them."""
    table = Table(title=title_line(heading), **STYLE)
    shown = [*rows, total] if total is not None else rows
    for column in columns.values():
        table.add_column(
            plain(column.header),
            justify=column.justify,
            no_wrap=not column.folds,
            overflow="fold",
        )
    cells = [column.write([row.get(name) for row in shown]) for name, column in columns.items()]
    for number, row in enumerate(zip(*cells, strict=True)):
        if number == len(rows):
            table.add_section()
        table.add_row(*map(plain, row))
    return table


def as_of(answer: Row) -> Text:
    """Return the line that says which state a report shows."""
    said = answer["asOf"]
    if said["version"] is None:  # of figures in a file
        return plain(f"As of {time_of(said['at'])} UTC.")
    # The answer is empty, and does not say whether the organization exists.
    hint = "" if said["version"] else "; nothing is recorded of this organization: check its id"
    return plain(f"As of {time_of(said['at'])} UTC (version {said['version']}){hint}.")


def period(parameters: Row) -> str:
    """Return the month or the period that a report is of, in words."""
    if month := parameters.get("month"):
        return f"of {month}"
    since, until = parameters["from"], parameters["to"]
    if since >= until or not len(since) == len(until) == len("2026-11-01"):
        return f"from {since} until {until}"
    last = date.fromisoformat(until) - timedelta(days=1)
    return f"of {_days(date.fromisoformat(since), last)}"


def days_in_words(days: Iterable[str]) -> str:
    """Return days, those that follow one another as one period."""
    periods: list[tuple[date, date]] = []
    for day in map(date.fromisoformat, days):
        if periods and periods[-1][1] + timedelta(days=1) == day:
            periods[-1] = periods[-1][0], day
        else:
            periods.append((day, day))
    return ", ".join(_days(first, last) for first, last in periods)


def _days(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


_OMITTED = {"free": "free calls (by app, not answered, in ad-hoc meetings)"}


def omitted(answer: Row) -> Iterator[Text]:
    """Yield the line that says which calls a report leaves out."""
    if kinds := answer["omits"]:
        yield plain(f"Left out: {', '.join(_OMITTED.get(kind, kind) for kind in kinds)}.")


def _text(value: object) -> str:
    match value:
        case None:
            return NOTHING
        case list():
            return ", ".join(map(str, value)) or NOTHING
    return str(value)


def _minutes(seconds: int) -> str:
    whole, rest = divmod(seconds, 60)
    return f"{whole:,}:{rest:02d}"


def _amount(value: str, decimals: int) -> str:
    if not value:
        return ""
    micros = read_micros(value)
    whole, fraction = divmod(abs(micros), MICROS_PER_UNIT)
    return f"{'-' if micros < 0 else ''}{whole:,}.{f'{fraction:0{DECIMALS}d}'[:decimals]}"
