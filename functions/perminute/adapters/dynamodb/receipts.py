"""Where the receipts of events are kept, and how they are told from each other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.records import sortable
from perminute.adapters.dynamodb.rows import EventRow, Item, ReceiptRow
from perminute.domain.times import parse_instant
from perminute.ports import Receipt, ReceiptKey, ReceiptKind

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation


_EARLIER = "attribute_not_exists(organizationId) OR (content = :content AND issuedAt > :issued)"
"""`Receipt.is_earlier_than`, as DynamoDB reads it."""


def insert_receipt(schema: Schema, receipt: Receipt) -> Operation:
    """Write a receipt where none of the same identity exists yet, but for that of a later copy."""
    if receipt.key.kind is ReceiptKind.EVENT:
        return schema.events.insert(_event_row(receipt).serialize())
    row = _receipt_row(receipt)
    if row.issued_at is None:
        return schema.receipts.insert(row.serialize())
    item = row.serialize()
    return schema.receipts.put_if(item, _EARLIER, content=row.content, issued=row.issued_at)


def insert_change_by_update(schema: Schema, receipt: Receipt) -> Operation:
    """Do so with that of a `changeId`, for a role that may not put items beside accounts."""
    row = _receipt_row(receipt)
    if row.issued_at is None:
        return schema.receipts.insert_by_update(row.serialize())
    item = row.serialize()
    return schema.receipts.set_if(item, _EARLIER, content=row.content, issued=row.issued_at)


def _event_row(receipt: Receipt) -> EventRow:
    key = receipt.key
    return EventRow(event_id=key.id, organization_id=key.organization_id, content=receipt.content)


def _receipt_row(receipt: Receipt) -> ReceiptRow:
    return ReceiptRow(
        organization_id=receipt.key.organization_id,
        record=receipt_record(receipt.key),
        content=receipt.content,
        entry_id=receipt.entry_id,
        issued_at=None if receipt.issued_at is None else sortable(receipt.issued_at),
    )


def receipt_record(key: ReceiptKey) -> str:
    """Name the record of a receipt that an organization's own number identifies."""
    return f"{key.kind}#{key.id}"


def receipt_of(key: ReceiptKey, item: Item) -> Receipt:
    """Read the receipt that stands under `key`."""
    if key.kind is ReceiptKind.EVENT:
        return Receipt(key, EventRow.from_raw_data(item).content)
    row = ReceiptRow.from_raw_data(item)
    return stored_receipt(key, row)


def stored_receipt(key: ReceiptKey, row: ReceiptRow) -> Receipt:
    """Read a receipt from its row."""
    receipt = Receipt(key, row.content, row.entry_id)
    return replace(receipt, issued_at=parse_instant(row.issued_at)) if row.issued_at else receipt
