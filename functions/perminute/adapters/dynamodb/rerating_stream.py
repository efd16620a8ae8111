"""What is waiting to be carried out, as the table's stream shows it.

A record only wakes: how far the work has come is read from the table.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.records import POOL
from perminute.domain.ledger import RERATING
from perminute.domain.pools import Month
from perminute.ports import Rejection, Unsettled, Waiting

if TYPE_CHECKING:
    from perminute.ports import Work


def read_work(record: dict[str, Any]) -> Work | Rejection:
    """Read one record of the stream; one that cannot be read becomes a rejection with the reason.

    Raised instead, it would block its shard until the mapping gives up, and its neighbors with it.
    """
    try:
        keys = record["dynamodb"]["Keys"]
        organization_id, name = keys["organizationId"]["S"], keys["record"]["S"]
        if name.startswith(POOL):
            return Unsettled(organization_id, Month.parse(name.removeprefix(POOL)))
        if name.startswith(RERATING):
            return Waiting(organization_id, name.removeprefix(RERATING))
        reason = f"{name} is neither a re-rating nor a minute pool"
    except (KeyError, TypeError, ValueError) as error:
        reason = f"the record cannot be read: {error!r}"
    return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))
