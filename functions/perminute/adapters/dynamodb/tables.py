"""Tables as pynamodb's low-level connection sees them, and transactions across them.

pynamodb's own models open a botocore session and client each. Our tables share one connection,
hence one client: a third of a second less at a cold start.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, assert_never

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.constants import NUMBER, STRING
from pynamodb.exceptions import PynamoDBException, TransactGetError, TransactWriteError
from pynamodb.models import Model

from perminute.domain.errors import Contended, Unavailable, Unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

    from perminute.adapters.dynamodb.rows import Item

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 2
SDK_ATTEMPTS = 2
"""A request that hangs is given up after some 6 s; see `retry.MARGIN_SECONDS`."""

MAX_SNAPSHOT = 25
"""Items read in one transaction. DynamoDB takes 100, but moto still knows its former limit."""

MAX_TOGETHER = 100
"""Items that DynamoDB reads in one BatchGetItem."""

_COLLISIONS = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
"""Codes that say: somebody else was faster, come again."""

_UNWRITABLE = frozenset(
    {"ItemCollectionSizeLimitExceeded", "ValidationError", "ValidationException"}
)

_CONDITION_FAILED = "ConditionalCheckFailed"
_ALL_OLD = "ALL_OLD"

Operation = dict[str, Any]
M = TypeVar("M", bound=Model)


def connect(region: str | None = None, *, read_timeout_seconds: int | None = None) -> Connection:
    """Open the one connection, its client made now and not under the first request."""
    connection = Connection(
        region=region,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=read_timeout_seconds or READ_TIMEOUT_SECONDS,
        retry_configuration={"mode": "standard", "total_max_attempts": SDK_ATTEMPTS},
    )
    _ = connection.client
    return connection


@contextmanager
def unavailable(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into `Unavailable`, its cause kept for the log."""
    try:
        yield
    except (PynamoDBException, BotoCoreError, ClientError) as error:
        msg = f"{doing}: {error}"
        raise Unavailable(msg) from error


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn an item that somebody damaged into `Unavailable`: it is its own organization's trouble.

    Raised as what it is, it would take the whole batch or run with it.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        msg = f"{what} holds something that cannot be read: {error!r}"
        raise Unavailable(msg) from error


class Page(NamedTuple):
    """Items of one answer, and the key after which the next ones come; None, there are no more."""

    items: Sequence[Item]
    last_key: Item | None


