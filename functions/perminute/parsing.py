"""JSON from outside becomes a checked message, or a refusal that names every field that is wrong.

Events and the charging API are parsed by this. msgspec checks what the types of a
message say. A `TextType` reads what JSON writes as text: ids, amounts, times. Refusals are logged:
they say what a field must be, and never what was sent.
"""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, get_args, get_origin

from msgspec import DecodeError, Struct, ValidationError, convert
from msgspec.json import Decoder, decode
from msgspec.structs import fields as struct_fields

from perminute.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    Quote = Callable[[object], str]

M = TypeVar("M", bound=Struct)

NO_TEXT = "is not Unicode text: it has half of a surrogate pair"

# Python reads longer whole numbers in time that grows with their square, or not at all.
_MAX_DIGITS = 300
# msgspec evaluates all annotations each time, which takes 300 µs.
_fields_of = cache(struct_fields)
_INDEX = re.compile(r"`\$\[([0-9]+)\]`$")


class TextType(type):
    """A type of field that is text in JSON and becomes what `read` returns."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]
    must_be_text: str
    min_length: int
    max_length: int
    schema: dict[str, Any]

    def __instancecheck__(cls, _: object) -> bool:
        # msgspec asks this of what `read` returned, which is an int, a str or a datetime.
        return True


def text_type(
    read: Callable[[str], Any],
    title: str = "text",
    *,
    write: Callable[[Any], str] = str,
    example: str = "",
    **schema: object,
) -> TextType:
    """Make a type of text. `schema` is its JSON Schema, of which only lengths are checked here.

    `read` raises `ValueError` that says what the text must be. `write` writes what was read in its
    one spelling.
    """
    namespace = {
        "read": read,
        "write": write,
        "must_be_text": f"must be text such as {example}" if example else "must be text",
        "min_length": schema.get("minLength", 0),
        "max_length": schema.get("maxLength", sys.maxsize),
        "schema": {"type": "string", "title": title, **schema},
    }
    return TextType(title, (), namespace)


def parse(text: str | bytes, message: type[M], *, called: str = "body") -> M:
    """Parse a JSON object. `called` names the whole in what is refused. Raises `Refused`."""
    valid = parse_valid(text, message)
    if valid is not None:
        return valid
    return read_message(parse_json(text, called=called), message, called=called)


def parse_valid(text: str | bytes, message: type[M]) -> M | None:
    """Parse a JSON object in one pass; None if msgspec finds any fault.

    `read_message` decides then: some of what msgspec refuses is valid, and all else has a reason
    that names its field. Both read alike what this one reads.
    """
    try:
        # Of fields that nobody reads, msgspec does not check whether they are UTF-8.
        valid: M = _decoder_of(message).decode(text if isinstance(text, str) else text.decode())
    except (DecodeError, UnicodeError, RecursionError):
        return None
    return valid


@cache
def _decoder_of(message: type[M]) -> Decoder[M]:
    return Decoder(message, dec_hook=_read_text)


def parse_json(text: str | bytes, *, called: str) -> object:
    """Parse JSON of which a field that nobody reads may contain all that JSON can say.

    msgspec refuses a whole document for half of a surrogate pair, which JSON can write and no text
    can contain (RFC 8259 §8.2), and for a number that is too large. Senders write these into fields
    that we ignore, and into numbers that are withheld. Raises `Refused`.
    """
    if not text:
        raise Refused(called, "is empty; send a JSON object")
    try:
        return decode(text)
    except (DecodeError, UnicodeError, RecursionError) as error:
        try:
            return parse_leniently(text if isinstance(text, str) else text.decode())
        except (ValueError, RecursionError):
            raise Refused(called, f"is not JSON: {error}") from None


def parse_leniently(text: str) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Parse JSON with Python's parser. Raises `ValueError` and `RecursionError`."""
    return json.loads(text, parse_int=_whole_number, parse_constant=_refuse_constant)


