"""The outbox as the stream shows it: one record for the notifications of a transaction."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.rows import OutboxRow
from perminute.adapters.notification_documents import notification_of
from perminute.domain.errors import Refused
from perminute.ports import Announcement, Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_record(record: dict[str, Any]) -> Sequence[Announcement] | Rejection:
    """Read one record of the stream; one that cannot be read becomes a rejection with the reason.

    Raised instead, it would block its shard until the mapping gives up, and its neighbors with it.
    """
    try:
        seen = record["dynamodb"]
        row = OutboxRow.from_raw_data(seen["NewImage"])
        written_at = _EPOCH + timedelta(seconds=int(seen["ApproximateCreationDateTime"]))
        return [
            Announcement(
                notification=notification_of(document),
                written_at=written_at,
                correlation_id=str(document.get("correlationId", "")),
                caused_by=tuple(row.correlation_ids or ()),
            )
            for document in row.notifications
        ]
    except (Refused, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"the outbox record cannot be read: {error!r}"
        return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))
