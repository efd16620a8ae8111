"""What brings events, requests and messages to the functions of a stack."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, assert_never

from perminute_local.replay.schedules import Clock, Scheduled
from perminute_local.replay.table_stream import ATTEMPTS, Reader
from perminute_local.stack import ApiTrigger, QueueTrigger, ScheduleTrigger, StreamTrigger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from perminute_local.replay.deliveries import Delivery
    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.replay.results import Rejected, Response
    from perminute_local.replay.table_stream import TableStream
    from perminute_local.stack import Function, Stack


class Links(Protocol):
    """The ways into a stack, and those from one of its functions to the next.

    What they cannot have settled they give back, with the reason.
    """

    stack: Stack
    largest_batch: int
    streams: list[TableStream]
    clock: Clock

    def deliver(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        """Hand events to the bus, and see them settled; messages go out so many at once."""
        ...

    def deliver_sent(self, names: set[str]) -> list[Rejected] | None:
        """See settled what these functions send to others; None if they do not send any."""
        ...

    def response(self, request: Delivery) -> Response:
        """Ask the charging API."""
        ...

    def places(self, deliveries: Sequence[Delivery]) -> Mapping[str, str]:
        """Say which event of the file is meant by the ids that the functions have seen."""
        ...


@dataclass(slots=True)
class Wiring:
    """The functions of a stack, by what makes them run."""

    readers: dict[str, tuple[QueueTrigger, LambdaFunction]] = field(default_factory=dict)
    """By the logical id of the queue."""
    listening: defaultdict[str, list[Reader]] = field(default_factory=lambda: defaultdict(list))
    """By the ARN of the stream."""
    scheduled: list[Scheduled] = field(default_factory=list)
    charging: tuple[ApiTrigger, LambdaFunction] | None = None

    def fed_by(self, names: set[str], stack: Stack) -> list[str]:
        """Name the queues that these functions may have sent to, and that functions read."""
        urls = {
            value
            for function in stack.functions
            if function.name in names
            for value in function.environment.values()
        }
        return [queue for queue in self.readers if stack.queues[queue].url in urls]


def wire(
    stack: Stack, load: Callable[[Function], LambdaFunction], *, as_deployed: bool = False
) -> Wiring:
    """Load every function, and put it where its trigger is.

    As deployed, records of a stream are delivered as often as the template says.
    """
    wiring = Wiring()
    for function in stack.functions:
        loaded = load(function)
        for trigger in function.triggers:
            match trigger:
                case QueueTrigger(queue=queue):
                    wiring.readers[queue] = trigger, loaded
                case StreamTrigger():
                    wiring.listening[trigger.stream_arn].append(
                        Reader(trigger, loaded, trigger.attempts if as_deployed else ATTEMPTS)
                    )
                case ScheduleTrigger():
                    wiring.scheduled.append(Scheduled(function.name, trigger, loaded))
                case ApiTrigger():
                    wiring.charging = trigger, loaded
                case never:
                    assert_never(never)
    return wiring
