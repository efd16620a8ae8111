"""The links of a replay whose functions run in this process: queues are passed by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from perminute.sqs import event_id_of
from perminute_local.replay.bus import Bus
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.links import wire
from perminute_local.replay.requests import ChargingRequests, ask_function
from perminute_local.replay.results import Rejected, drain, unknown_source
from perminute_local.replay.schedules import Clock, Failure
from perminute_local.replay.table_stream import TableStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from perminute_local.replay.deliveries import Delivery
    from perminute_local.replay.results import Response
    from perminute_local.stack import Stack


class InProcess:
    """The functions of the template, loaded, over the resources of a stack."""

    def __init__(self, stack: Stack) -> None:
        """Load them all, as a deployment has them ready."""
        self.stack = stack
        self._wiring = wire(stack, LoadedFunction)
        self.readers = self._wiring.readers
        self.largest_batch = max(trigger.batch_size for trigger, _ in self.readers.values())
        self.streams = [TableStream(arn, who) for arn, who in self._wiring.listening.items()]
        self.clock = Clock(
            self._wiring.scheduled, stack.setting("CREDIT_TABLE"), work_off=self._work_off
        )
        self._bus = Bus(stack)
        self._sqs = boto3.client("sqs")

    def deliver(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        """Deliver to each queue that a rule names."""
        queues = [q for q in self._bus.queues_for(batch[0]) if q in self.readers]
        if not queues:
            return [Rejected(one.event_id, unknown_source(one.source)) for one in batch]
        names = {delivery.body: delivery.event_id for delivery in batch}
        rejected: list[Rejected] = []
        for queue in queues:
            messages = [SQSMessage(delivery.body, sent_at=delivery.at) for delivery in batch]
            rejected += self._deliver(messages, names, queue, batch_size)
        return rejected

    def deliver_sent(self, names: set[str]) -> list[Rejected] | None:
        """Deliver what stands in the queues, and what their readers send themselves meanwhile."""
        queues = self._wiring.fed_by(names, self.stack)
        rejected: list[Rejected] = []
        for queue in queues:
            url = self.stack.queues[queue].url
            while sent := [SQSMessage(message["Body"]) for message in drain(url, self._sqs)]:
                known_as = {message.body: f"{queue}: {message.body}" for message in sent}
                rejected += self._deliver(sent, known_as, queue, None)
        return rejected if queues else None

    def _work_off(self, name: str, at: datetime) -> Iterator[Failure]:
        """Have a run of a scheduled function end before anything else happens."""
        for rejected in self.deliver_sent({name}) or ():
            yield Failure(rejected.event_id, at, rejected.reason)

    def response(self, request: Delivery) -> Response:
        """Call the function as API Gateway does."""
        if self._wiring.charging is None:
            msg = "no function of the template serves the charging API"
            raise LookupError(msg)
        trigger, function = self._wiring.charging
        return ChargingRequests(trigger.routes, ask_function(function)).response(request)

    def places(self, deliveries: Sequence[Delivery]) -> Mapping[str, str]:
        """Say of events without an id, which go by their fingerprint, in which line they stand."""
        return {event_id_of(delivery.body): delivery.event_id for delivery in deliveries}

    def _deliver(
        self,
        messages: list[SQSMessage],
        names: Mapping[str, str],
        queue: str,
        batch_size: int | None,
    ) -> list[Rejected]:
        """Deliver until each is settled, or was received as often as its queue allows."""
        exhausted: list[Rejected] = []
        trigger, function = self.readers[queue]
        size = batch_size or trigger.batch_size
        arn, limit = self.stack.queues[queue].arn, self.stack.queues[queue].max_receive_count or 1
        while messages:
            again: list[SQSMessage] = []
            for start in range(0, len(messages), size):
                again += function.invoke(messages[start : start + size], arn)
            exhausted += [
                Rejected(names[message.body], f"failed {limit} times; see the function's log above")
                for message in again
                if message.receive_count >= limit
            ]
            messages = [message for message in again if message.receive_count < limit]
        return exhausted
