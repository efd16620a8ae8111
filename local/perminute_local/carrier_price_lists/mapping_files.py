"""A mapping that is kept in a file: JSON, so that a list of next month is read as this one was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perminute.formats.csv_tables import SEPARATORS, suggest
from perminute.formats.rate_card_csv import read_currency, read_leg_type
from perminute_local.carrier_price_lists.mapped import ColumnMapping, check_column, check_field
from perminute_local.carrier_price_lists.options import DECIMALS
from perminute_local.text_files import read_text, string_of
from perminute_local.wrong_call import WrongFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from perminute.domain.rating.calls import LegType

SEPARATORS_BY_NAME = {name: separator for separator, name in SEPARATORS.items()}
"""What `--separator` may say: `tab` for what cannot be typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedMapping:
    """What a file of a mapping says; None is what it leaves to the command line."""

    columns: dict[str, str]
    leg_type: LegType | None = None
    currency: str | None = None
    separator: str | None = None
    decimal: str | None = None
    ranges: bool | None = None

    def mapping(self) -> ColumnMapping:
        """Return what of it says which column is which."""
        return ColumnMapping(columns=self.columns, leg_type=self.leg_type, currency=self.currency)


def load_mapping(path: Path) -> SavedMapping:
    """Read a saved mapping; raise `WrongFile` that names the file and what is wrong in it."""
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is not JSON: {error}"
        raise WrongFile(msg) from error
    try:
        return _read(document)
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


def _read(document: object) -> SavedMapping:
    if not isinstance(document, dict) or not isinstance(document.get("columns"), dict):
        msg = 'must be an object such as {"columns": {"prefix": "Code", "rate": "Price"}}'
        raise ValueError(msg)  # noqa: TRY004 - every fault of the file is a ValueError here
    for name in document:
        if name not in _READERS:
            meant = suggest(name, tuple(_READERS))
            hint = f"write {meant}" if meant else f"there are {', '.join(_READERS)}"
            msg = f"{name} is no part of a mapping: {hint}"
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


def _columns(value: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON may hold
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
    """Return the separator that somebody named."""
    return SEPARATORS_BY_NAME[_one_of(value, tuple(SEPARATORS_BY_NAME))]


def read_decimal(value: object) -> str:
    """Return the decimal mark that somebody named."""
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
    "columns": _columns,
    "legType": lambda value: read_leg_type(string_of(value)),
    "currency": lambda value: read_currency(string_of(value)),
    "separator": read_separator,
    "decimal": read_decimal,
    "ranges": _ranges,
}
