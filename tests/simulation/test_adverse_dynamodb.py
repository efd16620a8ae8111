"""The adapters over a DynamoDB that answers in pages, in part, in any order and stale."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from planted_adapter_bugs import (
    ADAPTER_BUGS,
    ignoring_unprocessed_keys,
    reading_lists_as_they_were,
    stopping_after_the_first_page,
    taking_a_throttled_transaction_for_written,
    trusting_the_order_of_a_batch,
)

from perminute.adapters.dynamodb.account_items import ACCOUNT
from perminute_local.embedded_aws import REGION, environment
from perminute_local.quick_moto import cheap_transactions
from perminute_local.simulation.backends import adverse
from perminute_local.simulation.backends.adverse import LONGEST_PAGE, AdverseDynamoDB
from perminute_local.simulation.command import report_of
from perminute_local.simulation.faults import FaultInjector, FaultRates
from perminute_local.simulation.world import Over, World, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from perminute_local.simulation.simulator import Outcome
    from perminute_local.stack import Template

AWS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": REGION,
}
TABLE = "calls"


WHOLE = World(seed=0, events=60, over=Over.ADVERSE)

WORLDS: dict[Callable[[], AbstractContextManager[None]], World] = {
    stopping_after_the_first_page: WHOLE,
    reading_lists_as_they_were: replace(WHOLE, seed=4, events=12),
    ignoring_unprocessed_keys: WHOLE,
    trusting_the_order_of_a_batch: WHOLE,
    taking_a_throttled_transaction_for_written: WHOLE,
}
"""A world in which each bug shows, in a short history where one was found."""


@pytest.mark.parametrize(
    "world",
    [
        # With hardly any request beside those of every world.
        World(seed=50, events=1, over=Over.ADVERSE),
        *(
            pytest.param(world, marks=pytest.mark.thorough)
            for world in dict.fromkeys(WORLDS.values())
        ),
    ],
)
def test_every_promise_holds_over_it(
    template: Template, simulated: Callable[[World], Outcome], world: World
) -> None:
    outcome = simulated(world)
    assert outcome.broken is None, report_of(world, outcome, template)


@pytest.mark.thorough
@pytest.mark.parametrize(("bug", "promise"), ADAPTER_BUGS.items())
def test_a_bug_in_an_adapter_breaks_its_promise(
    template: Template, bug: Callable[[], AbstractContextManager[None]], promise: str
) -> None:
    with bug():
        broken = simulate(WORLDS[bug], template).broken
    assert broken is not None
    assert broken.promise == promise


# ── What it does ─────────────────────────────────────────────────────────────────────────────


class ChargingRequest:
    """A table with ten items, over a DynamoDB that is asked by a function."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.injector = FaultInjector(FaultRates())
        self.dynamodb = AdverseDynamoDB(self.injector)
        self.drawn = Random(7)

    def __call__(self, operation: str, *, by_function: bool = True, **params: Any) -> Any:
        method = {
            "Query": self.client.query,
            "BatchGetItem": self.client.batch_get_item,
            "GetItem": self.client.get_item,
            "PutItem": self.client.put_item,
            "TransactWriteItems": self.client.transact_write_items,
        }[operation]

        def make(asked: dict[str, Any]) -> Any:
            return method(**asked)

        if not by_function:
            return self.dynamodb.answer(make, operation, params)
        with self.injector.invocation(self.drawn):
            return self.dynamodb.answer(make, operation, params)

    def until_answered(self, operation: str, **params: Any) -> Any:
        while True:
            try:
                return self(operation, **params)
            except ClientError:
                continue


def item(number: int, content: str = "new") -> dict[str, dict[str, str]]:
    return {"owner": {"S": "contoso"}, "name": {"S": f"{number}"}, "content": {"S": content}}


def key(number: int) -> dict[str, dict[str, str]]:
    return {name: value for name, value in item(number).items() if name != "content"}


@pytest.fixture
def asked() -> Iterator[ChargingRequest]:
    with environment(**AWS), mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "owner", "KeyType": "HASH"},
                {"AttributeName": "name", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("owner", "name")
            ],
        )
        one = ChargingRequest(client)
        for number in range(10):
            one("PutItem", by_function=False, TableName=TABLE, Item=item(number, "old"))
            one("PutItem", by_function=False, TableName=TABLE, Item=item(number))
        yield one


