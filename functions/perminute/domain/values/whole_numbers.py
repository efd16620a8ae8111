"""Integers as JSON says them: it has one kind of number, and `61.0` is the integer 61."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def without_fraction(value: object) -> object:
    """Return `61.0` as 61, and anything else as it is: `61.5`, `True` and `"61"` are no integers.

    Senders whose language has no integers write them so, and JSON Schema accepts it.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def with_whole_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a JSON object, whole numbers without a fraction.

    Of all fields: those that hold no integer take neither of both, an amount being text.
    """
    return {name: without_fraction(value) for name, value in fields.items()}
