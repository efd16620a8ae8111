"""Bugs in what stands between our ports and DynamoDB: the twins cannot have them."""

from __future__ import annotations

from contextlib import contextmanager
from copy import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

from perminute.adapters.dynamodb import calls, tables, writes
from perminute.adapters.dynamodb.account_items import CALLS
from perminute.adapters.dynamodb.tables import Table
from perminute.domain.errors import Contended, Throttled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from botocore.exceptions import ClientError
    from pynamodb.connection import Connection

    from perminute.adapters.dynamodb.codec import Item


@contextmanager
def stopping_after_the_first_page() -> Iterator[None]:
    """A query is taken for answered when its first page is."""
    query = Table.query

    def first_page(table: Table, *question: Any, **options: Any) -> Iterator[Item]:
        client: Any = table.connection.client

        def once(**request: Any) -> Any:
            return {"Items": client.query(**request)["Items"]}

        one = copy(table)
        one.connection = cast("Connection", SimpleNamespace(client=SimpleNamespace(query=once)))
        return query(one, *question, **options)

    with patch.object(Table, "query", first_page):
        yield


@contextmanager
def reading_lists_as_they_were() -> Iterator[None]:
    """Lists of calls are read without `ConsistentRead`."""
    query = Table.query

    def stale(
        table: Table, condition: str, values: Mapping[str, str], **options: Any
    ) -> Iterator[Item]:
        if values.get(":first", "").startswith(CALLS):
            options.pop("ConsistentRead")
        return query(table, condition, values, **options)

    with patch.object(Table, "query", stale):
        yield


@contextmanager
def ignoring_unprocessed_keys() -> Iterator[None]:
    """What a batch does not answer is taken for what does not exist."""
    with _reading_together(lambda _, items: items):
        yield


@contextmanager
def trusting_the_order_of_a_batch() -> Iterator[None]:
    """The first item of an answer is taken for that of the first key, and so on."""

    def in_order(keys: Sequence[Item], items: list[Item]) -> list[Item]:
        return [{**item, **key} for key, item in zip(keys, items, strict=False)]

    with _reading_together(in_order):
        yield


@contextmanager
def _reading_together(
    take: Callable[[Sequence[Item], list[Item]], list[Item]],
) -> Iterator[None]:
    """Have batches read in one request, and of their answers what is taken."""

    def read(connection: Connection, keys: Mapping[str, Sequence[Item]]) -> dict[str, list[Item]]:
        client: Any = connection.client
        asked = {
            table: {"Keys": of_table, "ConsistentRead": True}
            for table, of_table in keys.items()
            if of_table
        }
        with tables.unavailable("reading"):
            answer = client.batch_get_item(RequestItems=asked)["Responses"] if asked else {}
        return {table: take(keys[table], answer.get(table, [])) for table in keys}

    with (
        patch.object(tables, "get_together", read),
        patch.object(calls, "get_together", read),
    ):
        yield


@contextmanager
def taking_a_throttled_transaction_for_written() -> Iterator[None]:
    """Of a canceled transaction only conditions that failed are looked at."""
    failed: Callable[[ClientError], dict[int, Item]] = writes._failed  # noqa: SLF001

    def only_conditions(error: ClientError) -> dict[int, Item]:
        try:
            return failed(error)
        except (Contended, Throttled):
            return {}

    with patch.object(writes, "_failed", only_conditions):
        yield


ADAPTER_BUGS: dict[Callable[[], AbstractContextManager[None]], str] = {
    stopping_after_the_first_page: "calls under way are listed",
    reading_lists_as_they_were: "each call costs what the rules say",
    ignoring_unprocessed_keys: "one request has one answer",
    trusting_the_order_of_a_batch: "one request has one answer",
    taking_a_throttled_transaction_for_written: "each event is taken or refused",
}
"""Each bug with the promise that it breaks over an adverse DynamoDB."""
