"""How values are written into items and JSON, and read again: each field of a type is named once.

A `Format` writes and reads one value; `Record` and `row` combine the formats of a type's fields.
A field that has its default is left out: an item is paid for by the started kilobyte.
"""

from __future__ import annotations

import dataclasses
import zlib
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from msgspec.json import decode, encode

from perminute.domain.values.times import EPOCH, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import StrEnum

T = TypeVar("T")

Item = dict[str, dict[str, Any]]
"""An item as DynamoDB's API has it: attribute name to `{type: value}`."""

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
MICROS_PER_SECOND = 1_000_000
LEAST_MICROSECONDS = 10**12
"""Stored numbers from this on are microseconds: as seconds they would be after the year 33658."""


def to_json(value: Any) -> str:  # noqa: ANN401 - any value
    """Write JSON without spaces and without escaping letters beyond ASCII: each byte is paid for.

    msgspec writes and reads integers of any size.
    """
    return encode(value).decode()


class Format(NamedTuple):
    """How a value is written, and read again."""

    write: Callable[[Any], Any]
    read: Callable[..., Any]


_DECLARED = object()
"""In the place of a default: the default that the type declares, if any."""
ALWAYS_WRITTEN = object()
"""In the place of a default: the field is always written, since a condition compares it."""


class Field(NamedTuple):
    """How a field is stored, where its name or default differs from those of the type."""

    format: Format
    name: str = ""  # empty: the field's own in camelCase
    default: object = _DECLARED


# ── Values ───────────────────────────────────────────────────────────────────────────────────


def _unchanged(value: Any) -> Any:  # noqa: ANN401 - any value
    return value


def _written_instant(at: datetime) -> int:
    micros = (at - EPOCH) // MICROSECOND
    if at.microsecond and abs(micros) >= LEAST_MICROSECONDS:
        return micros
    return micros // MICROS_PER_SECOND


def _read_instant(stored: int) -> datetime:
    return EPOCH + stored * (SECOND if abs(stored) < LEAST_MICROSECONDS else MICROSECOND)


def sortable(at: datetime) -> str:
    """Write an instant so that text sorts as time does: with all digits of its second."""
    return at.isoformat(timespec="microseconds")


def whole_seconds(at: datetime) -> str:
    """Write an instant so that text sorts as time does: rounded down, for indexes."""
    return format_instant(at.replace(microsecond=0))


PLAIN = Format(_unchanged, _unchanged)
FLAG = Format(int, bool)
SHORT_INSTANT = Format(_written_instant, _read_instant)
"""Seconds since 1970, or microseconds if the instant has a fraction."""
DAY = Format(date.isoformat, date.fromisoformat)
PLAIN_LIST = Format(list, tuple)
"""A tuple of values that JSON writes as they are."""


def enum_of(kind: type[StrEnum]) -> Format:
    return Format(str, kind)


def list_of(of: Format) -> Format:
    write, read = of
    return Format(
        lambda values: [write(value) for value in values],
        lambda stored: tuple([read(value) for value in stored]),
    )


def mapping(keys: Format, values: Format) -> Format:
    return Format(
        lambda mapped: {keys.write(key): values.write(mapped[key]) for key in mapped},
        lambda stored: {keys.read(key): values.read(stored[key]) for key in stored},
    )


def prefixed(prefix: str, of: Format = PLAIN) -> Format:
    return Format(
        lambda value: f"{prefix}{of.write(value)}",
        lambda stored: of.read(stored.removeprefix(prefix)),
    )


# ── Attributes of an item ────────────────────────────────────────────────────────────────────


def attribute(kind: str, of: Format) -> Format:
    """Write a value as an attribute of DynamoDB's type `S`, `N`, `B` or `L`."""
    write, read = of
    return Format(lambda value: {kind: write(value)}, lambda stored: read(stored[kind]))


TEXT = attribute("S", PLAIN)
NUMBER = attribute("N", Format(str, int))
FLAG_NUMBER = attribute("N", Format(lambda flag: str(int(flag)), lambda text: bool(int(text))))
INSTANT = attribute("S", Format(format_instant, parse_instant))
SORTABLE_INSTANT = attribute("S", Format(sortable, parse_instant))


def as_json(of: Format = PLAIN) -> Format:
    """Write a value as an attribute of JSON text.

    Only what a condition, filter or export reads has an attribute of its own.
    """
    write, read = of
    return attribute(
        "S", Format(lambda value: to_json(write(value)), lambda text: read(decode(text)))
    )


def compressed(of: Format) -> Format:
    write, read = of
    return attribute(
        "B",
        Format(
            lambda value: zlib.compress(encode(write(value))),
            lambda content: read(decode(zlib.decompress(content))),
        ),
    )


# ── Types ────────────────────────────────────────────────────────────────────────────────────


class Record(Generic[T]):
    """How a value of a type is written as an item or a JSON object, by its fields' names."""

    def __init__(self, kind: type[T], /, **fields: Format | Field) -> None:
        """Take the format of each field; its stored name is the field's in camelCase."""
        self.kind = kind
        self._fields = [
            (name, *_stored_as(name, field, _defaults(kind))) for name, field in fields.items()
        ]

    def write(self, value: T) -> dict[str, Any]:
        """Write the fields that differ from their defaults."""
        stored: dict[str, Any] = {}
        for name, stored_name, write, _, default in self._fields:
            content = getattr(value, name)
            if content != default:
                stored[stored_name] = write(content)
        return stored

    def read(self, stored: Mapping[str, Any], **more: Any) -> T:  # noqa: ANN401 - any field
        """Read a value; `more` are the fields that are not stored under a name of their own."""
        for name, stored_name, _, read, _ in self._fields:
            if stored_name in stored:
                more[name] = read(stored[stored_name])
        return self.kind(**more)

    @property
    def format(self) -> Format:
        return Format(self.write, self.read)


def row(kind: Callable[..., Any], /, **formats: Format) -> Format:
    """Write a value of a type as a list of these fields, which ends before its last defaults.

    New fields go at the end: what is stored is read by position.
    """
    names = list(formats)
    defaults = [_defaults(kind).get(name, ALWAYS_WRITTEN) for name in names]

    def write(value: object) -> list[Any]:
        contents = [getattr(value, name) for name in names]
        while contents and contents[-1] == defaults[len(contents) - 1]:
            contents.pop()
        return [
            None if content is None else of.write(content)
            for content, of in zip(contents, formats.values(), strict=False)
        ]

    def read(stored: list[Any], **more: Any) -> object:  # noqa: ANN401 - any field
        for (name, of), content in zip(formats.items(), stored, strict=False):
            more[name] = None if content is None else of.read(content)
        return kind(**more)

    return Format(write, read)


def _stored_as(
    name: str, field: Format | Field, defaults: Mapping[str, object]
) -> tuple[str, Callable[[Any], Any], Callable[[Any], Any], object]:
    if isinstance(field, Format):
        field = Field(field)
    default = defaults.get(name, ALWAYS_WRITTEN) if field.default is _DECLARED else field.default
    return field.name or _camel_case(name), *field.format, default


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _defaults(kind: Callable[..., Any]) -> dict[str, object]:
    """Return the defaults of the fields of a dataclass or named tuple."""
    if not dataclasses.is_dataclass(kind):
        defaults: dict[str, object] = getattr(kind, "_field_defaults", {})
        return defaults
    return {
        field.name: field.default
        if field.default_factory is dataclasses.MISSING
        else field.default_factory()
        for field in dataclasses.fields(kind)
        if field.default is not dataclasses.MISSING
        or field.default_factory is not dataclasses.MISSING
    }
