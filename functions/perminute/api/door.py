"""Where a request comes in: JSON becomes a checked message, or a refusal by field."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from msgspec import DecodeError, ValidationError, convert
from msgspec.json import decode
from msgspec.structs import fields as struct_fields

from perminute.domain.errors import Refused
from perminute.domain.rating.calls import PRICED_BY
from perminute.domain.values.identifiers import PATTERN as ID_PATTERN
from perminute.domain.values.identifiers import SURROUNDING_SPACES
from perminute.domain.values.lenient_json import NO_TEXT, is_text, read_leniently
from perminute.domain.values.whole_numbers import with_whole_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.api.messages import Message

M = TypeVar("M", bound="Message")

_AT_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")
_ENUM = re.compile(r"Invalid enum value .*", re.DOTALL)
_OURS = (
    (
        rf"Expected `str` matching regex {re.escape(repr(ID_PATTERN))}",
        SURROUNDING_SPACES,
    ),
    (
        r"Expected `str` matching regex .*",
        (
            "must be an E.164 number of 7 to 15 digits such as +14255550100 "
            "(a masked **** is fine; in a query + is %2B)"
        ),
    ),
    (r"Expected `int(?: \| null)?`, got .*|Number out of range", "must be a whole number"),
    (r"Expected `str(?: \| null)?`, got .*", "must be text"),
    (r"Expected `object`, got .*", "must be a JSON object"),
    (r"Expected `str` of length >= 1", "must not be empty"),
    (r"Expected `str` of length <= (\d+)", r"must have at most \1 characters"),
    (r"Expected `int` >= (\d+)", r"must be at least \1"),
    (r"Expected `int` <= (\d+)", r"must be at most \1"),
)
_MESSAGES = tuple((re.compile(pattern, re.DOTALL), ours) for pattern, ours in _OURS)
"""What msgspec says, and what we do."""

_NUMBERS = frozenset(PRICED_BY.values())


def read_body(body: bytes, message: type[M]) -> M:
    """Read JSON; `Refused` names the field that is missing or impossible, and never a number."""
    if not body:
        raise Refused("body", "is empty; send a JSON object")
    try:
        return _decoded(body, message)
    except ValidationError as error:
        raise _refused(error, message) from None
    except (DecodeError, RecursionError) as error:
        raise Refused("body", f"is not JSON: {error}") from None


def read_fields(fields: Mapping[str, Any], message: type[M], *, text: bool = False) -> M:
    """Read what is parsed already; where all is `text`, numbers are read from it."""
    try:
        return convert(_known(fields, message), type=message, strict=not text)
    except ValidationError as error:
        raise _refused(error, message) from None
    except UnicodeEncodeError:
        raise _no_text() from None


def _known(fields: Mapping[str, Any], message: type[M]) -> dict[str, Any]:
    """Return the fields that a message has; `Refused` names one that is no text.

    Half of a surrogate pair refuses nothing in a field that is ignored, nor in a number: whether
    that may be withheld depends on the call.
    """
    names = [field.encode_name for field in struct_fields(message)]
    known = with_whole_numbers({name: fields[name] for name in names if name in fields})
    for name, value in known.items():
        if isinstance(value, str) and name not in _NUMBERS and not is_text(value):
            raise Refused(name, NO_TEXT)
    return known


def _decoded(body: bytes, message: type[M]) -> M:
    """Decode at once; only what is refused is read again, leniently."""
    try:
        return decode(body, type=message)
    except (DecodeError, RecursionError) as refused:
        try:
            sent = read_leniently(body.decode())
        except (ValueError, RecursionError):
            raise refused from None
        return convert(_known(sent, message) if isinstance(sent, dict) else sent, type=message)


def check_text(sent: object) -> None:
    """Refuse half of a surrogate pair, wherever it stands.

    JSON can say it, and no text can hold it (RFC 8259 §8.2), nor an answer that repeats it.
    """
    try:
        json.dumps(sent, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _no_text() from None


def _no_text() -> Refused:
    return Refused("body", "has a name or a value that is no Unicode text")


def _refused(error: ValidationError, message: type[Message]) -> Refused:
    """Turn msgspec's message into ours, which shows nothing of what was sent: it is logged."""
    match = _AT_PATH.fullmatch(str(error))
    what, field = (match["what"], match["field"]) if match else (str(error), None)
    missing = _MISSING.fullmatch(what)
    if missing:
        return Refused(missing["field"], "is required")
    if _ENUM.fullmatch(what):
        return Refused(field or "body", f"must be one of {', '.join(_values(field, message))}")
    for pattern, ours in _MESSAGES:
        if found := pattern.fullmatch(what):
            return Refused(field or "body", found.expand(ours))
    return Refused(field or "body", what)


def _values(field: str | None, message: type[Message]) -> list[str]:
    """Name what a field may be, out of its type."""
    (kind,) = (one.type for one in struct_fields(message) if one.encode_name == field)
    return [str(value) for value in (get_args(kind) or kind)]
