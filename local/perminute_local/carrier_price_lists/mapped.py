"""Any carrier's price list, by a mapping: which of its columns is which column of a card."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from perminute.domain.rating.calls import LegType
from perminute.domain.reference.countries import check_card_country
from perminute.domain.values.times import parse_instant
from perminute.formats.csv_tables import Columns, suggest
from perminute.formats.rate_card_csv import read_currency, read_increment, read_leg_type
from perminute_local.carrier_price_lists.price_list import PriceList, rate_of, rates_of
from perminute_local.dates import date_or_instant
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from perminute.domain.rating.rate_card import Rate
    from perminute.formats.csv_tables import Row
    from perminute_local.carrier_price_lists.options import DeckOptions

T = TypeVar("T")
D = TypeVar("D")

REQUIRED_FIELDS = ("prefix", "rate")
FIELDS = (
    *REQUIRED_FIELDS,
    "country",
    "description",
    "connection_fee",
    "initial_increment_seconds",
    "increment_seconds",
    "effective_from",
    "effective_to",
    "leg_type",
    "currency",
)
"""What a mapping may name a column for."""

_NEXT_FIELD = re.compile(r"(?:^|,)\s*([A-Za-z_]+)\s*=")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """The list's column of each field, and the leg type and currency that have no column."""

    columns: Mapping[str, str]
    leg_type: LegType | None = None
    currency: str | None = None

    def check(self) -> None:
        """Raise `WrongCall` unless each row gets a prefix, a rate, a leg type and a currency."""
        for name in REQUIRED_FIELDS:
            if name not in self.columns:
                msg = f"the mapping names no column of {name}: {name}=COLUMN is needed"
                raise WrongCall(msg)
        if self.columns["prefix"] == self.columns["rate"]:
            msg = f"prefix and rate are both the column {self.columns['rate']}: name one for each"
            raise WrongCall(msg)
        for name, said in (("leg_type", self.leg_type), ("currency", self.currency)):
            option = f"--{name.replace('_', '-')}"
            if said is None and name not in self.columns:
                msg = f"{option} is needed, or {name}=COLUMN in the mapping"
                raise WrongCall(msg)
            if said is not None and name in self.columns:
                msg = f"{option} and the column {self.columns[name]}: only one can be the {name}"
                raise WrongCall(msg)


def read_columns(text: str) -> dict[str, str]:
    """Read `prefix=Code,rate=Price / min`; a column's name may hold a comma.

    Raises ValueError for a field that there is not, or that is named twice.
    """
    starts = list(_NEXT_FIELD.finditer(text))
    if not starts or starts[0].start() > 0:
        msg = "must be FIELD=COLUMN, such as prefix=Code,rate=Price"
        raise ValueError(msg)
    ends = [start.start() for start in starts[1:]] + [len(text)]
    columns: dict[str, str] = {}
    for start, end in zip(starts, ends, strict=True):
        name = check_field(start[1])
        if name in columns:
            msg = f"names {name} twice"
            raise ValueError(msg)
        columns[name] = check_column(name, text[start.end() : end].strip())
    return columns


def check_field(name: str) -> str:
    """Return the name of a field; raise ValueError with the one that was perhaps meant."""
    if name not in FIELDS:
        meant = suggest(name, FIELDS)
        hint = f"write {meant}" if meant else f"there are {', '.join(FIELDS)}"
        msg = f"{name} is no field of a rate: {hint}"
        raise ValueError(msg)
    return name


def check_column(name: str, column: str) -> str:
    """Return the name of a list's column; raise ValueError if it is empty."""
    if not column:
        msg = f"names no column for {name}"
        raise ValueError(msg)
    return column


def read_mapped(content: bytes, options: DeckOptions, mapping: ColumnMapping) -> PriceList:
    """Read a list by a mapping; raise `WrongCall` if the mapping lacks something."""
    mapping.check()
    prices = PriceList()
    columns = Columns(
        tuple(dict.fromkeys(mapping.columns.values())), or_else=", or name it so in the mapping"
    )
    prefix = mapping.columns["prefix"]
    for row in prices.rows(content, columns, options, prefix=prefix):
        rate = _rate(row, options, mapping)
        for priced in rates_of(row, prefix, options.read_prefixes, rate):
            prices.take(priced)
    return prices


def _rate(row: Row, options: DeckOptions, mapping: ColumnMapping) -> Rate:
    cells = _Fields(row, mapping.columns)
    since = cells.read("effective_from", date_or_instant, default=None)
    until = cells.read("effective_to", parse_instant, default=None)
    if since and until and until <= since:
        row.refuse("must lie after effective_from", column=mapping.columns["effective_to"])
    return rate_of(
        row,
        cells.read("rate", options.read_rate, default=0, required=True),
        currency=mapping.currency
        or cells.read("currency", read_currency, default="", required=True),
        country=cells.read("country", check_card_country, default=None),
        description=cells.read("description", str, default=""),
        leg_type=mapping.leg_type
        or cells.read("leg_type", read_leg_type, default=LegType.DIAL_OUT, required=True),
        connection_fee_micros=cells.read("connection_fee", options.read_rate, default=0),
        initial_increment_seconds=cells.read(
            "initial_increment_seconds", read_increment, default=60
        ),
        increment_seconds=cells.read("increment_seconds", read_increment, default=60),
        effective_from=since,
        effective_to=until,
    )


class _Fields(NamedTuple):
    """The fields of a row; one that has no column, or is empty, has its default."""

    row: Row
    columns: Mapping[str, str]

    def read(
        self, name: str, parse: Callable[[str], T], *, default: D, required: bool = False
    ) -> T | D:
        if name not in self.columns:
            return default
        return self.row.read(self.columns[name], parse, default=default, may_be_empty=not required)