class Table(Generic[M]):
    """One kind of row in a table of the deployment; several kinds may live in one table."""

    def __init__(self, connection: Connection, name: str, row: type[M]) -> None:
        """Bind the row's schema to the name that the deployment gave the table."""
        self.connection = connection
        self.name = name
        self.row = row
        self._keys = _key_names(row)
        # A second kind of row in the same table declares the same keys: the first has told them.
        try:
            connection.get_meta_table(name)
        except PynamoDBException:
            connection.add_meta_table(_meta_table(name, self._keys))

    def get(self, hash_key: str, range_key: str | None = None) -> M | None:
        """Read one row as it is now."""
        with unavailable(f"reading {self.name}"):
            answer = self.connection.get_item(
                self.name, hash_key, range_key=range_key, consistent_read=True
            )
        item = answer.get("Item")
        return None if item is None else self.row.from_raw_data(item)

    def get_snapshot(self, keys: Sequence[tuple[str, str]]) -> list[M]:
        """Read rows, at most `MAX_SNAPSHOT` at once, as no transaction is just changing them.

        A plain read may see one item of a transaction that is being applied before it, and
        another after it. `TransactGetItems` does not: it collides instead, and that is raised as
        `Contended`. Rows that do not exist are left out.
        """
        rows: list[M] = []
        for start in range(0, len(keys), MAX_SNAPSHOT):
            answer = self._snapshot(keys[start : start + MAX_SNAPSHOT])
            rows += (self.row.from_raw_data(one["Item"]) for one in answer if one.get("Item"))
        return rows

    def query(self, condition: str, values: Mapping[str, str], **options: Any) -> Iterator[Item]:  # noqa: ANN401 - boto's
        """Go through the items that a key condition selects, page by page, as they are stored.

        The condition is text and the client is asked directly: pynamodb's own query would want to
        know the table's indexes, and make a model of each item.
        """
        while True:
            page = self.page(condition, values, **options)
            yield from page.items
            if not page.last_key:
                return
            options["ExclusiveStartKey"] = page.last_key

    def page(self, condition: str, values: Mapping[str, str], **options: Any) -> Page:  # noqa: ANN401 - boto's
        """Read one page of the items that a key condition selects, as they are stored."""
        client: Any = self.connection.client
        with unavailable(f"reading {self.name}"):
            answer = client.query(
                TableName=self.name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
                **options,
            )
        return Page(answer["Items"], answer.get("LastEvaluatedKey"))

    def _snapshot(self, keys: Sequence[tuple[str, str]]) -> list[dict[str, Item]]:
        gets = [self.connection.get_operation_kwargs(self.name, *key) for key in keys]
        try:
            answer = self.connection.transact_get_items(gets)
        except TransactGetError as error:
            msg = f"reading {self.name}: {error.cause}"
            raise (Contended(msg) if _codes(error) & _COLLISIONS else Unavailable(msg)) from error
        responses: list[dict[str, Item]] = answer["Responses"]
        return responses

    def insert(self, item: Item) -> Operation:
        """Put an item that must not exist yet; if it does, the one that stands is handed back."""
        return self.put_if(item, self._is_new)

    def insert_by_update(self, item: Item) -> Operation:
        """Do as `insert` does, for a role that may not put items: see `set_if`."""
        return self.set_if(item, self._is_new)

    @property
    def _is_new(self) -> str:
        return f"attribute_not_exists({self._keys[0]})"

    def put_if(self, item: Item, condition: str, **values: int | str) -> Operation:
        """Put an item under a condition; if it fails, the one that stands is handed back.

        The condition is spelt out, with `:name` for whole numbers and texts: made from pynamodb's
        expressions for each of 96 items, it would cost as much as sending them.
        """
        operation = {"TableName": self.name, "Item": item, **_under(condition)}
        if values:
            operation["ExpressionAttributeValues"] = _placeholders(values)
        return operation

    def set_if(self, item: Item, condition: str, **values: int | str) -> Operation:
        """Do as `put_if` does, for a role that may not put items.

        A put replaces whatever stands under its key, and IAM knows no sort key. An update changes
        the attributes that it names, and these a role can be held to. In the condition `:name` is
        the new value of an attribute, too.
        """
        names = [name for name in item if name not in self._keys]
        return {
            "TableName": self.name,
            "Key": {name: item[name] for name in self._keys},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in names),
            "ExpressionAttributeNames": {f"#{name}": name for name in names},
            "ExpressionAttributeValues": {
                **{f":{name}": item[name] for name in names},
                **_placeholders(values),
            },
            **_under(condition),
        }

    def put(self, item: Item) -> Operation:
        """Put an item over whatever stands there."""
        return {"TableName": self.name, "Item": item}

    def delete_item(self, hash_key: str, range_key: str) -> Operation:
        """Delete whatever stands under a key."""
        values = (hash_key, range_key)
        key = {name: {STRING: value} for name, value in zip(self._keys, values, strict=True)}
        return {"TableName": self.name, "Key": key}

    def delete_if(
        self, hash_key: str, range_key: str, condition: str, **values: int | str
    ) -> Operation:
        """Delete what stands under a key, under a condition spelt out as in `put_if`."""
        operation = {**self.delete_item(hash_key, range_key), "ConditionExpression": condition}
        if values:
            operation["ExpressionAttributeValues"] = _placeholders(values)
        return operation

    def delete(self, row: M, condition: Condition) -> Operation:
        """Delete the row of the same key, under a condition."""
        return self._operation(row, condition=condition)

    def replace(self, row: M, condition: Condition) -> Operation:
        """Put a row over whatever stands there, under a condition."""
        return self._operation(row, condition=condition, key="Item", attributes=row.serialize())

    def check(self, row: M, condition: Condition) -> Operation:
        """Check a condition on the row of the same key, and write nothing."""
        return self._operation(row, condition=condition)

    def update(
        self, row: M, actions: Sequence[Action], condition: Condition | None = None
    ) -> Operation:
        """Change attributes of the row of the same key, which is made if it does not exist."""
        return self._operation(row, actions=actions, condition=condition)

    def update_if(self, row: M, actions: Sequence[Action], condition: Condition) -> Operation:
        """Do so under a condition; if it fails, the one that stands is handed back."""
        return self._operation(
            row,
            actions=actions,
            condition=condition,
            return_values_on_condition_failure=_ALL_OLD,
        )

    def _operation(self, row: M, **parts: Any) -> Operation:  # noqa: ANN401 - handed through
        item = row.serialize()
        hash_key, *range_keys = (item[key]["S"] for key in self._keys)
        return self.connection.get_operation_kwargs(
            self.name, hash_key, next(iter(range_keys), None), **parts
        )


def _under(condition: str) -> Operation:
    return {
        "ConditionExpression": condition,
        "ReturnValuesOnConditionCheckFailure": _ALL_OLD,
    }


def _placeholders(values: Mapping[str, int | str]) -> Item:
    return {
        f":{name}": {STRING: value} if isinstance(value, str) else {NUMBER: str(value)}
        for name, value in values.items()
    }


def _key_names(row: type[Model]) -> list[str]:
    attributes = sorted(row.get_attributes().values(), key=lambda a: not a.is_hash_key)
    return [a.attr_name for a in attributes if a.is_hash_key or a.is_range_key]


