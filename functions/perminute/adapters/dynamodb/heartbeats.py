"""The heartbeat of the credit table's stream (template.yaml: StreamHeartbeat)."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    Handler = Callable[[dict[str, Any], LambdaContext], Any]

HEARTBEAT = "heartbeat"
"""The record's name: its arrival is all that it says."""


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


def _is_heartbeat(record: dict[str, Any]) -> bool:
    # What has no keys is no heartbeat: the handler says what is wrong with it.
    keys = record.get("dynamodb", {}).get("Keys", {})
    return bool(keys.get("record") == {"S": HEARTBEAT})
