"""Calls that are notified of once a day, on DynamoDB: in the outbox, and what is counted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Any, assert_never

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import CountedCallsRow, OutboxRow
from perminute.adapters.dynamodb.tables import (
    Collided,
    Failed,
    WriteRequest,
    Written,
    get_together,
    readable,
)
from perminute.adapters.notification_documents import facts_of, notification_of
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION
from perminute.domain.errors import Contended
from perminute.domain.notifications.digests import CallToNotify, CountedCalls, NamedCall
from perminute.domain.notifications.notifications import in_records
from perminute.domain.values.times import format_instant, parse_instant
from perminute.ports import CallRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.rows import Item
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation
    from perminute.adapters.notification_documents import Document
    from perminute.domain.notifications.digests import CallGroup

FIRST_CALL = "outbox#first#"
DIGEST = "outbox#digest#"
COUNTED = "counted#"

_IS_THERE = "attribute_exists(organizationId)"
_IS_NEW = "attribute_not_exists(organizationId)"
_IS_AS_READ = "step = :step AND startedBy = :started"


class DynamoDBDigests:
    """`Digests` on the credit table."""

    def __init__(self, schema: Schema) -> None:
        """Work on these tables."""
        self._schema = schema

    def claim(
        self, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        """See `Digests.claim`: by update, for the publisher may put no items on the table."""
        firsts: dict[CallGroup, str] = {}
        while len(firsts) < len(calls):
            left = (group for group in calls if group not in firsts)
            groups = list(islice(left, MAX_ITEMS_PER_TRANSACTION))
            rows = [first_call_row(organization_id, group, calls[group]) for group in groups]
            request = WriteRequest(self._schema.connection)
            request.updates += (
                self._schema.outbox.insert_by_update(row.serialize()) for row in rows
            )
            firsts |= _known_firsts(request, groups, rows)
        return firsts

    def first_day(self, organization_id: str) -> date | None:
        """See `Digests.first_day`."""
        days = [
            date.fromisoformat(item["record"]["S"].removeprefix(kind)[: len("2026-11-28")])
            for kind in (records.CALLS_TO_COUNT, COUNTED)
            for item in self._first(organization_id, kind, limit=1)
        ]
        return min(days, default=None)

    def records(self, organization_id: str, day: date, *, limit: int) -> Sequence[CallRecord]:
        """See `Digests.records`."""
        prefix = f"{records.CALLS_TO_COUNT}{day}#"
        with readable(f"the calls of {organization_id} that are to be counted"):
            rows = map(OutboxRow.from_raw_data, self._first(organization_id, prefix, limit=limit))
            return [CallRecord(row.record, tuple(map(_call_of, row.notifications))) for row in rows]

    def counted(
        self, organization_id: str, groups: Collection[CallGroup]
    ) -> Mapping[CallGroup, CountedCalls]:
        """See `Digests.counted`."""
        table = self._schema.counted_calls.name
        keys = [_key(organization_id, _counted_record(group)) for group in groups]
        items = get_together(self._schema.connection, {table: keys})[table]
        with readable(f"the counted calls of {organization_id}"):
            found = list(map(_counted_of, items))
        return {one.group: one for one in found}

    def counted_on(self, organization_id: str, day: date, *, limit: int) -> Sequence[CountedCalls]:
        """See `Digests.counted_on`."""
        items = self._first(organization_id, f"{COUNTED}{day}#", limit=limit)
        with readable(f"the counted calls of {organization_id}"):
            return list(map(_counted_of, items))

    def count(
        self, organization_id: str, records: Sequence[CallRecord], counted: Sequence[CountedCalls]
    ) -> bool:
        """See `Digests.count`."""
        request = WriteRequest(self._schema.connection)
        table = self._schema.outbox
        request.deletes += (table.delete_if(organization_id, one.key, _IS_THERE) for one in records)
        request.puts += (self._put(organization_id, one) for one in counted)
        return request.succeeds()

    def send(
        self, organization_id: str, counted: Sequence[CountedCalls], sent: Sequence[CallToNotify]
    ) -> bool:
        """See `Digests.send`."""
        request = WriteRequest(self._schema.connection)
        table = self._schema.counted_calls
        request.deletes += (
            table.delete_if(
                organization_id, _counted_record(one.group), _IS_AS_READ, **_as_read(one)
            )
            for one in counted
        )
        request.puts += (
            self._schema.outbox.insert(row.serialize())
            for row in digest_rows(organization_id, sent)
        )
        return request.succeeds()

    def _first(self, organization_id: str, prefix: str, *, limit: int) -> Sequence[Item]:
        return self._schema.outbox.page(
            "organizationId = :organization AND begins_with(#record, :prefix)",
            {":organization": organization_id, ":prefix": prefix},
            ExpressionAttributeNames={"#record": "record"},
            ConsistentRead=True,
            Limit=limit,
        ).items

    def _put(self, organization_id: str, one: CountedCalls) -> Operation:
        item = _counted_row(organization_id, replace(one, step=one.step + 1)).serialize()
        if one.step == 0:
            return self._schema.counted_calls.put_if(item, _IS_NEW)
        return self._schema.counted_calls.put_if(item, _IS_AS_READ, **_as_read(one))


def _known_firsts(
    request: WriteRequest, groups: Sequence[CallGroup], rows: Sequence[OutboxRow]
) -> dict[CallGroup, str]:
    """Write the first calls of groups; returns all of them, or those that stood in the way."""
    match request.write():
        case Written():
            return {group: _only_call(row) for group, row in zip(groups, rows, strict=True)}
        case Failed(items):
            with readable(f"a first call of {rows[0].organization_id}"):
                return {
                    groups[position]: _only_call(OutboxRow.from_raw_data(item))
                    for position, item in items.items()
                }
        case Collided(why):
            raise Contended(why)
        case never:
            assert_never(never)


def _as_read(one: CountedCalls) -> dict[str, int | str]:
    return {"step": one.step, "started": one.first.notification.id}


def _key(organization_id: str, record: str) -> Item:
    return {"organizationId": {"S": organization_id}, "record": {"S": record}}


def _hashed(group: CallGroup) -> str:
    """Name a group in a key: with the longest organizer spelled out it would not fit."""
    return hashlib.sha256("\n".join(group[1:]).encode()).hexdigest()[:32]


def _counted_record(group: CallGroup) -> str:
    return f"{COUNTED}{group.day}#{_hashed(group)}"


def digest_rows(organization_id: str, sent: Sequence[CallToNotify]) -> Iterator[OutboxRow]:
    """Write digests, as many in a record as fit it."""
    correlated = {one.notification.id: one.correlation_id for one in sent}
    for some in in_records([one.notification for one in sent]):
        yield OutboxRow(
            organization_id=organization_id,
            record=f"{DIGEST}{some[0].id}",
            notifications=[facts_of(one, correlated[one.id]) for one in some],
        )


def first_call_row(organization_id: str, group: CallGroup, call: CallToNotify) -> OutboxRow:
    """Write the first call of a group as it is published."""
    published = replace(call.notification, counted_on=None)
    return OutboxRow(
        organization_id=organization_id,
        record=f"{FIRST_CALL}{group.day}#{_hashed(group)}",
        notifications=[facts_of(published, call.correlation_id)],
    )


def _only_call(row: OutboxRow) -> str:
    document: Document = row.notifications[0]
    return str(document["callId"])


def _call_of(document: Document) -> CallToNotify:
    return CallToNotify(notification_of(document), str(document.get("correlationId", "")))


def _counted_row(organization_id: str, one: CountedCalls) -> CountedCallsRow:
    return CountedCallsRow(
        organization_id=organization_id,
        record=_counted_record(one.group),
        first=facts_of(*one.first),
        calls=one.calls,
        retail_micros=one.retail_cost_micros,
        currency=one.currency,
        named=[[format_instant(call.at), call.call_id] for call in one.named],
        started_by=one.first.notification.id,
        step=one.step,
    )


def _counted_of(item: Item) -> CountedCalls:
    row = CountedCallsRow.from_raw_data(item)
    first: Any = row.first
    return CountedCalls(
        first=_call_of(first),
        calls=row.calls,
        retail_cost_micros=row.retail_micros,
        currency=row.currency,
        named=tuple(NamedCall(parse_instant(at), call_id) for at, call_id in row.named),
        step=row.step,
    )
