"""What is known of how books were checked, in a table of its own: who checks changes no books."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import MONTH
from perminute.adapters.dynamodb.codec import (
    INSTANT,
    NUMBER,
    PLAIN,
    SHORT_INSTANT,
    TEXT,
    Format,
    Record,
    compressed,
    mapping,
    row,
)
from perminute.adapters.dynamodb.tables import Table, readable, unavailable
from perminute.adapters.dynamodb.writes import put_alone
from perminute.domain.reconciliation.book_checks import (
    BooksCheck,
    BooksCursor,
    BooksReading,
    BookSums,
    PoolUse,
    RangeSums,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynamodb.connection import Connection

    from perminute.adapters.dynamodb.codec import Item

FORMAT = 2
"""Count up with any change of what is written: a checkpoint or a reading in another format is
forgotten, and all books are read again."""

_BY_LOT = Format(dict, dict)
_TOTALS = row(
    AccountTotals,
    entries=PLAIN,
    balance_micros=PLAIN,
    debt_micros=PLAIN,
    lots=_BY_LOT,
    stated_further_micros=PLAIN,
    further_micros=PLAIN,
)
_RANGE = row(
    RangeSums,
    entries=PLAIN,
    charged_micros=PLAIN,
    called_micros=PLAIN,
    chain=PLAIN,
    charges=PLAIN,
)
_SUMS = row(
    BookSums,
    since=_TOTALS,
    until=PLAIN,
    balance_micros=PLAIN,
    debt_micros=PLAIN,
    lots=_BY_LOT,
    ranges=mapping(Format(str, int), _RANGE),
    unnamed_micros=PLAIN,
    uncounted=PLAIN,
    minutes=mapping(MONTH, PLAIN),
    entries=PLAIN,
    calls=PLAIN,
)
_READING = row(
    BooksReading,
    at=SHORT_INSTANT,
    account=_TOTALS,
    pools=mapping(MONTH, row(PoolUse, used=PLAIN, digest=PLAIN)),
    sums=_SUMS,
    cursor=row(BooksCursor, part=PLAIN, key=PLAIN),
    again=PLAIN,
)
# Compressed: a reading of very long books has some 60 KB, as JSON, and 28 bytes more for each lot
# that was ever used.
_CHECK = Record(
    BooksCheck,
    organization_id=TEXT,
    step=NUMBER,
    checked_at=INSTANT,
    whole_at=INSTANT,
    differences=NUMBER,
    checkpoint=compressed(_TOTALS),
    reading=compressed(_READING),
)
_OF_A_FORMAT = ("wholeAt", "checkpoint", "reading")


def check_item(check: BooksCheck) -> Item:
    """Write what is known."""
    return {**_CHECK.write(check), "format": NUMBER.write(FORMAT)}


def check_of(item: Item) -> BooksCheck:
    """Read what is known; of what was written in another format, when a check was last made."""
    if NUMBER.read(item["format"]) != FORMAT:
        item = {name: value for name, value in item.items() if name not in _OF_A_FORMAT}
    with readable(f"what is known of the books of {item['organizationId']['S']}"):
        return _CHECK.read(item)


class DynamoDBBookChecks:
    """`BookChecks` on a table."""

    def __init__(self, connection: Connection, table: str) -> None:
        self._table = Table(connection, table, "organizationId")

    def check(self, organization_id: str) -> BooksCheck:
        item = self._table.get({"organizationId": {"S": organization_id}})
        return BooksCheck(organization_id=organization_id) if item is None else check_of(item)

    def store(self, check: BooksCheck) -> bool:
        item = check_item(replace(check, step=check.step + 1))
        # Nobody writes step 0: the first write finds nothing.
        if check.step == 0:
            operation = self._table.put(item, self._table.is_new)
        else:
            operation = self._table.put(item, "step = :step", step=check.step)
        return put_alone(self._table.connection, operation)

    def all(self) -> Iterator[BooksCheck]:
        """Read the whole table, some 300 bytes an organization."""
        client: Any = self._table.connection.client
        request: dict[str, Any] = {"TableName": self._table.name}
        while True:
            with unavailable(f"reading {self._table.name}"):
                page = client.scan(**request)
            yield from map(check_of, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
