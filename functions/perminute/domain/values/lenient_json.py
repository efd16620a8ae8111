"""JSON in which a field that nobody reads may hold anything that JSON can say.

Strict readers refuse a whole document for half of a surrogate pair, which JSON can write and no
text can hold (RFC 8259 §8.2), and for a number that is too large for them, wherever it stands.
Senders write such things into fields that we ignore, and into numbers that are withheld.
"""

from __future__ import annotations

import json
from typing import NoReturn

NO_TEXT = "is no Unicode text: it has half of a surrogate pair"

_MAX_DIGITS = 300
"""Python reads longer whole numbers in time that grows with their square, or not at all."""


def read_leniently(text: str) -> object:
    """Parse JSON whose texts may have halves of surrogate pairs, and its numbers any size.

    Raises `ValueError` for what is no JSON, and `RecursionError` for what is nested too deeply.
    """
    return json.loads(text, parse_int=_whole_number, parse_constant=_refuse)


def is_text(value: str) -> bool:
    """Return whether a text can be stored: it has no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _refuse(constant: str) -> NoReturn:
    """Refuse `NaN` and the infinities, which Python's parser takes and JSON does not have."""
    msg = f"{constant} is no JSON"
    raise ValueError(msg)
