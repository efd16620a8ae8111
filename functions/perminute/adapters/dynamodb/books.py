"""The books of an organization on DynamoDB, page by page: no more than a page is in memory."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb import records, under_way
from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore, call_key
from perminute.adapters.dynamodb.rows import CallListRow, PoolRow
from perminute.adapters.dynamodb.tables import get_together, readable
from perminute.domain.credit.ledger import entry_id
from perminute.domain.pools.pools import Month
from perminute.domain.reconciliation.book_checks import BooksCursor
from perminute.domain.reconciliation.book_sums import CallCost, PoolUse, read_at_once
from perminute.domain.reconciliation.reconciliation import AccountTotals
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.domain.credit.ledger import LedgerEntry

USAGES = "usages"
"""The part of the books that is not in the credit table."""

LISTS_AT_ONCE = 25
"""Lists of calls that are read together when going back: a quiet night has fewer."""


class DynamoDBBooks:
    """`Books` on the credit and usage tables."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema
        self._credit = DynamoDBCreditStore(schema)

    def account_totals(self, organization_id: str) -> tuple[AccountTotals, bool]:
        """See `Books.account_totals`."""
        account = self._credit.account(organization_id)
        further = self._credit.further_lots(organization_id)
        return AccountTotals.of(account, further), read_at_once(account, further)

    def pools(self, organization_id: str) -> Mapping[Month, PoolUse]:
        """See `Books.pools`."""
        found: dict[Month, PoolUse] = {}
        for item in self._records(organization_id, records.POOL):
            with readable(f"the minute pools of {organization_id}"):
                pool = records.pool_of(PoolRow.from_raw_data(item))
            found[pool.month] = PoolUse(pool.used, digest_of(pool))
        return found

    def parts(
        self, organization_id: str, *, after: BooksCursor | None = None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry | CallCost]]:
        """See `Books.parts`: charges lie with their calls, other entries alone; then the usages."""
        parts = [records.CALLS, records.ENTRY, USAGES]
        for part in parts[0 if after is None else parts.index(after.part) :]:
            key = after.key if after is not None and after.part == part else None
            if part == USAGES:
                yield from self._costs(organization_id, key)
            else:
                yield from self._entries(organization_id, part, key)

    def other_entries(self, organization_id: str, *, after: int) -> Iterator[LedgerEntry]:
        """See `Books.other_entries`."""
        start = records.entry_record(entry_id(after))
        for _, entry in self._entries(organization_id, records.ENTRY, start):
            yield entry

    def latest_calls(
        self, organization_id: str
    ) -> Iterator[tuple[Sequence[LedgerEntry], Sequence[CallCost]]]:
        """See `Books.latest_calls`: by the lists of calls, in which their charges are."""
        options = {"ScanIndexForward": False, "Limit": LISTS_AT_ONCE}
        lists = self._records(organization_id, records.CALLS, **options)
        while some := list(islice(lists, LISTS_AT_ONCE)):
            with readable(f"a list of calls of {organization_id}"):
                entries = [one for one in map(records.entry_in_item, some) if one is not None]
                listed = [records.call_list_of(CallListRow.from_raw_data(one)) for one in some]
            calls = dict.fromkeys(call.call_id for one in listed for call in one.calls)
            yield entries, self._costs_of(organization_id, list(calls))

    def _entries(
        self, organization_id: str, part: str, after: str | None
    ) -> Iterator[tuple[BooksCursor, LedgerEntry]]:
        options: dict[str, Any] = {}
        if part == records.CALLS:
            options["ProjectionExpression"] = "organizationId, #record, entry"
        if after is not None:
            key = {"organizationId": {"S": organization_id}, "record": {"S": after}}
            options["ExclusiveStartKey"] = key
        for item in self._records(organization_id, part, **options):
            with readable(f"the ledger of {organization_id}"):
                entry = records.entry_in_item(item)
            if entry is not None:
                yield BooksCursor(part, item["record"]["S"]), entry

    def _records(
        self,
        organization_id: str,
        prefix: str,
        **options: Any,  # noqa: ANN401 - boto's
    ) -> Iterator[Item]:
        return self._schema.entries.query(
            "organizationId = :organization AND begins_with(#record, :prefix)",
            {":organization": organization_id, ":prefix": prefix},
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
            **options,
        )

    def _costs(
        self, organization_id: str, after: str | None
    ) -> Iterator[tuple[BooksCursor, CallCost]]:
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = call_key(organization_id, after)
        items = self._schema.usages.query(
            "organizationId = :organization",
            {":organization": organization_id},
            FilterExpression="attribute_exists(outcome)",
            ProjectionExpression=(
                "callId, entryId, chargeMicros, adjustments, poolMinutes, answeredAt"
            ),
            ConsistentRead=True,
            **options,
        )
        for item in items:
            with readable(f"the usage of {organization_id}"):
                cost = _cost_of(item)
            yield BooksCursor(USAGES, cost.call_id), cost

    def _costs_of(self, organization_id: str, call_ids: Sequence[str]) -> Sequence[CallCost]:
        table = self._schema.usages.name
        keys = [call_key(organization_id, call_id) for call_id in call_ids]
        items = get_together(self._schema.connection, {table: keys})[table]
        with readable(f"the usage of {organization_id}"):
            return [_cost_of(item) for item in items if under_way.OUTCOME in item]


def _cost_of(item: Item) -> CallCost:
    movements = tuple((name, micros) for name, micros in records.movements_of(item) if micros)
    if "poolMinutes" not in item:
        return CallCost(item["callId"]["S"], movements)
    month = Month.of(parse_instant(item["answeredAt"]["S"]))
    return CallCost(item["callId"]["S"], movements, month, int(item["poolMinutes"]["N"]))


def digest_of(record: object) -> str:
    """Return a short text that differs if a record does."""
    return hashlib.sha256(repr(record).encode()).hexdigest()[:16]