def _meta_table(name: str, keys: Sequence[str]) -> MetaTable:
    kinds = ("HASH", "RANGE")[: len(keys)]
    return MetaTable(
        {
            "TableName": name,
            "KeySchema": [
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, kinds, strict=True)
            ],
            "AttributeDefinitions": [{"AttributeName": k, "AttributeType": "S"} for k in keys],
        }
    )


def get_together(
    connection: Connection, keys: Mapping[str, Sequence[Item]]
) -> dict[str, list[Item]]:
    """Read items of several tables by their keys, as they are now, in one request for each 100.

    One may be older than another, if a transaction is just being applied. Those that do not exist
    are left out. The client is asked directly: pynamodb reads from one table at a time.
    """
    client: Any = connection.client
    found: dict[str, list[Item]] = {table: [] for table in keys}
    left = [(table, key) for table, of_table in keys.items() for key in of_table]
    while left:
        request: dict[str, dict[str, Any]] = {}
        for table, key in left[:MAX_TOGETHER]:
            asked = request.setdefault(table, {"Keys": [], "ConsistentRead": True})
            asked["Keys"].append(key)
        with unavailable(f"reading {', '.join(request)}"):
            answer = client.batch_get_item(RequestItems=request)
        for table, items in answer["Responses"].items():
            found[table] += items
        if answer.get("UnprocessedKeys"):
            msg = f"reading {', '.join(answer['UnprocessedKeys'])}: not all of it was answered"
            raise Contended(msg)
        left = left[MAX_TOGETHER:]
    return found


def put_alone(connection: Connection, operation: Operation) -> bool:
    """Put one item under its condition, outside of a transaction; gives whether it held.

    Raises `Contended` if a transaction is just writing the item.
    """
    client: Any = connection.client
    with unavailable(f"writing {operation['TableName']}"):
        try:
            client.put_item(**operation)
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            if code == "ConditionalCheckFailedException":
                return False
            if code in _COLLISIONS:
                msg = f"writing {operation['TableName']}: {code}"
                raise Contended(msg) from error
            raise
    return True


@dataclass(frozen=True, slots=True)
class Written:
    """The transaction took effect."""


@dataclass(frozen=True, slots=True)
class Collided:
    """Another transaction or the throughput limit was in the way; nothing was written."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Conditions failed and nothing was written: which operations, and what stands there."""

    items: dict[int, Item]
    """The stored item by position of the operation; empty where none was handed back."""


@dataclass(slots=True)
class WriteRequest:
    """Operations that are written together or not at all; each is known by its position."""

    connection: Connection
    checks: list[Operation] = field(default_factory=list)
    deletes: list[Operation] = field(default_factory=list)
    puts: list[Operation] = field(default_factory=list)
    updates: list[Operation] = field(default_factory=list)

    def write(self) -> Written | Collided | Failed:
        """Send it. Positions in the answer count checks first, then deletes, puts and updates."""
        with unavailable("writing a transaction"):
            try:
                self.connection.transact_write_items(
                    condition_check_items=self.checks,
                    delete_items=self.deletes,
                    put_items=self.puts,
                    update_items=self.updates,
                )
            except TransactWriteError as error:
                return _why(error)
        return Written()

    def succeeds(self) -> bool:
        """Send it; returns False if a condition failed.

        Raises `Contended` for a collision: nobody was faster, and the same may be written later.
        """
        match self.write():
            case Written():
                return True
            case Failed():
                return False
            case Collided(why):
                raise Contended(why)
            case never:
                assert_never(never)


def _why(error: TransactWriteError) -> Collided | Failed:
    """Read the reasons of a cancelled transaction, which stand in the order of its operations.

    A failed condition outweighs a collision beside it: it will not go away by trying again.
    """
    failed = {
        position: reason.raw_item or {}
        for position, reason in enumerate(error.cancellation_reasons)
        if reason is not None and reason.code == _CONDITION_FAILED
    }
    if failed:
        return Failed(failed)
    codes = _codes(error)
    if codes & _COLLISIONS:
        return Collided(", ".join(sorted(codes & _COLLISIONS)))
    msg = f"writing a transaction: {error.cause} {sorted(codes)}"
    raise (Unwritable(msg) if codes & _UNWRITABLE else Unavailable(msg)) from error


def _codes(error: TransactWriteError | TransactGetError) -> set[str]:
    """Collect DynamoDB's codes, of the reasons and of the error itself.

    A time-out has none, and pynamodb's own property for the latter fails on it.
    """
    codes = {reason.code for reason in error.cancellation_reasons if reason is not None}
    if isinstance(error.cause, ClientError):
        codes.add(error.cause.response["Error"].get("Code", ""))
    return codes