@pytest.mark.parametrize(
    ("name", "attribute"), [(ACCOUNT, "version"), ("org", "facts"), ("change#c", "issuedAt")]
)
def test_a_canceled_transaction_over_moto_changes_nothing(
    asked: ChargingRequest, name: str, attribute: str
) -> None:
    client = asked.client
    of_name = {"owner": {"S": "contoso"}, "name": {"S": name}}
    stored = {**of_name, attribute: {"S": "before"}}
    client.put_item(TableName=TABLE, Item=stored)
    update = {
        "TableName": TABLE,
        "Key": of_name,
        "UpdateExpression": f"SET {attribute} = :after",
        "ExpressionAttributeValues": {":after": {"S": "after"}},
    }
    failing = {
        "TableName": TABLE,
        "Key": key(0),
        "ConditionExpression": "attribute_not_exists(content)",
    }
    with cheap_transactions(), pytest.raises(ClientError, match="TransactionCanceled"):
        client.transact_write_items(TransactItems=[{"Update": update}, {"ConditionCheck": failing}])
    assert client.get_item(TableName=TABLE, Key=of_name)["Item"] == stored


QUERY: dict[str, Any] = {
    "TableName": TABLE,
    "KeyConditionExpression": "#owner = :owner",
    "ExpressionAttributeNames": {"#owner": "owner"},
    "ExpressionAttributeValues": {":owner": {"S": "contoso"}},
}


def test_a_query_is_answered_in_pages_that_make_up_the_whole(asked: ChargingRequest) -> None:
    found: list[Any] = []
    start: dict[str, Any] = {}
    while True:
        page = asked.until_answered("Query", ConsistentRead=True, **QUERY, **start)
        assert len(page["Items"]) <= LONGEST_PAGE
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert found == [item(number) for number in range(10)]


def test_a_batch_is_answered_in_any_order_and_at_times_in_part(asked: ChargingRequest) -> None:
    keys = [key(number) for number in range(10)]
    request = {TABLE: {"Keys": keys, "ConsistentRead": True}}
    answers = [asked.until_answered("BatchGetItem", RequestItems=request) for _ in range(60)]
    whole = [answer for answer in answers if not answer["UnprocessedKeys"]]
    part = [answer for answer in answers if answer["UnprocessedKeys"]]
    assert len(whole) > len(part) > 0
    assert any(answer["Responses"][TABLE] != [item(n) for n in range(10)] for answer in whole)
    for answer in answers:
        left = answer["UnprocessedKeys"].get(TABLE, {"Keys": []})["Keys"]
        names = [one["name"]["S"] for one in (*answer["Responses"][TABLE], *left)]
        assert sorted(names) == sorted(f"{number}" for number in range(10))


def test_only_a_read_that_is_not_consistent_finds_what_was_there_before(
    asked: ChargingRequest,
) -> None:
    def contents(*, consistent: bool) -> set[str]:
        read = {"TableName": TABLE, "Key": key(3), "ConsistentRead": consistent}
        of_one = [asked.until_answered("GetItem", **read)["Item"] for _ in range(20)]
        pages = [
            asked.until_answered("Query", ConsistentRead=consistent, **QUERY) for _ in range(20)
        ]
        keys = {TABLE: {"Keys": [key(3), key(4)], "ConsistentRead": consistent}}
        batches = [asked.until_answered("BatchGetItem", RequestItems=keys) for _ in range(20)]
        items = [
            *of_one,
            *(one for page in pages for one in page["Items"]),
            *(one for batch in batches for one in batch["Responses"][TABLE]),
        ]
        return {one["content"]["S"] for one in items}

    assert contents(consistent=True) == {"new"}
    assert contents(consistent=False) == {"new", "old"}


def test_an_item_that_is_new_may_not_be_found_yet(asked: ChargingRequest) -> None:
    asked.until_answered("PutItem", TableName=TABLE, Item=item(10))
    read = {"TableName": TABLE, "Key": key(10)}
    answers = [asked.until_answered("GetItem", **read).get("Item") for _ in range(20)]
    assert item(10) in answers
    assert None in answers


def test_a_transaction_is_turned_away_for_the_sake_of_any_of_its_items(
    asked: ChargingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adverse, "_TURNED_AWAY", 1)
    writes = [{"Put": {"TableName": TABLE, "Item": item(number, "next")}} for number in range(3)]
    reasons = set()
    for _ in range(100):
        with pytest.raises(ClientError) as raised:
            asked("TransactWriteItems", TransactItems=writes)
        response: Any = raised.value.response
        codes = [reason["Code"] for reason in response["CancellationReasons"]]
        reasons |= {pair for pair in enumerate(codes) if pair[1] != "None"}
    assert {position for position, _ in reasons} == {0, 1, 2}
    assert {code for _, code in reasons} == {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }


def test_the_simulator_itself_is_answered_plainly(asked: ChargingRequest) -> None:
    for _ in range(20):
        page = asked("Query", by_function=False, **QUERY)
        assert page["Items"] == [item(number) for number in range(10)]
