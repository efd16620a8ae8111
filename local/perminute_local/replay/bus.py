"""The bus of the embedded AWS, asked by its own rules where an event goes.

Events are not put on the bus: EventBridge gives each event a new id, and the id of a licensing
event is its identity. So the rules that were made from the template decide, by
`TestEventPattern`, and the message is handed to the rule's queue by the replay itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from perminute_local.replay.deliveries import Delivery
    from perminute_local.stack import Stack


class Bus:
    """Routes events by the rules of the stack's bus."""

    def __init__(self, stack: Stack) -> None:
        """Read the rules and their targets."""
        self._client = boto3.client("events")
        self._targets: dict[str, list[str]] = {}
        queue_by_arn = {queue.arn: name for name, queue in stack.queues.items()}
        for rule in self._client.list_rules(EventBusName=stack.bus_name)["Rules"]:
            answer = self._client.list_targets_by_rule(
                Rule=rule["Name"], EventBusName=stack.bus_name
            )
            queues = [queue_by_arn[target["Arn"]] for target in answer["Targets"]]
            self._targets[rule["EventPattern"]] = queues
        self._by_kind: dict[str, list[str]] = {}

    def queues_for(self, delivery: Delivery) -> list[str]:
        """Name the queues that an event reaches; asked once for each source and detail-type."""
        queues = self._by_kind.get(delivery.kind)
        if queues is None:
            queues = self._by_kind[delivery.kind] = self._ask(delivery)
        return queues

    def _ask(self, delivery: Delivery) -> list[str]:
        envelope = {
            "id": delivery.event_id,
            "account": "000000000000",
            "region": "us-east-1",
            "resources": [],
            "time": "2026-01-01T00:00:00Z",
            "detail-type": "",
            **json.loads(delivery.body),
        }
        return [
            queue
            for pattern, queues in self._targets.items()
            if self._client.test_event_pattern(EventPattern=pattern, Event=json.dumps(envelope))[
                "Result"
            ]
            for queue in queues
        ]
