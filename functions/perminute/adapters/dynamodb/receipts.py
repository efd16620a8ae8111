"""Where the receipts of events are kept, and how they are told from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.rows import EventRow, Item, ReceiptRow
from perminute.ports import Receipt, ReceiptKey, ReceiptKind

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.schema import Schema
    from perminute.adapters.dynamodb.tables import Operation


def insert_receipt(schema: Schema, receipt: Receipt) -> Operation:
    """Write a receipt where one of the same identity must not exist yet."""
    key = receipt.key
    if key.kind is ReceiptKind.EVENT:
        event = EventRow(
            event_id=key.id, organization_id=key.organization_id, content=receipt.content
        )
        return schema.events.insert(event.serialize())
    row = ReceiptRow(
        organization_id=key.organization_id,
        record=receipt_record(key),
        content=receipt.content,
        entry_id=receipt.entry_id,
    )
    return schema.receipts.insert(row.serialize())


def receipt_record(key: ReceiptKey) -> str:
    """Name the record of a receipt that an organization's own number identifies."""
    return f"{key.kind}#{key.id}"


def receipt_of(key: ReceiptKey, item: Item) -> Receipt:
    """Read the receipt that stands under `key`."""
    if key.kind is ReceiptKind.EVENT:
        return Receipt(key, EventRow.from_raw_data(item).content)
    row = ReceiptRow.from_raw_data(item)
    return Receipt(key, row.content, row.entry_id)
