"""Calls that are notified of once a day, on DynamoDB: in the outbox, and what is counted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import credit_key
from perminute.adapters.dynamodb.codec import (
    ALWAYS_WRITTEN,
    NUMBER,
    PLAIN,
    SHORT_INSTANT,
    TEXT,
    Field,
    Format,
    Record,
    as_json,
    list_of,
    row,
)
from perminute.adapters.dynamodb.outbox_items import CALLS_TO_COUNT, documents_in, documents_item
from perminute.adapters.dynamodb.tables import readable
from perminute.adapters.dynamodb.writes import WriteRequest
from perminute.adapters.notification_documents import facts_of, notification_of
from perminute.domain.credit.transaction import MAX_ITEMS_PER_TRANSACTION
from perminute.domain.notifications.digests import CallToNotify, CountedCalls, NamedCall
from perminute.domain.notifications.notifications import in_records
from perminute.ports.messaging import CallRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.adapters.notification_documents import Document
    from perminute.domain.notifications.digests import CallGroup

FIRST_CALL = "outbox#first#"
DIGEST = "outbox#digest#"
COUNTED = "counted#"

_IS_THERE = "attribute_exists(organizationId)"
_IS_AS_READ = "step = :step AND startedBy = :started"


def _call_of(document: Document) -> CallToNotify:
    return CallToNotify(notification_of(document), str(document.get("correlationId", "")))


_COUNTED = Record(
    CountedCalls,
    first=as_json(Format(lambda call: facts_of(*call), _call_of)),
    calls=NUMBER,
    retail_cost_micros=Field(NUMBER, "retailMicros"),
    currency=TEXT,
    named=as_json(list_of(row(NamedCall, at=SHORT_INSTANT, call_id=PLAIN))),
    step=Field(NUMBER, default=ALWAYS_WRITTEN),
)


class DynamoDBDigests:
    """`Digests` on the credit table."""

    def __init__(self, tables: Tables) -> None:
        self._connection, self._table = tables.connection, tables.credit

    def claim(
        self, organization_id: str, calls: Mapping[CallGroup, CallToNotify]
    ) -> Mapping[CallGroup, str]:
        """Claim by update, for the publisher may put no items on the table."""
        firsts: dict[CallGroup, str] = {}
        while len(firsts) < len(calls):
            left = (group for group in calls if group not in firsts)
            groups = list(islice(left, MAX_ITEMS_PER_TRANSACTION))
            items = [first_call_item(organization_id, group, calls[group]) for group in groups]
            request = WriteRequest(self._connection)
            request.updates += (self._table.set(item, self._table.is_new) for item in items)
            # Nothing is written if some groups have a first call: the others are claimed again.
            known = request.write() or dict(enumerate(items))
            with readable(f"a first call of {organization_id}"):
                firsts |= {groups[n]: str(documents_in(i)[0]["callId"]) for n, i in known.items()}
        return firsts

    def first_day(self, organization_id: str) -> date | None:
        days = [
            date.fromisoformat(item["record"]["S"].removeprefix(prefix)[: len("2026-11-28")])
            for prefix in (CALLS_TO_COUNT, COUNTED)
            for item in self._first(organization_id, prefix, limit=1)
        ]
        return min(days, default=None)

    def records(self, organization_id: str, day: date, *, limit: int) -> Sequence[CallRecord]:
        items = self._first(organization_id, f"{CALLS_TO_COUNT}{day}#", limit=limit)
        with readable(f"the calls of {organization_id} that are to be counted"):
            return [
                CallRecord(item["record"]["S"], tuple(map(_call_of, documents_in(item))))
                for item in items
            ]

    def counted(
        self, organization_id: str, groups: Collection[CallGroup]
    ) -> Mapping[CallGroup, CountedCalls]:
        keys = [_counted_key(organization_id, group) for group in groups]
        items = self._table.get_together(keys)
        with readable(f"the counted calls of {organization_id}"):
            return {counted.group: counted for counted in map(_COUNTED.read, items)}

    def counted_on(self, organization_id: str, day: date, *, limit: int) -> Sequence[CountedCalls]:
        items = self._first(organization_id, f"{COUNTED}{day}#", limit=limit)
        with readable(f"the counted calls of {organization_id}"):
            return list(map(_COUNTED.read, items))

    def count(
        self, organization_id: str, records: Sequence[CallRecord], counted: Sequence[CountedCalls]
    ) -> bool:
        request, table = WriteRequest(self._connection), self._table
        keys = (credit_key(organization_id, record.key) for record in records)
        request.deletes += (table.delete(record_key, _IS_THERE) for record_key in keys)
        request.puts += (self._put(organization_id, calls) for calls in counted)
        return request.succeeds()

    def send(
        self, organization_id: str, counted: Sequence[CountedCalls], sent: Sequence[CallToNotify]
    ) -> bool:
        request, table = WriteRequest(self._connection), self._table
        request.deletes += (
            table.delete(_counted_key(organization_id, calls.group), _IS_AS_READ, **_as_read(calls))
            for calls in counted
        )
        items = digest_items(organization_id, sent)
        request.puts += (table.put(item, table.is_new) for item in items)
        return request.succeeds()

    def _first(self, organization_id: str, prefix: str, *, limit: int) -> Sequence[Item]:
        return self._table.page(
            "organizationId = :organization AND begins_with(#record, :prefix)",
            {":organization": organization_id, ":prefix": prefix},
            ConsistentRead=True,
            Limit=limit,
        ).items

    def _put(self, organization_id: str, counted: CountedCalls) -> Operation:
        item = {
            **_counted_key(organization_id, counted.group),
            **_COUNTED.write(replace(counted, step=counted.step + 1)),
            "startedBy": TEXT.write(counted.first.notification.id),
        }
        if counted.step == 0:
            return self._table.put(item, self._table.is_new)
        return self._table.put(item, _IS_AS_READ, **_as_read(counted))


def _as_read(counted: CountedCalls) -> dict[str, int | str]:
    return {"step": counted.step, "started": counted.first.notification.id}


def _hashed(group: CallGroup) -> str:
    """Name a group in a key: with the longest organizer spelled out it would not fit."""
    return hashlib.sha256("\n".join(group[1:]).encode()).hexdigest()[:32]


def _counted_key(organization_id: str, group: CallGroup) -> Item:
    return credit_key(organization_id, f"{COUNTED}{group.day}#{_hashed(group)}")


def digest_items(organization_id: str, sent: Sequence[CallToNotify]) -> Iterator[Item]:
    """Write digests, as many in an item as fit it."""
    correlated = {call.notification.id: call.correlation_id for call in sent}
    for some in in_records([call.notification for call in sent]):
        documents = [facts_of(notification, correlated[notification.id]) for notification in some]
        yield documents_item(organization_id, f"{DIGEST}{some[0].id}", documents)


def first_call_item(organization_id: str, group: CallGroup, call: CallToNotify) -> Item:
    published = facts_of(call.notification._replace(counted_on=None), call.correlation_id)
    return documents_item(organization_id, f"{FIRST_CALL}{group.day}#{_hashed(group)}", [published])
