"""The outbox as the table's stream shows it: one record for the notifications of one posting."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.rows import OutboxRow
from perminute.adapters.notification_documents import announcement_of
from perminute.domain.errors import Refused
from perminute.ports import Announcement, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_record(record: dict[str, Any]) -> Sequence[Announcement] | Rejection:
    """Read one record of the stream; one that cannot be read becomes a rejection with the reason.

    Raised instead, it would block its shard until the mapping gives up, and its neighbors with it.
    """
    try:
        row = OutboxRow.from_raw_data(record["dynamodb"]["NewImage"])
        caused_by = row.correlation_ids or ()
        return [announcement_of(document, caused_by) for document in row.notifications]
    except (Refused, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"the outbox record cannot be read: {error!r}"
        return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))