def read_message(
    sent: object,
    message: type[M],
    *,
    called: str = "body",
    from_text: bool = False,
    quote: Quote | None = None,
) -> M:
    """Check parsed JSON. `from_text`: numbers are written as text, as in a query.

    Raises `Refused`, which repeats a faulty value as `quote` writes it; without, it repeats none.
    """
    if not from_text:
        # msgspec stops at the first fault, and takes 61.0 for no integer.
        with suppress(ValidationError, UnicodeEncodeError):
            return convert(sent, message, dec_hook=_read_text)
    return _read_each_field(sent, message, called, _Faults(quote), strict=not from_text)


def text_type_of(annotation: object) -> TextType | None:
    """Return the `TextType` in the annotation of a field, such as that in `Amount | None`."""
    return next((part for part in _parts(annotation) if isinstance(part, TextType)), None)


def is_text(value: str) -> bool:
    """Return whether a text can be stored: it has no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_text(*sent: str) -> None:
    """Raise `Refused` if one of these texts has half of a surrogate pair."""
    if not is_text("\n".join(sent)):
        raise Refused("body", "has a name or a value that is not Unicode text")


def without_fraction(value: object) -> object:
    """Return `61.0` as 61, and anything else as it is: `61.5`, `True` and `"61"` are no integers.

    JSON has one kind of number. Senders whose language has no integers write them so, and JSON
    Schema accepts it.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_text(kind: Any, value: object) -> object:  # noqa: ANN401 - msgspec passes the type itself
    """Read a value of a `TextType`: msgspec's `dec_hook`."""
    if (
        isinstance(value, str)
        # Known of a text already; most of what is sent is, and then it has no surrogates.
        and value.isascii()
        and kind.min_length <= len(value) <= kind.max_length
    ):
        return kind.read(value)
    _check_text_of(kind, value)
    return kind.read(value)


def _check_text_of(kind: TextType, value: object) -> None:
    if value is None:
        raise ValueError(_NOT_NULL)
    if not isinstance(value, str):
        raise ValueError(kind.must_be_text)  # noqa: TRY004 - msgspec reports the ValueError
    if not is_text(value):
        raise ValueError(NO_TEXT)
    if len(value) < kind.min_length:
        msg = "must not be empty"
        raise ValueError(msg)
    if len(value) > kind.max_length:
        msg = f"must have at most {kind.max_length} characters"
        raise ValueError(msg)


_NOT_NULL = "must not be null"


class _Faults:
    """What is wrong with the fields of a message."""

    def __init__(self, quote: Quote | None = None) -> None:
        self._quote, self._found = quote, list[tuple[str, str]]()

    def __len__(self) -> int:
        return len(self._found)

    def add(self, field: str, fault: str, *values: object) -> None:
        """Add a fault of a field, with its value if it has one."""
        shown = "".join(f"{self._quote(value)} " for value in values if self._quote)
        self._found.append((field, shown + fault))

    def refusal(self) -> Refused:
        """Name all of them, the first one's field as that of the refusal."""
        (field, first), *more = self._found
        return Refused(field, first + "".join(f"; {name}: {fault}" for name, fault in more))


def _read_each_field(
    sent: object, message: type[M], called: str, faults: _Faults, *, strict: bool
) -> M:
    if not isinstance(sent, dict):
        raise Refused(called, "must be a JSON object")
    values = _values(sent, message, faults, strict=strict)
    if faults:
        raise faults.refusal()
    return message(**values)


