"""What brings events, requests and messages to the functions of a stack.

Events are not put on the bus: EventBridge gives each event a new id, and the id of a licensing
event is its identity. So the rules that were made from the template decide, by
`TestEventPattern`, and the replay itself delivers the message to the function of the rule's queue.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, assert_never

import boto3

from perminute.api.endpoints import BY_NAME
from perminute.api.http import Endpoint
from perminute.api.reports.endpoint import REPORTS, endpoint_of
from perminute.events.telephony import TELEPHONY
from perminute.fields import Message
from perminute.sqs import event_id_of
from perminute_local.replay.dropped_files import drop, wait_for
from perminute_local.replay.lambda_runtime import (
    Clock,
    Failure,
    LoadedFunction,
    Scheduled,
    SQSMessage,
    http_api_event,
    log_errors_only,
)
from perminute_local.replay.posted_requests import refusals, request_of
from perminute_local.replay.results import Rejected, Response, drain, unknown_source
from perminute_local.replay.streams import ATTEMPTS, Reader, TableStream
from perminute_local.stack import ApiTrigger, QueueTrigger, ScheduleTrigger, StreamTrigger

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from perminute_local.replay.arrivals import Arrival
    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.replay.plan import Delivery
    from perminute_local.stack import Function, Stack


class Bus:
    """Routes events by the rules of the stack's bus."""

    def __init__(self, stack: Stack) -> None:
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
        """Return the queues that an event reaches; asked once for each source and detail-type."""
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


Ask = Callable[[Endpoint[Message], dict[str, str], dict[str, Any], datetime], dict[str, Any] | None]
"""Makes a request: its route, what the path names, body or query, and when. Returns the answer, or
None if the function failed."""

_IDS = ("organizationId", "callId")


def response_to(request: Delivery, routes: Collection[str], ask: Ask) -> Response:
    """Make a request by the routes of the template: no other request would reach a function."""
    body = json.loads(request.body)
    answer = _answer(request, body, routes, ask)
    asked = body if isinstance(body, dict) else {}
    return Response(request.at, request.request or "", asked, answer)


def _answer(request: Delivery, body: object, routes: Collection[str], ask: Ask) -> dict[str, Any]:
    name = request.request or ""
    endpoint = BY_NAME.get(name) or endpoint_of(name)
    if endpoint is None or endpoint.route_key not in routes:
        return _error(f"request: must be one of {', '.join((*BY_NAME, *REPORTS))}")
    if request.fault is not None or request.at is None:
        return _error(request.fault or "time: is required")
    if not isinstance(body, dict):
        return _error("body: must be a JSON object")
    path: dict[str, Any] = {name: body.get(name) for name in _IDS if f"{{{name}}}" in endpoint.path}
    for name, value in path.items():
        if not isinstance(value, str):
            return _error(f"body.{name}: is required, as text")
    if "{report}" in endpoint.path:
        path["report"] = endpoint.name
    answer = ask(endpoint, path, body, request.at)
    if answer is None:
        return {"error": "internal", "message": "the function failed; see its log above"}
    return answer


def answer_in(headers: Mapping[str, str], body: str) -> dict[str, Any]:
    """Return an answer of either function; one that is CSV as a direct invocation returns it."""
    if headers["content-type"].startswith("text/csv"):
        return {"asOf": json.loads(headers["perminute-as-of"]), "csv": body}
    answer: dict[str, Any] = json.loads(body)
    return answer


def http_event(
    endpoint: Endpoint[Message], path: dict[str, str], content: dict[str, Any], at: datetime
) -> dict[str, Any]:
    """Return a request as the charging API passes it on, let in by IAM."""
    event = http_api_event(endpoint.route_key, endpoint.path.format(**path), at, "")
    event["requestContext"]["authorizer"] = {"iam": {"accountId": "000000000000"}}
    event["pathParameters"] = path
    if endpoint.method == "GET":
        return event | {"queryStringParameters": query_of(content, path)}
    return event | {"body": json.dumps(content)}


