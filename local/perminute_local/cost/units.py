"""The capacity units that DynamoDB bills for a request (AWS: "Read and write operations")."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

Item = dict[str, dict[str, Any]]

WRITE_UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
TRANSACTIONAL = 2
"""Times the units of the same request outside of a transaction."""


def write_units(operation: str, request: dict[str, Any]) -> int:
    """Return the write units of a request that goes through; 0 for one that reads.

    Index writes are not counted: a charge leaves the keys of both tables' indexes as they are.
    """
    match operation:
        case "PutItem":
            return _units(size_of(request["Item"]), WRITE_UNIT_BYTES)
        case "TransactWriteItems":
            parts = (part for one in request["TransactItems"] for part in one.values())
            # What has no item here is a check, or a deletion: it counts by the item that is there.
            sizes = (size_of(part.get("Item", {})) for part in parts)
            return TRANSACTIONAL * sum(_units(size, WRITE_UNIT_BYTES) for size in sizes)
        case _:
            return 0


def read_units(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> Decimal:
    """Return the read units of a request; 0 for one that writes."""
    match operation:
        case "GetItem":
            units = _units(size_of(answer.get("Item", {})), READ_UNIT_BYTES)
            return units * _consistency(request)
        case "TransactGetItems":
            sizes = (size_of(response.get("Item", {})) for response in answer["Responses"])
            return Decimal(TRANSACTIONAL * sum(_units(size, READ_UNIT_BYTES) for size in sizes))
        case "BatchGetItem":
            # Of each table as many as were asked for: one that is not there is billed as well.
            return sum(
                (
                    _batch_units(asked, answer["Responses"].get(table, []))
                    for table, asked in request["RequestItems"].items()
                ),
                Decimal(),
            )
        case "Query":
            size = sum(size_of(item) for item in answer.get("Items", []))
            return _units(size, READ_UNIT_BYTES) * _consistency(request)
        case _:
            return Decimal()


def size_of(item: Item) -> int:
    """Count the bytes of an item as DynamoDB does."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            # A byte for two digits, and one more.
            return -(-sum(map(str.isdigit, content)) // 2) + 1
        case "B":
            # As the client gets it, or as it is sent.
            return len(content if isinstance(content, bytes) else base64.b64decode(content))
        case "L":
            return 3 + sum(1 + _value_bytes(one) for one in content)
        case "M":
            return 3 + len(content) + size_of(content)
        case "BOOL" | "NULL":
            return 1
        case _:
            msg = f"the size of a DynamoDB value of type {kind} is not known here"
            raise ValueError(msg)


def _batch_units(asked: dict[str, Any], found: list[Item]) -> Decimal:
    units = sum(_units(size_of(item), READ_UNIT_BYTES) for item in found)
    return (units + len(asked["Keys"]) - len(found)) * _consistency(asked)


def _consistency(request: dict[str, Any]) -> Decimal:
    return Decimal(1) if request.get("ConsistentRead") else Decimal("0.5")


def _units(size: int, unit: int) -> int:
    # Nothing counts as one unit.
    return max(1, -(-size // unit))
