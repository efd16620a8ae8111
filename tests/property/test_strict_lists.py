"""Whatever a table of rows holds: each row is in the card with its own price, or it is named."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from perminute.domain.errors import FaultyRateCard
from perminute.domain.rating.calls import LegType
from perminute.domain.values.money import format_micros
from perminute.formats.rate_card_csv import read_rate_card, write_rate_card
from perminute_local.carrier_price_lists import DECKS
from perminute_local.carrier_price_lists.mapped import ColumnMapping, read_mapped
from perminute_local.carrier_price_lists.price_list import DeckOptions

HEADER = ["leg_type", "prefix", "currency", "rate_per_minute", "description"]
ACS_HEADER = ["Destination Name", "Country", "Prefix", "Price / min"]
CODE, PRICE, NAME = "Code", "Price", "Name"
MAPPING = ColumnMapping(
    columns={"prefix": CODE, "rate": PRICE, "description": NAME},
    leg_type=LegType.DIAL_OUT,
    currency="EUR",
)

PREFIXES = st.from_regex(r"[1-9][0-9]{0,4}", fullmatch=True)
MICROS = st.integers(0, 10**8)
CELLS = st.one_of(
    st.text(st.sampled_from("0123456789.,;+-Ee$ \t\n\"'=\0äUSDdialOut"), max_size=12),
    PREFIXES,
    MICROS.map(format_micros),
    st.sampled_from(["dialOut", "tollDialIn", "USD", "EUR", "DE", ""]),
)


class Sound(NamedTuple):
    """A row that can be taken."""

    prefix: str
    micros: int
    name: str


class Writing(NamedTuple):
    """How a list was saved."""

    separator: str
    decimal: str
    encoding: str
    start: str = ""


SOUND_ROWS = st.lists(
    st.builds(Sound, PREFIXES, MICROS, st.text("abc ,;äö", max_size=8)),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row.prefix,
)
SEPARATED, DECIMAL = st.sampled_from([",", ";", "\t", "|"]), st.sampled_from([".", ","])
DECLARED = st.tuples(SEPARATED, DECIMAL)
WRITINGS = st.builds(
    Writing,
    SEPARATED,
    DECIMAL,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]),
    st.sampled_from(["", "sep=;\n", "\n"]),
)


def written(header: list[str], rows: list[list[str]], separator: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def lines(rows: list[list[str]]) -> list[int]:
    """Return the line on which each row begins: a cell may hold line breaks."""
    starts, line = [], 2
    for row in rows:
        starts.append(line)
        line += 1 + sum(cell.count("\n") for cell in row)
    return starts


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=6), min_size=1, max_size=8))
@example(rows=[["dialOut", "49", "USD", "0", "32"]])
@example(rows=[["dialOut", "49", "USD", "0.1", "a\nb"], ["x", "y"]])
def test_each_row_of_a_card_is_taken_or_named(rows: list[list[str]]) -> None:
    taken, named = read_card(rows)
    for line, row in zip(lines(rows), rows, strict=True):
        if any(cell.strip() for cell in row):
            alone, refused = read_card([row])
            if refused:
                assert line in named
            elif not named:
                assert alone <= taken


def read_card(rows: list[list[str]]) -> tuple[set[tuple[str, str, int]], set[int]]:
    """Return the rates of a card, or the lines that have a fault."""
    try:
        rates = read_rate_card(written(HEADER, rows)).rates
    except FaultyRateCard as error:
        return set(), {fault.line for fault in error.faults}
    return {(rate.leg_type, rate.prefix, rate.rate_micros_per_minute) for rate in rates}, set()


@given(rows=st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=8))
@example(rows=[["", "", "", "0"], ["", "", "1", "0"]])
def test_each_row_of_a_list_is_taken_listed_or_named(rows: list[list[str]]) -> None:
    taken, named = read_list(rows)
    for line, row in zip(lines(rows), rows, strict=True):
        if any(cell.strip() for cell in row):
            alone, _ = read_list([row])
            if not alone:
                assert line in named
            elif taken:
                assert line in named or alone <= taken


def read_list(rows: list[list[str]]) -> tuple[set[tuple[str, int]], set[int]]:
    """Return the rates of a list, none if it is refused, and the lines that are named."""
    prices = DECKS["acs"](written(ACS_HEADER, rows), DeckOptions())
    rates = {(rate.prefix, rate.rate_micros_per_minute) for rate in prices.rates()}
    return rates, {one.line for one in (*prices.faults, *prices.left_out, *prices.repeated)}


@given(rows=SOUND_ROWS, writing=WRITINGS, declared=DECLARED)
@example(rows=[Sound("49", 26_000, "x")], writing=Writing(",", ",", "utf-8"), declared=(",", "."))
@example(rows=[Sound("49", 26_000, "x")], writing=Writing(";", ",", "utf-16"), declared=(";", ","))
def test_no_separator_decimal_mark_or_encoding_changes_a_price_in_silence(
    rows: list[Sound], writing: Writing, declared: tuple[str, str]
) -> None:
    cells = [
        [row.prefix, format_micros(row.micros).replace(".", writing.decimal), row.name]
        for row in rows
    ]
    text = writing.start + written([CODE, PRICE, NAME], cells, writing.separator).decode()
    options = DeckOptions(separator=declared[0], decimal=declared[1])
    prices = read_mapped(text.encode(writing.encoding), options, MAPPING)
    found = {rate.prefix: rate.rate_micros_per_minute for rate in prices.rates()}
    if not prices.faults:
        assert found == {row.prefix: row.micros for row in rows}


@given(rows=SOUND_ROWS)
def test_what_is_converted_is_a_card(rows: list[Sound]) -> None:
    cells = [[row.prefix, format_micros(row.micros), row.name] for row in rows]
    rates = read_mapped(written([CODE, PRICE, NAME], cells), DeckOptions(), MAPPING).rates()
    assert read_rate_card(write_rate_card(rates).encode()).rates == tuple(rates)
