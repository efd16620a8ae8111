"""A DynamoDB that does all that it may do, and that small tables on an emulator never show.

It answers a query in pages of a few items, a batch in part and in any order, a read that is not
consistent by what was there before the last write, and it throttles requests and cancels
transactions. None of that is a fault: so it happens in any world, but only to functions.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import ClientError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from perminute_local.embedded_aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from random import Random

    from perminute.adapters.dynamodb.codec import Item
    from perminute_local.simulation.faults import FaultInjector

Answer = dict[str, Any]

LONGEST_PAGE = 3
"""Items of a page: DynamoDB ends one at 1 MB, which our tests would not fill."""

_PART_OF_A_BATCH = 6
_TURNED_AWAY = 60
_STALE = 2
"""One in so many: batches, requests, and items of reads that are not consistent."""

_READS = frozenset({"GetItem", "BatchGetItem", "Query", "TransactGetItems"})
_WRITES = frozenset({"PutItem", "TransactWriteItems"})
_REASONS = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")

_Place = tuple[str, tuple[tuple[str, str], ...]]
"""A table, and the key of an item in it."""


class AdverseDynamoDB:
    """Stands between a client and moto, and answers as DynamoDB may, by random numbers."""

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector
        self._before: dict[_Place, Item | None] = {}
        self._keys: dict[str, tuple[str, ...]] = {}

    def answer(self, make: Callable[[Answer], Answer], operation: str, params: Answer) -> Answer:
        """Answer a request of a function; what the simulator itself reads is answered plainly."""
        if operation not in _READS | _WRITES:
            return make(params)
        if not self._injector.depth or self._injector.is_off:
            return self._carried_out(make, operation, params)
        rng = self._injector.rng
        if rng.randrange(_TURNED_AWAY) == 0:
            _turn_away(operation, params, rng)
        match operation:
            case "Query":
                return self._page(make, params, rng)
            case "BatchGetItem":
                return self._batch(make, params, rng)
            case "GetItem" if not params.get("ConsistentRead"):
                answer = make(params)
                item = self._stale(params["TableName"], answer.get("Item"), rng)
                return {name: part for name, part in answer.items() if name != "Item"} | (
                    {} if item is None else {"Item": item}
                )
            case _:
                return self._carried_out(make, operation, params)

    def _carried_out(
        self, make: Callable[[Answer], Answer], operation: str, params: Answer
    ) -> Answer:
        """Carry out a request; if it writes, keep what was there before."""
        if operation not in _WRITES:
            return make(params)
        before = {place: self._stored(place) for place in self._written(params)}
        answer = make(params)
        self._before |= before
        return answer

    def _page(self, make: Callable[[Answer], Answer], params: Answer, rng: Random) -> Answer:
        longest = rng.randint(1, LONGEST_PAGE)
        answer = make({**params, "Limit": min(params.get("Limit", longest), longest)})
        if params.get("ConsistentRead") or "IndexName" in params:
            # That an index lags behind its table is a fault of its own: see `Fault.CUT`.
            return answer
        items = (self._stale(params["TableName"], item, rng) for item in answer["Items"])
        return {**answer, "Items": [item for item in items if item is not None]}

    def _batch(self, make: Callable[[Answer], Answer], params: Answer, rng: Random) -> Answer:
        tables = params["RequestItems"]
        keys = [(table, key) for table, asked in tables.items() for key in asked["Keys"]]
        left: list[tuple[str, Item]] = []
        if len(keys) > 1 and rng.randrange(_PART_OF_A_BATCH) == 0:
            rng.shuffle(keys)
            # Of a batch of which it can read nothing at all DynamoDB refuses the whole.
            count = rng.randrange(1, len(keys))
            keys, left = keys[:count], keys[count:]
        answer = make({**params, "RequestItems": part_of_batch(tables, keys)})
        responses = {
            table: [
                item
                for found in items
                if (item := self._found(table, tables, found, rng)) is not None
            ]
            for table, items in answer["Responses"].items()
        }
        for items in responses.values():
            rng.shuffle(items)
        return {**answer, "Responses": responses, "UnprocessedKeys": part_of_batch(tables, left)}

    def _found(
        self, table: str, tables: Mapping[str, Answer], item: Item, rng: Random
    ) -> Item | None:
        is_consistent = tables[table].get("ConsistentRead")
        return item if is_consistent else self._stale(table, item, rng)

    def _stale(self, table: str, item: Item | None, rng: Random) -> Item | None:
        """Return an item, or what was there before its last write: nothing bounds how old it is.

        What was deleted stays away, though DynamoDB might still find it.
        """
        if item is None or rng.randrange(_STALE):
            return item
        return self._before.get(self._place(table, item), item)

    def _written(self, params: Answer) -> Iterator[_Place]:
        for operation in params.get("TransactItems", [{"Put": params}]):
            for kind, one in operation.items():
                if kind != "ConditionCheck":
                    yield self._place(one["TableName"], one.get("Item") or one["Key"])

    def _place(self, table: str, item: Item) -> _Place:
        if table not in self._keys:
            stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables[table]
            self._keys[table] = tuple(name for name in stored.table_key_attrs if name)
        return table, tuple((name, item[name]["S"]) for name in self._keys[table])

    def _stored(self, place: _Place) -> Item | None:
        table, key = place
        stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_item(
            table, {name: {"S": value} for name, value in key}
        )
        return None if stored is None else stored.to_json()["Attributes"]


def half_of_batch(make: Callable[[Answer], Answer], tables: Mapping[str, Answer]) -> Answer:
    """Answer the first half of a batch and nothing of the rest, as DynamoDB does."""
    keys = [(table, key) for table, asked in tables.items() for key in asked["Keys"]]
    half = len(keys) // 2
    answer = make({"RequestItems": part_of_batch(tables, keys[:half])}) if half else {}
    return {"Responses": {}, **answer, "UnprocessedKeys": part_of_batch(tables, keys[half:])}


def part_of_batch(
    tables: Mapping[str, Answer], keys: Sequence[tuple[str, Item]]
) -> dict[str, Answer]:
    """Return a request for some of the keys of a batch, read as the whole batch is."""
    some: defaultdict[str, list[Item]] = defaultdict(list)
    for table, key in keys:
        some[table].append(key)
    return {table: {**tables[table], "Keys": of_table} for table, of_table in some.items()}


def refuse(operation: str, code: str) -> NoReturn:
    """Refuse a request with an error code of AWS."""
    raise ClientError({"Error": {"Code": code, "Message": "simulated"}}, operation)


def cancel(operation: str, codes: Sequence[str]) -> NoReturn:
    """Cancel a transaction with a reason for each of its items."""
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "simulated"},
        "CancellationReasons": [{"Code": code} for code in codes],
    }
    raise ClientError(response, operation)


def _turn_away(operation: str, params: Answer, rng: Random) -> NoReturn:
    if not operation.startswith("Transact"):
        refuse(operation, "ProvisionedThroughputExceededException")
    codes = ["None"] * len(params["TransactItems"])
    codes[rng.randrange(len(codes))] = rng.choice(_REASONS)
    cancel(operation, codes)
