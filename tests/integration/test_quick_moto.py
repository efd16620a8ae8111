"""moto made quick answers as moto does."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb.models.table import Table

from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

MAX_PAGES = 20
OF_CONTOSO: dict[str, Any] = {
    "KeyConditionExpression": "#of = :of",
    "ExpressionAttributeNames": {"#of": "of"},
    "ExpressionAttributeValues": {":of": {"S": "contoso"}},
}
OF_TODAY: dict[str, Any] = {
    "IndexName": "byDay",
    "KeyConditionExpression": "#day = :day",
    "ExpressionAttributeNames": {"#day": "day"},
    "ExpressionAttributeValues": {":day": {"S": "today"}},
}


@pytest.fixture(params=["name", None], ids=["with a sort key", "without"])
def client(request: pytest.FixtureRequest) -> Iterator[DynamoDBClient]:
    """Yield a client of a table in which numbers are in another order than texts."""
    keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    with environment(AWS_DEFAULT_REGION="us-east-1", **keys), mock_aws():
        client = boto3.client("dynamodb")
        sort = [{"AttributeName": "name", "KeyType": "RANGE"}] if request.param else []
        names = {"of": "S", "day": "S", **({"name": "N"} if sort else {})}
        client.create_table(
            TableName="calls",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": kind} for name, kind in names.items()
            ],
            KeySchema=[{"AttributeName": "of", "KeyType": "HASH"}, *sort],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "byDay",
                    "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        for of in ("fabrikam", "contoso", "adatum"):
            for number in (9, 10, 2, 100, 1):
                day = {"day": {"S": "today"}} if number % 2 else {}
                item: dict[str, Any] = {"of": {"S": of}, "name": {"N": f"{number}"}, **day}
                client.put_item(TableName="calls", Item=item)
        yield client


def pages(ask: Callable[..., Any], **asked: object) -> list[list[Any]]:
    found: list[list[Any]] = []
    start: dict[str, Any] = {}
    while not found or (start and len(found) < MAX_PAGES):
        page = ask(TableName="calls", Limit=2, **asked, **start)
        found.append(page["Items"])
        last = page.get("LastEvaluatedKey")
        start = {"ExclusiveStartKey": last} if last else {}
    return found


def all_found(client: DynamoDBClient) -> list[list[list[Any]]]:
    ways = ({"ScanIndexForward": True}, {"ScanIndexForward": False})
    asked = [pages(client.query, **of, **way) for of in (OF_CONTOSO, OF_TODAY) for way in ways]
    return [*asked, pages(client.scan)]


def test_pages_are_those_of_moto(client: DynamoDBClient) -> None:
    query, all_items = inspect.unwrap(Table.query), inspect.unwrap(Table.all_items)
    assert (query, all_items) != (Table.query, Table.all_items)
    with patch.object(Table, "query", query), patch.object(Table, "all_items", all_items):
        plain = all_found(client)
    assert all(found[0] for found in plain)
    assert all_found(client) == plain