def query_of(content: Mapping[str, Any], path: Mapping[str, str]) -> dict[str, str]:
    """Write as a query what the path does not name: lists with commas, null and [] not at all."""
    texts = {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in content.items()
        # The text of an empty list would be read as a list of one empty item.
        if value is not None and value != []
    }
    return {name: text for name, text in texts.items() if name not in path and name not in _IDS[:1]}


def _error(message: str) -> dict[str, Any]:
    return {"error": "invalid", "message": message}


class Links(Protocol):
    """The ways into a stack, and those from one of its functions to the next.

    Methods return what could not be processed, with the reason.
    """

    stack: Stack
    streams: list[TableStream]
    clock: Clock

    def largest_batch(self, first: Delivery) -> int:
        """Return how many events like this one are delivered at once, at most."""
        ...

    def deliver(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        """Send events to the bus, and process them, `batch_size` messages at a time."""
        ...

    def deliver_records(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        """Drop files of call records and post requests with them, and process both."""
        ...

    def deliver_sent(self, names: set[str]) -> list[Rejected] | None:
        """Process what these functions send to others; return None if they send nothing."""
        ...

    def response(self, request: Delivery) -> Response:
        """Send a request to the API."""
        ...

    def places(self, deliveries: Iterable[Delivery]) -> Mapping[str, str]:
        """Return by the ids that functions know the ids of the file, where these differ."""
        ...


@dataclass(slots=True)
class Wiring:
    """The functions of a stack, by what makes them run."""

    readers: dict[str, tuple[QueueTrigger, LambdaFunction]] = field(default_factory=dict)
    """By the logical id of the queue."""
    listening: defaultdict[str, list[Reader]] = field(default_factory=lambda: defaultdict(list))
    """By the ARN of the stream."""
    scheduled: list[Scheduled] = field(default_factory=list)
    serving: dict[str, LambdaFunction] = field(default_factory=dict)
    """By the route."""

    def streams(self) -> list[TableStream]:
        """Begin to read each stream for its readers."""
        return [TableStream(arn, readers) for arn, readers in self.listening.items()]

    def clock(self, stack: Stack, work_off: Callable[[str, datetime], Iterable[Failure]]) -> Clock:
        """Return the clock that runs the scheduled functions."""
        return Clock(self.scheduled, stack.setting("CREDIT_TABLE"), work_off=work_off)

    def fed_by(self, names: set[str], stack: Stack) -> list[str]:
        """Return the queues that these functions may have sent to, and that functions read."""
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
                case ApiTrigger(routes=routes):
                    wiring.serving |= dict.fromkeys(routes, loaded)
                case never:
                    assert_never(never)
    return wiring


CALLS_QUEUE, RECORDS_QUEUE = "CallsQueue", "RecordsQueue"
"""The queues of calls that have ended, and of call records, by their names in the template."""

_QUEUED_AGAIN = {f"{TELEPHONY.name} Calls Ended"}
"""Events whose function may send parts of them to its own queue."""


class InProcess:
    """The functions of the template, loaded, over the resources of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._wiring = wire(stack, LoadedFunction)
        log_errors_only()
        self.readers = self._wiring.readers
        self.streams = self._wiring.streams()
        self.clock = self._wiring.clock(stack, self._work_off)
        self._bus = Bus(stack)
        self._s3, self._sqs = boto3.client("s3"), boto3.client("sqs")
        self._requests = count(1)
        self._places: dict[str, str] = {}

    def largest_batch(self, first: Delivery) -> int:
        if first.arrival is not None:
            return self.readers[RECORDS_QUEUE][0].batch_size
        # Of more than its function takes, a batch of a few would be left over each time.
        sizes = (self.readers[queue][0].batch_size for queue in self._queues_for(first))
        return max(sizes, default=1)

    def _queues_for(self, delivery: Delivery) -> list[str]:
        return [queue for queue in self._bus.queues_for(delivery) if queue in self.readers]

    def deliver(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        queues = self._queues_for(batch[0])
        if not queues:
            return [Rejected(event.event_id, unknown_source(event.source)) for event in batch]
        names = {delivery.body: delivery.event_id for delivery in batch}
        rejected: list[Rejected] = []
        for queue in queues:
            messages = [SQSMessage(delivery.body, sent_at=delivery.at) for delivery in batch]
            rejected += self._deliver(messages, names, queue, batch_size)
            if batch[0].kind in _QUEUED_AGAIN:
                rejected += self.deliver_sent({self.readers[queue][1].name}) or ()
        return rejected

    def deliver_records(self, batch: Sequence[Delivery], batch_size: int | None) -> list[Rejected]:
        rejected: list[Rejected] = []
        names: dict[str, str] = {}
        messages: list[SQSMessage] = []
        for delivery in batch:
            if delivery.arrival is None:
                continue
            rejected += self._bring(delivery.arrival)
            # One after the other: so it is known of which one the message is.
            for body in self._drained(RECORDS_QUEUE):
                names[body] = self._places[event_id_of(body)] = delivery.event_id
                messages.append(SQSMessage(body, sent_at=delivery.at))
        rejected += self._deliver(messages, names, RECORDS_QUEUE, batch_size)
        sent_at = max((event.at for event in batch if event.at is not None), default=None)
        # A large file is divided first.
        for queue in (RECORDS_QUEUE, CALLS_QUEUE):
            rejected += self._work_off_queue(queue, batch_size, sent_at)
        return rejected

    def _bring(self, arrival: Arrival) -> Iterator[Rejected]:
        if not arrival.is_posted:
            drop(arrival, self.stack.records_bucket, self._s3)
            wait_for(1, self.stack.queues[RECORDS_QUEUE].url, self._sqs)
            return
        request = request_of(arrival)
        function = self._wiring.serving[f"POST {request.path}"]
        answer = function.call(request.event(f"replay-{next(self._requests)}", arrival.at))
        if answer is None:
            yield Rejected(arrival.place, "the function failed; see its log above")
        else:
            yield from refusals(arrival.place, answer["statusCode"], answer.get("body", ""))

    def deliver_sent(self, names: set[str]) -> list[Rejected] | None:
        queues = self._wiring.fed_by(names, self.stack)
        rejected = [one for queue in queues for one in self._work_off_queue(queue, None, None)]
        return rejected if queues else None

    def _work_off_queue(
        self, queue: str, batch_size: int | None, sent_at: datetime | None
    ) -> Iterator[Rejected]:
        while sent := self._drained(queue):
            known_as = {body: f"{queue}: {body}" for body in sent}
            messages = [SQSMessage(body, sent_at=sent_at) for body in sent]
            yield from self._deliver(messages, known_as, queue, batch_size)

    def _drained(self, queue: str) -> list[str]:
        return [message["Body"] for message in drain(self.stack.queues[queue].url, self._sqs)]

    def _work_off(self, name: str, at: datetime) -> Iterator[Failure]:
        for rejected in self.deliver_sent({name}) or ():
            yield Failure(rejected.event_id, at, rejected.reason)

    def response(self, request: Delivery) -> Response:
        serving = self._wiring.serving

        def ask(
            endpoint: Endpoint[Message], path: dict[str, str], content: dict[str, Any], at: datetime
        ) -> dict[str, Any] | None:
            response = serving[endpoint.route_key].call(http_event(endpoint, path, content, at))
            return None if response is None else answer_in(response["headers"], response["body"])

        return response_to(request, serving, ask)

    def places(self, deliveries: Iterable[Delivery]) -> Mapping[str, str]:
        # Events without an id go by their fingerprint: each by its line in the file.
        known_as = (
            (event_id_of(delivery.body), delivery.event_id)
            for delivery in deliveries
            if delivery.arrival is None
        )
        return self._places | {known: own for known, own in known_as if known != own}

    def _deliver(
        self,
        messages: list[SQSMessage],
        names: Mapping[str, str],
        queue: str,
        batch_size: int | None,
    ) -> list[Rejected]:
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