def _values(
    sent: dict[str, object],
    message: type[Struct],
    faults: _Faults,
    *,
    strict: bool,
    within: str = "",
) -> dict[str, object]:
    """Return the fields of a message, and add to `faults` those that are wrong."""
    values: dict[str, object] = {}
    for field in _fields_of(message):
        value, name = sent.get(field.encode_name), within + field.encode_name
        nested = _message_in(field.type)
        if field.encode_name not in sent:
            if field.required:
                faults.add(name, "is required")
        elif isinstance(value, dict) and nested is not None:
            # Fields of a detail are named without it, by the use cases as well.
            inner = "" if name == "detail" else f"{name}."
            read = _values(value, nested, faults, strict=strict, within=inner)
            values[field.name] = None if faults else nested(**read)
        else:
            try:
                kind, value = field.type, without_fraction(value)
                is_strict = strict or text_type_of(kind) is not None
                read = convert(value, kind, dec_hook=_read_text, strict=is_strict)
                if read is None and value is not None:
                    # Where numbers are written as text, msgspec takes the text `null` for null.
                    faults.add(name, _rule_of(kind), value)
                values[field.name] = read
            except UnicodeEncodeError:
                faults.add(name, NO_TEXT)
            except ValidationError as error:
                known = len(faults)
                if isinstance(value, list) and nested is not None:
                    _read_items(value, nested, faults, strict=strict, within=name)
                if len(faults) == known:
                    fault, index = _fault_of(error, value, kind), _INDEX.search(str(error))
                    at, found = (name, value) if index is None else _item(name, value, index)
                    faults.add(at, fault, found)
    return values


def _read_items(
    items: list[object], message: type[Struct], faults: _Faults, *, strict: bool, within: str
) -> None:
    for number, item in enumerate(items):
        name = f"{within}.{number}"
        if isinstance(item, dict):
            _values(item, message, faults, strict=strict, within=f"{name}.")
        else:
            faults.add(name, "must be a JSON object", item)


def _item(name: str, value: object, index: re.Match[str]) -> tuple[str, object]:
    number = int(index[1])
    return f"{name}.{number}", value[number] if isinstance(value, list) else value


def _fault_of(error: ValidationError, value: object, kind: object) -> str:
    # What a `TextType` says; msgspec's own sentences are for who wrote the types.
    if error.__cause__ is not None:
        return str(error.__cause__)
    return _NOT_NULL if value is None else _rule_of(kind)


def _rule_of(kind: object) -> str:
    """Return what a value of a type must be that msgspec checks itself."""
    # Imported where it is needed: nearly all that is sent is right, and each start would pay.
    from msgspec import inspect  # noqa: PLC0415

    info: Any = inspect.type_info(kind)
    while isinstance(info, inspect.Metadata | inspect.UnionType):
        info = info.type if isinstance(info, inspect.Metadata) else info.types[0]
    match info:
        case inspect.IntType(ge=least, le=most):
            rule = f"a whole number from {least} to {most}"
        case inspect.EnumType(cls=values) | inspect.LiteralType(values=values):
            rule = " or ".join(", ".join(f'"{value}"' for value in values).rsplit(", ", 1))
        case inspect.VarTupleType(min_length=int(least), max_length=most):
            rule = f"a list of {least} to {most} items"
        case inspect.VarTupleType(max_length=int(most)):
            rule = f"a list of at most {most} items"
        case inspect.VarTupleType():
            rule = "a list"
        case inspect.BoolType():
            rule = "true or false"
        case inspect.StrType(max_length=None):
            rule = "text"
        case inspect.StrType(min_length=least, max_length=most):
            rule = f"text of {least} to {most} characters"
        case _:
            rule = "a JSON object"
    return f"must be {rule}"


def _message_in(annotation: object) -> type[Struct] | None:
    for part in _parts(annotation):
        if isinstance(part, type) and issubclass(part, Struct):
            return part
    return None


def _parts(annotation: object) -> list[object]:
    """Return the types that an annotation is made of, inside `Annotated` and `|` as well."""
    if get_origin(annotation) is None:
        return [annotation]
    return [part for argument in get_args(annotation) for part in _parts(argument)]


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _refuse_constant(constant: str) -> NoReturn:
    """Refuse `NaN` and the infinities, which Python's parser takes and JSON does not have."""
    msg = f"{constant} is not JSON"
    raise ValueError(msg)
