"""The units that `make cost` computes are those that DynamoDB says it consumed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local.cost.units import read_units, size_of, write_units

if TYPE_CHECKING:
    from perminute_local.stack import Stack

KEY = {"organizationId": {"S": "sizes"}, "record": {"S": "one"}}


def item(size: int) -> dict[str, Any]:
    """An item of so many bytes."""
    empty: dict[str, Any] = {
        **KEY,
        "text": {"S": ""},
        "number": {"N": "1234"},
        "list": {"L": [{"S": "ä"}]},
    }
    return {**empty, "text": {"S": "x" * (size - size_of(empty))}}


@pytest.mark.parametrize("size", [200, 1_024, 1_025, 2_048, 3_000])
def test_what_is_written_counts_by_the_kilobyte(ministack_stack: Stack, size: int) -> None:
    table = ministack_stack.setting("CREDIT_TABLE")
    client = boto3.client("dynamodb")
    put: dict[str, Any] = {"TableName": table, "Item": item(size)}
    answer = client.put_item(**put, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"]["CapacityUnits"] == write_units("PutItem", put)
    together: dict[str, Any] = {"TransactItems": [{"Put": put}]}
    consumed = client.transact_write_items(**together, ReturnConsumedCapacity="TOTAL")
    (units,) = consumed["ConsumedCapacity"]
    assert units["CapacityUnits"] == write_units("TransactWriteItems", together)


def test_what_is_read_counts_by_four_kilobytes_as_strongly_as_it_is_read() -> None:
    small, large = {"Item": item(4_096)}, {"Item": item(4_097)}
    strong = {"ConsistentRead": True}
    assert read_units("GetItem", strong, small) == 1
    assert read_units("GetItem", strong, large) == 2
    assert read_units("GetItem", {}, large) == 1
    assert read_units("GetItem", {}, {}) == Decimal("0.5")
    assert read_units("TransactGetItems", {}, {"Responses": [small, large, {}]}) == 8
    # A query adds up before it rounds, a batch rounds each item and counts those that are missing.
    found = [item(3_000), item(3_000)]
    assert read_units("Query", strong, {"Items": found}) == 2
    asked = {"RequestItems": {"credit": {"Keys": [KEY] * 3, **strong}}}
    assert read_units("BatchGetItem", asked, {"Responses": {"credit": found}}) == 3
    assert read_units("TransactWriteItems", {}, {}) == 0
    assert write_units("GetItem", {}) == 0
