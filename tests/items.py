"""How large items are, as DynamoDB counts it."""

from __future__ import annotations

from typing import Any


def size_of(item: dict[str, dict[str, Any]]) -> int:
    """Count as DynamoDB does: names and texts in UTF-8, numbers at half a byte a digit, and one."""
    total = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        size = len(content.encode()) if kind == "S" else len(content) // 2 + 2
        total += len(name.encode()) + size
    return total
