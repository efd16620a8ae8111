"""The emulator returns the same items, page by page, when it is shown only a page of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local.quick_queries import FEW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack

ITEMS, BYTES = 3 * FEW, 9_000
CALLS = [f"calls#{number:03}" for number in range(ITEMS)]
ENTRIES = [f"entry#{number:03}" for number in range(FEW)]


@pytest.fixture
def stored(ministack_stack: Stack, organization: str) -> tuple[str, str]:
    """Three pages of calls and, after them, others; written in no order."""
    client, table = boto3.client("dynamodb"), ministack_stack.setting("CREDIT_TABLE")
    records = sorted([*CALLS, *ENTRIES], key=lambda record: record[::-1])
    for start in range(0, len(records), 25):
        puts: list[Any] = [
            {"PutRequest": {"Item": _item(organization, record)}}
            for record in records[start : start + 25]
        ]
        client.batch_write_item(RequestItems={table: puts})
    return table, organization


def _item(organization: str, record: str) -> dict[str, Any]:
    text = "x" * BYTES if record in CALLS else ""
    return {"organizationId": {"S": organization}, "record": {"S": record}, "text": {"S": text}}


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("organizationId = :o", "", [*CALLS, *ENTRIES]),
        ("organizationId = :o AND begins_with(#record, :a)", "calls#", CALLS),
        ("organizationId = :o AND begins_with(#record, :a)", "entry#", ENTRIES),
        ("organizationId = :o AND #record BETWEEN :a AND :b", "calls#009 d", CALLS[9:]),
        ("organizationId = :o AND #record > :a", "calls#298", [CALLS[-1], *ENTRIES]),
    ],
)
@pytest.mark.parametrize("options", [{}, {"ScanIndexForward": False}, {"Limit": 70}])
def test_a_query(
    stored: tuple[str, str], condition: str, values: str, expected: list[str], options: Any
) -> None:
    table, organization = stored
    named = {":o": organization, **dict(zip((":a", ":b"), values.split(), strict=False))}
    if values:
        options = {**options, "ExpressionAttributeNames": {"#record": "record"}}
    found = list(
        _records(
            "query",
            TableName=table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues={name: {"S": value} for name, value in named.items()},
            **options,
        )
    )
    assert found == (expected if options.get("ScanIndexForward", True) else expected[::-1])


def test_a_scan(stored: tuple[str, str]) -> None:
    table, _ = stored
    all_at_once = list(_records("scan", TableName=table))
    assert list(_records("scan", TableName=table, Limit=70)) == all_at_once
    # The table is shared with other tests.
    assert set(all_at_once) >= {*CALLS, *ENTRIES}


def _records(operation: str, **options: Any) -> Iterator[str]:
    # The paginator takes a limit for that of all pages.
    client = boto3.client("dynamodb")
    while True:
        page = getattr(client, operation)(**options)
        yield from (item["record"]["S"] for item in page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        options["ExclusiveStartKey"] = page["LastEvaluatedKey"]
