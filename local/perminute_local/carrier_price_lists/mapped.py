"""Price lists by a mapping, which says which column of a list is which field of a rate.

A mapping can be saved in a file, as JSON, so that next month's list is read as this one was.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from perminute.domain.rating.calls import LegType
from perminute.domain.reference.countries import check_card_country
from perminute.domain.values.times import parse_instant
from perminute.formats.csv_tables import SEPARATORS, Columns, suggest
from perminute.formats.rate_card_csv import read_currency, read_increment, read_leg_type
from perminute_local.carrier_price_lists.price_list import DECIMALS, PriceList, rate_of, rates_of
from perminute_local.user_input import date_or_instant, read_text, string_of
from perminute_local.wrong_call import WrongCall, WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from perminute.domain.rating.rate_card import Rate
    from perminute.formats.csv_tables import Row
    from perminute_local.carrier_price_lists.price_list import DeckOptions


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
    # Fields whose cells must not be empty.
    required: frozenset[str] = frozenset({"rate", "leg_type", "currency"})

    def check(self) -> None:
        """Raise `WrongCall` unless each row gets a prefix, a rate, a leg type and a currency."""
        for fault in self._faults():
            raise WrongCall(fault)

    def _faults(self) -> Iterator[str]:
        columns = self.columns
        for name in REQUIRED_FIELDS:
            if name not in columns:
                yield f"the mapping names no column of {name}: {name}=COLUMN is needed"
        if columns["prefix"] == columns["rate"]:
            yield f"prefix and rate are both the column {columns['rate']}: name one for each"
        for name, value in (("leg_type", self.leg_type), ("currency", self.currency)):
            option = f"--{name.replace('_', '-')}"
            if value is None and name not in columns:
                yield f"{option} is needed, or {name}=COLUMN in the mapping"
            if value is not None and name in columns:
                yield f"{option} and the column {columns[name]}: only one can be the {name}"


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
        msg = f"{name} is not a field of a rate: {hint}"
        raise ValueError(msg)
    return name


def check_column(name: str, column: str) -> str:
    """Return the name of a list's column; raise ValueError if it is empty."""
    if not column:
        msg = f"names no column for {name}"
        raise ValueError(msg)
    return column


def read_mapped(
    content: bytes,
    options: DeckOptions,
    mapping: ColumnMapping,
    *,
    or_else: str = ", or name it so in the mapping",
) -> PriceList:
    """Read a list by a mapping; raise `WrongCall` if the mapping lacks something."""
    mapping.check()
    prices = PriceList()
    columns = Columns(tuple(dict.fromkeys(mapping.columns.values())), or_else=or_else)
    prefix = mapping.columns["prefix"]
    for row in prices.rows(content, columns, options, prefix=prefix):
        rate = mapped_rate(row, options, mapping)
        for priced in rates_of(row, prefix, options.read_prefixes, rate):
            prices.take(priced)
    return prices


def mapped_rate(row: Row, options: DeckOptions, mapping: ColumnMapping) -> Rate:
    """Return the rate of a row, without its prefix; a field without a column has its default."""

    def read(name: str, parse: Callable[[str], T], *, default: D) -> T | D:
        if name not in mapping.columns:
            return default
        may_be_empty = name not in mapping.required
        return row.read(mapping.columns[name], parse, default=default, may_be_empty=may_be_empty)

    since = read("effective_from", date_or_instant, default=None)
    until = read("effective_to", parse_instant, default=None)
    if since and until and until <= since:
        row.refuse("must lie after effective_from", column=mapping.columns["effective_to"])
    return rate_of(
        row,
        read("rate", options.read_rate, default=0),
        currency=mapping.currency or read("currency", read_currency, default=""),
        country=read("country", check_card_country, default=None),
        description=read("description", str, default=""),
        leg_type=mapping.leg_type or read("leg_type", read_leg_type, default=LegType.DIAL_OUT),
        connection_fee_micros=read("connection_fee", options.read_rate, default=0),
        initial_increment_seconds=read("initial_increment_seconds", read_increment, default=60),
        increment_seconds=read("increment_seconds", read_increment, default=60),
        effective_from=since,
        effective_to=until,
    )


SEPARATORS_BY_NAME = {name: separator for separator, name in SEPARATORS.items()}
"""What `--separator` may say: `tab` for what cannot be typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMapping(ColumnMapping):
    """What a file of a mapping says; None is what it leaves to the command line."""

    separator: str | None = None
    decimal: str | None = None
    ranges: bool | None = None


def load_mapping(path: Path) -> SavedMapping:
    """Read a saved mapping; raise `WrongFile` that names the file and what is wrong in it."""
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is not JSON: {error}"
        raise WrongFile(msg) from error
    try:
        return _read_mapping(document)
    except ValueError as error:
        msg = f"{path}: {error}"
        raise WrongFile(msg) from error


def save_mapping(path: Path, saved: SavedMapping) -> None:
    """Write a mapping for `load_mapping`, without what it does not say."""
    document = {
        "columns": saved.columns,
        "legType": saved.leg_type,
        "currency": saved.currency,
        "separator": saved.separator and SEPARATORS[saved.separator],
        "decimal": saved.decimal,
        "ranges": saved.ranges,
    }
    said = {name: value for name, value in document.items() if value is not None}
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_mapping(document: object) -> SavedMapping:
    if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
        msg = 'must be an object such as {"columns": {"prefix": "Code", "rate": "Price"}}'
        raise ValueError(msg)  # noqa: TRY004 - every fault of the file is a ValueError here
    for name in document:
        if name not in _READERS:
            meant = suggest(name, tuple(_READERS))
            hint = f"write {meant}" if meant else f"there are {', '.join(_READERS)}"
            msg = f"{name} is not a part of a mapping: {hint}"
            raise ValueError(msg)
    said = {name: _field(name, value) for name, value in document.items()}
    return SavedMapping(
        columns=said["columns"],
        leg_type=said.get("legType"),
        currency=said.get("currency"),
        separator=said.get("separator"),
        decimal=said.get("decimal"),
        ranges=said.get("ranges"),
    )


def _field(name: str, value: object) -> Any:  # noqa: ANN401 - each field has a type of its own
    try:
        return _READERS[name](value)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from error


def _columns_of(value: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON may hold
    return {
        check_field(name): check_column(name, _column(name, column))
        for name, column in value.items()
    }


def _column(name: str, value: object) -> str:
    if not isinstance(value, str):
        msg = f"{name} must be the name of a column"
        raise ValueError(msg)  # noqa: TRY004 - every fault of the file is a ValueError here
    return value.strip()


def read_separator(value: object) -> str:
    """Return the separator of this name."""
    return SEPARATORS_BY_NAME[_one_of(value, tuple(SEPARATORS_BY_NAME))]


def read_decimal(value: object) -> str:
    """Return the decimal mark if it is one."""
    return _one_of(value, DECIMALS)


def _one_of(value: object, known: tuple[str, ...]) -> str:
    if value not in known:
        msg = f"must be one of {' '.join(known)}"
        raise ValueError(msg)
    return str(value)


def _ranges(value: object) -> bool:
    if not isinstance(value, bool):
        msg = "must be true or false"
        raise ValueError(msg)  # noqa: TRY004 - every fault of the file is a ValueError here
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "columns": _columns_of,
    "legType": lambda value: read_leg_type(string_of(value)),
    "currency": lambda value: read_currency(string_of(value)),
    "separator": read_separator,
    "decimal": read_decimal,
    "ranges": _ranges,
}
