"""What waits to be looked at again, as the table's stream shows it: whose it is, and no more.

How far it has come is read from the table itself.
"""

from __future__ import annotations

import json
from typing import Any

from perminute.ports import Rejection


def read_record(record: dict[str, Any]) -> str | Rejection:
    """Read the organization of a record; one that has none becomes a rejection with the reason.

    Raised instead, it would block its shard until the mapping gives up, and its neighbors with it.
    """
    try:
        organization_id = record["dynamodb"]["Keys"]["organizationId"]["S"]
    except (KeyError, TypeError) as error:
        reason = f"the record cannot be read: {error!r}"
        return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))
    return str(organization_id)
