"""Reports read page by page, and leave charging its share of what DynamoDB reads in a second."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pytest
from builders import ANSWERED, ENDED, ORGANIZATION, charge, holding, lot, rating
from scripted_dynamodb import Scripted, scripted_over, unreachable

from perminute.adapters.dynamodb.account_items import ENTRY, entry_item
from perminute.adapters.dynamodb.list_items import call_list_item
from perminute.adapters.dynamodb.postings import (
    FIRST_PAGE,
    MOST_ITEMS,
    DynamoDBPostings,
    ReadPace,
)
from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Tables

CHARGE = charge(holding(lot("1", 50)), [rating("a", 3)], at=ENDED)
(LIST,) = CHARGE.lists
PAGES = 5


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waited.append(round(seconds, 3))


@pytest.fixture
def scripted() -> Iterator[tuple[Tables, Scripted]]:
    with unreachable() as connection, scripted_over(connection) as both:
        yield both


def page(*items: Item, read_units: float = 0, last: bool = False) -> dict[str, Any]:
    more = {} if last else {"LastEvaluatedKey": {"record": {"S": "more"}}}
    used = {"TableName": "credit", "CapacityUnits": read_units}
    return {"Items": items, "ConsumedCapacity": used, **more}


def test_each_page_waits_for_what_the_pages_before_have_read(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    clock = Clock()
    pace = ReadPace(100, clock=lambda: clock.now, wait=clock.wait)
    postings = DynamoDBPostings(schema, pace)
    item = call_list_item(ORGANIZATION, LIST)
    script.answers.extend(page(item, read_units=30) for _ in range(PAGES - 1))
    script.answers.append(page(item, read_units=200, last=True))
    lists = postings.usage_lists(ORGANIZATION, since=ANSWERED, until=ENDED)
    next(lists)
    assert clock.waited == []
    clock.now += 0.1
    assert len(list(lists)) == PAGES - 1
    assert clock.waited == [0.2, 0.3, 0.3, 0.3]
    # Another report waits for what this one has read last, unless that was long ago.
    script.answers.append(page(last=True))
    list(postings.entries(ORGANIZATION, posted_since=ANSWERED))
    assert clock.waited[4:] == [2.0]
    clock.now += 60
    script.answers.append(page(last=True))
    list(postings.entries(ORGANIZATION, posted_since=ANSWERED))
    assert len(clock.waited) == 5


def test_pages_grow_and_read_what_is_stored_now(scripted: tuple[Tables, Scripted]) -> None:
    schema, script = scripted
    script.answers.extend(page() for _ in range(PAGES - 1))
    script.answers.append(page(last=True))
    assert list(DynamoDBPostings(schema).revisions("x", since=ANSWERED, until=ENDED)) == []
    limits = [one["Limit"] for one in script.questions]
    assert limits == [FIRST_PAGE, 200, 800, MOST_ITEMS, MOST_ITEMS]
    assert all(one["ConsistentRead"] is True for one in script.questions)
    assert {one["ReturnConsumedCapacity"] for one in script.questions} == {"TOTAL"}
    assert script.questions[-1]["ExclusiveStartKey"] == {"record": {"S": "more"}}


def test_entries_are_read_back_only_as_far_as_they_are_wanted(
    scripted: tuple[Tables, Scripted],
) -> None:
    schema, script = scripted
    (entry,) = CHARGE.entries
    old = entry._replace(entry_id="000000000001", at=ANSWERED)
    script.answers.append(page(entry_item(entry), entry_item(old)))
    found = DynamoDBPostings(schema).entries(ORGANIZATION, posted_since=ENDED)
    assert list(found) == [entry]
    (question,) = script.questions
    assert question["ScanIndexForward"] is False
    assert question["ExpressionAttributeValues"][":first"] == {"S": ENTRY}


@pytest.mark.parametrize("damaged", [b"damaged", zlib.compress(b"{"), zlib.compress(b"[]")])
@pytest.mark.parametrize("read", ["usage_lists", "revisions"])
def test_what_cannot_be_read_is_unavailable(
    scripted: tuple[Tables, Scripted], read: str, damaged: bytes
) -> None:
    schema, script = scripted
    item = {**call_list_item(ORGANIZATION, LIST), "calls": {"B": damaged}}
    script.answers.append(page(item, last=True))
    with pytest.raises(Unavailable, match="holds something that cannot be read"):
        list(getattr(DynamoDBPostings(schema), read)("x", since=ANSWERED, until=ENDED))
