"""Items of notifications that wait in the credit table: `outbox#…`.

`outbox#call#…` are calls that are published only if they are the first of their day and group, by
that day, until a digest has counted them. `outbox#first#…` is the first call of a group, by which
it is known, and `outbox#digest#…` are digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.json import decode

from perminute.adapters.dynamodb.account_items import credit_key
from perminute.adapters.dynamodb.codec import to_json
from perminute.adapters.notification_documents import facts_of
from perminute.domain.credit.transaction import NO_CAUSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.adapters.dynamodb.codec import Item
    from perminute.adapters.notification_documents import Document
    from perminute.domain.credit.transaction import Causes
    from perminute.domain.notifications.notifications import Notification

CALLS_TO_COUNT = "outbox#call#"


def outbox_item(
    notifications: Sequence[Notification], version: int, causes: Causes = NO_CAUSES
) -> Item:
    """Write notifications of one transaction, as many as fit an item (`Transaction.outbox`).

    Under the account's version that it makes, and the id of the first: a transaction that makes
    none notifies only of new calls, each once for ever.
    """
    first = notifications[0]
    documents = [
        facts_of(notification, causes.of(notification.call_id)) for notification in notifications
    ]
    name = f"{version:012d}#{first.id}"
    # Those of calls that a digest may count are sorted by day.
    day = first.counted_on
    record = f"outbox#{name}" if day is None else f"{CALLS_TO_COUNT}{day}#{name}"
    item = documents_item(first.organization_id, record, documents)
    if len(causes.event_ids) > 1:
        # By these a call is found whose charge was one of many that led to a notification.
        item["correlationIds"] = {"S": to_json(causes.event_ids)}
    return item


def documents_item(organization_id: str, record: str, documents: Sequence[Document]) -> Item:
    return {**credit_key(organization_id, record), "notifications": {"S": to_json(documents)}}


def documents_in(item: Item) -> list[Document]:
    documents: list[dict[str, Any]] = decode(item["notifications"]["S"])
    return documents
