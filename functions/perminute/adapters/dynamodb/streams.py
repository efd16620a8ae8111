"""Records of the credit table's stream: notifications that are to be published, and what waits.

A record that cannot be read becomes a rejection with the reason. Raised instead, the error would
block its shard until the mapping gives up, and the records beside it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.adapters.notification_documents import notification_of
from perminute.domain.errors import Refused
from perminute.domain.pools.pools import PoolStep
from perminute.domain.values.times import EPOCH
from perminute.ports.messaging import Announcement, Rejection, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    Handler = Callable[[dict[str, Any], LambdaContext], Any]
    Record = dict[str, Any]

HEARTBEAT = "heartbeat"
"""The record's name: its arrival is all that it says (template.yaml: StreamHeartbeat)."""

_UNREADABLE = (Refused, KeyError, TypeError, ValueError, AttributeError, OverflowError)


def read_outbox(record: Record) -> Sequence[Announcement] | Rejection:
    try:
        change = record["dynamodb"]
        item, written_at = change["NewImage"], _written_at(change)
        caused_by = json.loads(item["correlationIds"]["S"]) if "correlationIds" in item else ()
        return [
            Announcement(
                notification=notification_of(document),
                written_at=written_at,
                correlation_id=str(document.get("correlationId", "")),
                caused_by=tuple(caused_by),
            )
            for document in documents_in(item)
        ]
    except _UNREADABLE as error:
        return _rejection(record, f"the outbox record cannot be read: {error!r}")


def read_rerating(record: Record) -> Waiting | Rejection:
    """Read which organization waits; how far it has come is read from the table itself."""
    try:
        change = record["dynamodb"]
        organization_id = change["Keys"]["organizationId"]["S"]
        step = change["NewImage"].get("step")
        # Only a pool that has just become unsettled is looked at once more, later.
        begins = step is not None and PoolStep(step["S"]) is PoolStep.FIRST
        # The stream rounds down to a second.
        unsettled_at = _written_at(change) + timedelta(seconds=1) if begins else None
        return Waiting(str(organization_id), unsettled_at)
    except _UNREADABLE as error:
        return _rejection(record, f"the record cannot be read: {error!r}")


def _written_at(change: dict[str, Any]) -> datetime:
    return EPOCH + timedelta(seconds=int(change["ApproximateCreationDateTime"]))


def _rejection(record: Record, reason: str) -> Rejection:
    return Rejection(str(record.get("eventID")), reason, json.dumps(record, default=str))


def pass_over_heartbeats(handler: Handler) -> Handler:
    """Hand a batch of the stream to the handler without the heartbeats in it.

    A batch of nothing else ends here: counting that nothing was done would give a metric data in
    each hour of the month, and each such metric has a price (docs/capacity-and-costs.md). An event
    without records is a daily run.
    """

    @wraps(handler)
    def handle(event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - the handler's
        if "Records" not in event:
            return handler(event, context)
        records = [record for record in event["Records"] if not _is_heartbeat(record)]
        if event["Records"] and not records:
            return {"batchItemFailures": []}
        return handler({**event, "Records": records}, context)

    return handle


def _is_heartbeat(record: Record) -> bool:
    # What has no keys is no heartbeat: the handler says what is wrong with it.
    keys = record.get("dynamodb", {}).get("Keys", {})
    return bool(keys.get("record") == {"S": HEARTBEAT})
