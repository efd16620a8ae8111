"""Tables over the client of one connection, and what is read of them.

pynamodb's own models open a botocore session and client each. Our tables share one connection,
hence one client: a third of a second less at a cold start.
"""

from __future__ import annotations

import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.connection import Connection

from perminute.adapters.dynamodb.wire import simplify
from perminute.adapters.service_models import load_fast
from perminute.domain.errors import Contended, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from perminute.adapters.dynamodb.codec import Item
    from perminute.settings import TableNames

CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 2
SDK_ATTEMPTS = 2
"""A request that hangs is given up after some 6 s; see `retry.MARGIN_SECONDS`."""

MAX_SNAPSHOT = 25
"""Items read in one transaction. DynamoDB takes 100, but moto still knows its former limit."""

MAX_TOGETHER = 100
"""Items that DynamoDB reads in one BatchGetItem."""

_CONFLICTS = frozenset(
    {"TransactionConflict", "TransactionConflictException", "TransactionInProgressException"}
)
_THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
PASSING = _CONFLICTS | _THROTTLES
"""Codes that say: try again."""

_NAME = re.compile(r"#(\w+)")

Operation = dict[str, Any]


def connect(region: str | None = None, *, read_timeout_seconds: int | None = None) -> Connection:
    """Open the one connection, its client made now and not under the first request."""
    connection = Connection(
        region=region,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        read_timeout_seconds=read_timeout_seconds or READ_TIMEOUT_SECONDS,
        retry_configuration={"mode": "standard", "total_max_attempts": SDK_ATTEMPTS},
    )
    load_fast(connection.session)
    simplify(connection.client)
    return connection


