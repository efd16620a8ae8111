"""The books of an organization on DynamoDB, and what is known of how they were checked.

Books are read page by page: no more than a page is in memory. What is known of checks is stored in
a table of its own: the function that checks books changes none.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import CALLS, ENTRY, MONTH, credit_key, entry_in
from perminute.adapters.dynamodb.call_items import OUTCOME, call_key, movements_of
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
from perminute.adapters.dynamodb.counter_items import POOL, pool_of
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.list_items import call_list_of
from perminute.adapters.dynamodb.tables import Table, readable
from perminute.adapters.dynamodb.writes import put_alone
from perminute.domain.credit.ledger import entry_id
from perminute.domain.credit.lots import FurtherLots
from perminute.domain.pools.pools import Month
from perminute.domain.reconciliation.book_checks import (
    BooksCheck,
    BooksCursor,
    BooksReading,
    BookSums,
    CallCost,
    PoolUse,
    RangeSums,
)
from perminute.domain.reconciliation.reconciliation import AccountTotals
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pynamodb.connection import Connection

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Tables
    from perminute.domain.credit.ledger import LedgerEntry

USAGES = "usages"
"""The part of the books that is not in the credit table."""

LISTS_AT_ONCE = 25
"""Lists of calls that are read together when going back: a quiet night has fewer."""


class DynamoDBBooks:
    """`Books` on the credit and usage tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._store = DynamoDBCreditStore(tables)

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        account = self._store.account(organization_id)
        further = self._store.further_lots(organization_id)
        return AccountTotals.of(account, further), account.further == FurtherLots.of(further)

    def pools(self, organization_id: str) -> Mapping[Month, PoolUse]:
        items = self._tables.credit.items_of(organization_id, POOL)
        with readable(f"the minute pools of {organization_id}"):
            return {pool.month: PoolUse(pool.used, digest_of(pool)) for pool in map(pool_of, items)}

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        """Go through charges, which are with their calls, other entries, and then the usages."""
        parts = [CALLS, ENTRY, USAGES]
        for part in parts[0 if after is None else parts.index(after.part) :]:
            last = after.key if after is not None and after.part == part else None
            if part == USAGES:
                yield from self._costs(organization_id, last)
            else:
                yield from self._entries(organization_id, part, last)

    def other_entries(self, organization_id: str, *, after: int) -> Iterator[LedgerEntry]:
        start = f"{ENTRY}{entry_id(after)}"
        for _, entry in self._entries(organization_id, ENTRY, start):
            yield entry

    def latest_calls(
        self, organization_id: str
    ) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        """Go back by the lists of calls, in which their charges are."""
        options: dict[str, Any] = {"ScanIndexForward": False, "Limit": LISTS_AT_ONCE}
        lists = self._tables.credit.items_of(organization_id, CALLS, **options)
        while some := list(islice(lists, LISTS_AT_ONCE)):
            with readable(f"a list of calls of {organization_id}"):
                entries = [entry for entry in map(entry_in, some) if entry is not None]
                listed = [call for item in some for call in call_list_of(item).calls]
            call_ids = list(dict.fromkeys(call.call_id for call in listed))
            yield entries, self._costs_of(organization_id, call_ids)

    def _entries(
        self, organization_id: str, part: str, after: str | None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry]]:
        options: dict[str, Any] = {}
        if part == CALLS:
            options["ProjectionExpression"] = "organizationId, #record, entry"
        if after is not None:
            options["ExclusiveStartKey"] = credit_key(organization_id, after)
        for item in self._tables.credit.items_of(organization_id, part, **options):
            with readable(f"the ledger of {organization_id}"):
                entry = entry_in(item)
            if entry is not None:
                yield BooksCursor(part, item["record"]["S"]), entry

    def _costs(
        self, organization_id: str, after: str | None
    ) -> Iterator[tuple[BooksCursor, CallCost]]:
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = call_key(organization_id, after)
        items = self._tables.usage.items_of(
            organization_id,
            FilterExpression="attribute_exists(outcome)",
            ProjectionExpression=(
                "callId, entryId, chargeMicros, adjustments, poolMinutes, answeredAt"
            ),
            **options,
        )
        for item in items:
            with readable(f"the usage of {organization_id}"):
                cost = _cost_of(item)
            yield BooksCursor(USAGES, cost.call_id), cost

    def _costs_of(self, organization_id: str, call_ids: Sequence[str]) -> Sequence[CallCost]:
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = self._tables.usage.get_together(keys)
        with readable(f"the usage of {organization_id}"):
            return [_cost_of(item) for item in items if OUTCOME in item]


def _cost_of(item: Item) -> CallCost:
    movements = tuple((name, micros) for name, micros in movements_of(item) if micros)
    if "poolMinutes" not in item:
        return CallCost(item["callId"]["S"], movements)
    month = Month.of(parse_instant(item["answeredAt"]["S"]))
    return CallCost(item["callId"]["S"], movements, month, int(item["poolMinutes"]["N"]))


def digest_of(record: object) -> str:
    """Return a short text that differs if a record does."""
    return hashlib.sha256(repr(record).encode()).hexdigest()[:16]


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
        return map(check_of, self._table.scan())
