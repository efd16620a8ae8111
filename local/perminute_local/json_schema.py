"""What becomes of our own words when they are published to others."""

from __future__ import annotations

import re
from typing import Any

from perminute.domain.rating.calls import PRICED_BY
from perminute.domain.reference.phone_numbers import PATTERN

_REFERENCE = re.compile(r" \(docs/[^)]*\)")


def without_references(text: str) -> str:
    """Leave out where a rule comes from: what our code refers to is not for its readers."""
    return _REFERENCE.sub("", text)


def schema_of_text(text_type: Any) -> dict[str, Any]:  # noqa: ANN401 - msgspec passes the type itself
    """Return the schema of a `TextType`, for msgspec."""
    schema: dict[str, Any] = text_type.schema
    return schema


def numbers_by_leg_type() -> list[dict[str, Any]]:
    """Return what JSON Schema says of the numbers of a call: which one must be there, and E.164."""
    leg_types: dict[str, list[str]] = {}
    for leg_type, field in PRICED_BY.items():
        leg_types.setdefault(field, []).append(leg_type.value)
    return [
        {
            "if": {"properties": {"legType": {"enum": names}}, "required": ["legType"]},
            "then": {
                "properties": {field: {"type": "string", "pattern": PATTERN}},
                "required": [field],
            },
        }
        for field, names in leg_types.items()
    ]
