"""Where a request comes in: JSON becomes a checked message, or a refusal by field."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import DecodeError, ValidationError, convert
from msgspec.json import decode

from perminute.domain.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.api.messages import Message

M = TypeVar("M", bound="Message")

_AT_PATH = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<field>[^`]*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>\w+)`")
_PATTERN = re.compile(r"Expected `str` matching regex .*")
_ENUM = re.compile(r"Invalid enum value .*", re.DOTALL)
_NOT_E164 = "must be an E.164 number such as +14255550100 (a masked tail such as **** is accepted)"


def read_body(body: bytes, message: type[M]) -> M:
    """Read JSON; `Refused` names the field that is missing or impossible, and never a number."""
    try:
        return decode(body, type=message)
    except ValidationError as error:
        raise _refused(error) from None
    except (DecodeError, RecursionError) as error:
        raise Refused("body", f"is not JSON: {error}") from None


def read_fields(fields: Mapping[str, Any], message: type[M], *, text: bool = False) -> M:
    """Read what is parsed already; where all is `text`, numbers are read from it."""
    try:
        return convert(dict(fields), type=message, strict=not text)
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> Refused:
    """Turn msgspec's message into ours, which shows nothing of what was sent: it is logged."""
    match = _AT_PATH.fullmatch(str(error))
    what, field = (match["what"], match["field"]) if match else (str(error), None)
    missing = _MISSING.fullmatch(what)
    if missing:
        return Refused(missing["field"], "is required")
    if _PATTERN.fullmatch(what):
        return Refused(field or "body", _NOT_E164)
    if _ENUM.fullmatch(what):
        return Refused(field or "body", "is none of the values that docs/openapi.json names")
    return Refused(field or "body", what[:1].lower() + what[1:])
