"""Items that prove that an event was processed: of the events table, or beside the account.

An event that is identified by its id alone has an item of the events table. Of the others the
credit table has a record `purchase#…`, `adjustment#…`, `recharge#…`, `rechargeFailure#…` or
`change#…`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_items import key
from perminute.adapters.dynamodb.codec import SORTABLE_INSTANT, TEXT, Record
from perminute.domain.credit.transaction import IdentityKind, ProcessedEvent

if TYPE_CHECKING:
    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.dynamodb.tables import Operation, Tables
    from perminute.domain.credit.transaction import EventIdentity

# Text sorts as time does, for a condition compares when copies of an event were issued.
_EVENT = Record(ProcessedEvent, content=TEXT, entry_id=TEXT, issued_at=SORTABLE_INSTANT)

_EARLIER = "attribute_not_exists(organizationId) OR (content = :content AND issuedAt > :issued)"
"""`ProcessedEvent.is_earlier_than`, as DynamoDB reads it."""


def event_key(identity: EventIdentity) -> Item:
    """Return the key of a processed event in its table."""
    if identity.kind is IdentityKind.EVENT:
        return {"eventId": {"S": identity.id}}
    return key(identity.organization_id, f"{identity.kind}#{identity.id}")


def event_of(identity: EventIdentity, item: Item) -> ProcessedEvent:
    """Read the processed event of an identity."""
    return _EVENT.read(item, key=identity)


def insert_event(tables: Tables, event: ProcessedEvent, *, by_update: bool = False) -> Operation:
    """Write a processed event unless its identity is recorded, other than of a later copy.

    `by_update` is for a role that may not put items beside accounts.
    """
    table = tables.events if event.key.kind is IdentityKind.EVENT else tables.credit
    item = {
        "organizationId": {"S": event.key.organization_id},
        **event_key(event.key),
        **_EVENT.write(event),
    }
    write = table.set if by_update else table.put
    if event.issued_at is None:
        return write(item, table.is_new)
    return write(item, _EARLIER, content=event.content, issued=item["issuedAt"]["S"])
