"""What waits to be looked at again, as the table's stream shows it: whose it is, and no more.

How far it has come is read from the table itself.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from perminute.domain.pools.pools import PoolStep
from perminute.ports import Rejection, Waiting

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_record(record: dict[str, Any]) -> Waiting | Rejection:
    """Read the organization of a record; one that has none becomes a rejection with the reason.

    Raised instead, it would block its shard until the mapping gives up, and its neighbors with it.
    """
    try:
        seen = record["dynamodb"]
        organization_id = seen["Keys"]["organizationId"]["S"]
        waiting = Waiting(
            str(organization_id), _written_at(seen) if _begins(seen["NewImage"]) else None
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"the record cannot be read: {error!r}"
        return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))
    return waiting


def _begins(image: dict[str, Any]) -> bool:
    """Whether a pool has just become unsettled: only then is it woken once more, later."""
    return "step" in image and PoolStep(image["step"]["S"]) is PoolStep.FIRST


def _written_at(seen: dict[str, Any]) -> datetime:
    """Read when a record was written, which the stream rounds down to a second: here, up."""
    return _EPOCH + timedelta(seconds=int(seen["ApproximateCreationDateTime"]) + 1)