@contextmanager
def unavailable(doing: str) -> Iterator[None]:
    """Turn what the SDK raises into `Unavailable`, with the cause for the log."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        msg = f"{doing}: {error}"
        raise Unavailable(msg) from error


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn what a damaged item raises into `Unavailable`: only its own organization waits.

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
    read_units: float = 0  # if they were asked for (`ReturnConsumedCapacity`)


class Table:
    """A table of the deployment, and the operations on it.

    Conditions are text: made of pynamodb's expressions for each of 90 items, they would cost as
    much as sending these. In them `#name` is an attribute, whose name may be a word that DynamoDB
    reserves, and `:name` is a whole number, a text, or the new value of an attribute.
    """

    def __init__(self, connection: Connection, name: str, *keys: str) -> None:
        """Take the table's name in the deployment, its hash key and, if it has one, range key."""
        self.connection, self.name, self.keys = connection, name, keys
        self.is_new = f"attribute_not_exists({keys[0]})"

    def get(self, key: Item) -> Item | None:
        client: Any = self.connection.client
        with unavailable(f"reading {self.name}"):
            answer = client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def get_snapshot(self, keys: Sequence[Item]) -> list[Item]:
        """Read items of this table as `get_snapshot` does; those that do not exist are left out."""
        items = get_snapshot(self.connection, [(self.name, key) for key in keys])
        return [item for item in items if item]

    def get_together(self, keys: Sequence[Item]) -> list[Item]:
        """Read items of this table as `get_together` does."""
        return get_together(self.connection, {self.name: keys})[self.name]

    def items_of(
        self,
        organization_id: str,
        prefix: str = "",
        *,
        first: str = "",
        last: str = "",
        **options: Any,  # noqa: ANN401 - boto's
    ) -> Iterator[Item]:
        """Go through items of an organization as they are now, by their range keys.

        These begin with `prefix`; with `first` they lie from there to `last`, or to the end of what
        begins with `prefix`.
        """
        condition, values = "organizationId = :organization", {":organization": organization_id}
        if first:
            condition += f" AND #{self.keys[1]} BETWEEN :first AND :last"
            values |= {":first": first, ":last": last or f"{prefix}~"}
        elif prefix:
            condition += f" AND begins_with(#{self.keys[1]}, :prefix)"
            values[":prefix"] = prefix
        return self.query(condition, values, ConsistentRead=True, **options)

    def query(self, condition: str, values: Mapping[str, str], **options: Any) -> Iterator[Item]:  # noqa: ANN401 - boto's
        """Go through the items that a key condition selects, page by page."""
        while True:
            page = self.page(condition, values, **options)
            yield from page.items
            if not page.last_key:
                return
            options["ExclusiveStartKey"] = page.last_key

    def scan(self, **options: Any) -> Iterator[Item]:  # noqa: ANN401 - boto's
        """Go through all items of the table, page by page."""
        client: Any = self.connection.client
        while True:
            with unavailable(f"reading {self.name}"):
                answer = client.scan(TableName=self.name, **options)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            options["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def page(self, condition: str, values: Mapping[str, str], **options: Any) -> Page:  # noqa: ANN401 - boto's
        """Read one page of the items that a key condition selects."""
        client: Any = self.connection.client
        with unavailable(f"reading {self.name}"):
            answer = client.query(
                TableName=self.name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
                **_names(condition + options.get("ProjectionExpression", "")),
                **options,
            )
        used = answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)
        return Page(answer["Items"], answer.get("LastEvaluatedKey"), used)

    def put(self, item: Item, condition: str = "", **values: int | str) -> Operation:
        return {"TableName": self.name, "Item": item, **_under(condition, _placeholders(values))}

    def set(self, item: Item, condition: str, **values: int | str) -> Operation:
        """Do as `put` does, for a role that may not put items.

        A put replaces whatever is under its key, and IAM knows no sort key. An update changes the
        attributes that it names, and a role can be restricted to these.
        """
        new: dict[str, Any] = {name: item[name] for name in item if name not in self.keys}
        changes = {name: f":{name}" for name in new}
        return self.update(item, changes, condition, **(new | values))

    def update(
        self,
        item: Item,
        changes: Mapping[str, str],
        condition: str = "",
        **values: int | str | dict[str, Any],
    ) -> Operation:
        """Change attributes of the item of this key, which is made if it does not exist.

        `changes` says by attribute what it becomes.
        """
        expression = "SET " + ", ".join(f"#{name} = {to}" for name, to in changes.items())
        return {
            "TableName": self.name,
            "Key": self._key(item),
            "UpdateExpression": expression,
            **_under(condition, _placeholders(values), expression),
        }

    def delete(self, item: Item, condition: str = "", **values: int | str) -> Operation:
        under = _under(condition, _placeholders(values))
        return {"TableName": self.name, "Key": self._key(item), **under}

    # To check a condition and write nothing: the part of the request says which of both is done.
    check = delete

    def _key(self, item: Item) -> Item:
        return {name: item[name] for name in self.keys}


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of the deployment, and the connection that they share."""

    connection: Connection
    credit: Table
    usage: Table
    events: Table
    licensing: Table

    @classmethod
    def bind(cls, connection: Connection, names: TableNames) -> Tables:
        return cls(
            connection=connection,
            credit=Table(connection, names.credit, "organizationId", "record"),
            usage=Table(connection, names.usage, "organizationId", "callId"),
            events=Table(connection, names.events, "eventId"),
            licensing=Table(connection, names.licensing, "organizationId", "subject"),
        )


def _under(condition: str, values: Item, expression: str = "") -> Operation:
    """Return the condition of an operation; if it fails, the item that is there is returned."""
    operation: Operation = _names(condition + expression)
    if condition:
        operation["ConditionExpression"] = condition
        operation["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if values:
        operation["ExpressionAttributeValues"] = values
    return operation


@lru_cache(maxsize=256)
def _names_in(text: str) -> dict[str, str]:
    return {f"#{name}": name for name in _NAME.findall(text)}


def _names(text: str) -> dict[str, Any]:
    names = _names_in(text) if "#" in text else {}
    return {"ExpressionAttributeNames": names} if names else {}


def _placeholders(values: Mapping[str, int | str | dict[str, Any]]) -> Item:
    return {f":{name}": _attribute(value) for name, value in values.items()}


def _attribute(value: int | str | dict[str, Any]) -> dict[str, Any]:
    match value:
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case stored:
            return stored


def get_snapshot(connection: Connection, keys: Sequence[tuple[str, Item]]) -> list[Item | None]:
    """Read items of tables, at most `MAX_SNAPSHOT` at once, as no transaction is changing them.

    A plain read may see one item of a transaction that is being applied before it, and another
    after it. `TransactGetItems` does not: it collides instead, and that is raised as `Contended`;
    or `Throttled` is raised. An item that does not exist is None.
    """
    items: list[Item | None] = []
    for start in range(0, len(keys), MAX_SNAPSHOT):
        some = keys[start : start + MAX_SNAPSHOT]
        items += (response.get("Item") for response in _snapshot(connection, some))
    return items


def _snapshot(connection: Connection, keys: Sequence[tuple[str, Item]]) -> list[dict[str, Item]]:
    client: Any = connection.client
    gets = [{"Get": {"TableName": table, "Key": key}} for table, key in keys]
    reading = f"reading {', '.join(dict(keys))}"
    with unavailable(reading):
        try:
            answer = client.transact_get_items(TransactItems=gets)
        except ClientError as error:
            if refusal := passing_refusal(codes_of(error)):
                msg = f"{reading}: {error}"
                raise refusal(msg) from error
            raise
    responses: list[dict[str, Item]] = answer["Responses"]
    return responses


def get_together(
    connection: Connection, keys: Mapping[str, Sequence[Item]]
) -> dict[str, list[Item]]:
    """Read items of several tables by their keys, as they are now, in one request for each 100.

    One may be older than another, if a transaction is just being applied. Those that do not exist
    are left out.
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
            raise Throttled(msg)
        left = left[MAX_TOGETHER:]
    return found


def passing_refusal(codes: AbstractSet[str]) -> type[Contended | Throttled] | None:
    """Return what DynamoDB's codes mean that a repetition may succeed after; None if nothing."""
    # Without capacity it does not help that a conflict beside it passes.
    if codes & _THROTTLES:
        return Throttled
    return Contended if codes & _CONFLICTS else None


def codes_of(error: ClientError) -> set[str]:
    """Collect DynamoDB's codes: of the error, and of the reasons why a transaction was canceled."""
    answer: Mapping[str, Any] = error.response
    reasons = answer.get("CancellationReasons", ())
    return {answer["Error"].get("Code", ""), *(reason["Code"] for reason in reasons)} - {"None"}
