"""Where the processed events of events are kept, and how they are told from each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.records import sortable
from perminute.adapters.dynamodb.rows import EventRow, Item, ProcessedEventRow
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.values.times import parse_instant

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation


_EARLIER = "attribute_not_exists(organizationId) OR (content = :content AND issuedAt > :issued)"
"""`ProcessedEvent.is_earlier_than`, as DynamoDB reads it."""


def insert_processed_event(schema: Schema, processed_event: ProcessedEvent) -> Operation:
    """Write a processed event unless its identity is recorded, but for that of a later copy."""
    if processed_event.key.kind is IdentityKind.EVENT:
        return schema.events.insert(_event_row(processed_event).serialize())
    row = _receipt_row(processed_event)
    if row.issued_at is None:
        return schema.processed_events.insert(row.serialize())
    item = row.serialize()
    return schema.processed_events.put_if(item, _EARLIER, content=row.content, issued=row.issued_at)


def insert_change_by_update(schema: Schema, processed_event: ProcessedEvent) -> Operation:
    """Do so with that of a `changeId`, for a role that may not put items beside accounts."""
    row = _receipt_row(processed_event)
    if row.issued_at is None:
        return schema.processed_events.insert_by_update(row.serialize())
    item = row.serialize()
    return schema.processed_events.set_if(item, _EARLIER, content=row.content, issued=row.issued_at)


def _event_row(processed_event: ProcessedEvent) -> EventRow:
    key = processed_event.key
    return EventRow(
        event_id=key.id, organization_id=key.organization_id, content=processed_event.content
    )


def _receipt_row(processed_event: ProcessedEvent) -> ProcessedEventRow:
    return ProcessedEventRow(
        organization_id=processed_event.key.organization_id,
        record=processed_event_record(processed_event.key),
        content=processed_event.content,
        entry_id=processed_event.entry_id,
        issued_at=None
        if processed_event.issued_at is None
        else sortable(processed_event.issued_at),
    )


def processed_event_record(key: EventIdentity) -> str:
    """Name the record of a processed event that an organization's own number identifies."""
    return f"{key.kind}#{key.id}"


def processed_event_of(key: EventIdentity, item: Item) -> ProcessedEvent:
    """Read the processed event that stands under `key`."""
    if key.kind is IdentityKind.EVENT:
        return ProcessedEvent(key, EventRow.from_raw_data(item).content)
    row = ProcessedEventRow.from_raw_data(item)
    return stored_processed_event(key, row)


def stored_processed_event(key: EventIdentity, row: ProcessedEventRow) -> ProcessedEvent:
    """Read a processed event from its row."""
    processed_event = ProcessedEvent(key, row.content, row.entry_id)
    return (
        replace(processed_event, issued_at=parse_instant(row.issued_at))
        if row.issued_at
        else processed_event
    )
