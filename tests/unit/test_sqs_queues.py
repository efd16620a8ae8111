"""What SQS did not take must not be taken for sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from builders import ANSWERED, phone_call

from perminute.adapters.dynamodb.counter_items import pool_item
from perminute.adapters.dynamodb.streams import read_rerating
from perminute.adapters.messaging import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    SQSCalls,
    SQSQueue,
    SQSRedeliveries,
    SQSReratingQueue,
)
from perminute.application.rerate_calls import ReratingRequest
from perminute.domain.credit.holds import Hold
from perminute.domain.errors import Refused, Unavailable
from perminute.domain.licensing.licensing import Licensing
from perminute.domain.licensing.timelines import Timeline
from perminute.domain.pools.pools import DrawPosition, MinutePool, MinutePools, Month, PoolStep
from perminute.domain.pools.settling import settled_until
from perminute.events.reratings import rerating_request_of
from perminute.ports.messaging import Rejection, Waiting

URL = "https://queue"


@dataclass
class Queue:
    """Answers as it is told to, and remembers what it was sent."""

    answer: dict[str, Any] | Exception = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)
    delays: list[list[int]] = field(default_factory=list)

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        assert request["QueueUrl"] == URL
        assert [entry["Id"] for entry in request["Entries"]] == [
            str(number) for number, _ in enumerate(request["Entries"])
        ]
        self.requests.append([entry["ReceiptHandle"] for entry in request["Entries"]])
        self.delays.append([entry["VisibilityTimeout"] for entry in request["Entries"]])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        assert request["QueueUrl"] == URL
        ids = [entry["Id"] for entry in request["Entries"]]
        assert len(set(ids)) == len(ids)
        self.requests.append([entry["MessageBody"] for entry in request["Entries"]])
        self.delays.append([entry.get("DelaySeconds", 0) for entry in request["Entries"]])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_all_are_sent_at_most_ten_at_a_time() -> None:
    queue = Queue()
    bodies = [str(number) for number in range(2 * MAX_BATCH + 1)]
    SQSQueue(lambda: queue, URL).send_messages(bodies)
    assert queue.requests == [bodies[:10], bodies[10:20], bodies[20:]]


def test_no_more_bytes_are_sent_at_once_than_sqs_takes() -> None:
    queue = Queue()
    half, whole = "é" * (MAX_BATCH_BYTES // 4), "x" * MAX_BATCH_BYTES
    SQSCalls(lambda: queue, URL).send([half, half, "y", whole, "z"])
    assert queue.requests == [[half, half], ["y"], [whole], ["z"]]


def test_messages_are_scheduled_at_most_ten_at_a_time() -> None:
    queue = Queue()
    seconds = {f"receipt-{number}": number for number in range(MAX_BATCH + 1)}
    SQSRedeliveries(lambda: queue, URL).schedule(seconds)
    assert queue.requests == [[*seconds][:10], [*seconds][10:]]
    assert queue.delays == [[*range(10)], [10]]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"Failed": [{"Id": "0", "Code": "InternalError"}]}, "did not take a message: Internal"),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch"), "AccessDenied"),
    ],
)
def test_what_was_not_taken_is_raised_also_if_it_hides_in_a_200(
    answer: dict[str, Any] | Exception, why: str
) -> None:
    with pytest.raises(Unavailable, match=why):
        SQSQueue(lambda: Queue(answer), URL).send_messages(["a"])
    with pytest.raises(Unavailable, match=why):
        SQSRedeliveries(lambda: Queue(answer), URL).schedule({"receipt": 2})


def test_waking_nobody_makes_no_client() -> None:
    queue, made = Queue(), []

    def make() -> Queue:
        made.append(1)
        return queue

    rerating_requests = SQSReratingQueue(make, URL)
    rerating_requests.send([])
    assert made == []
    rerating_requests.send(["contoso"])
    rerating_requests.send(["fabrikam"])
    assert made == [1]
    assert queue.requests == [
        ['{"organizationId": "contoso"}'],
        ['{"organizationId": "fabrikam"}'],
    ]


def test_who_is_woken_later_is_told_when_that_was_meant_to_be() -> None:
    queue = Queue()
    SQSReratingQueue(lambda: queue, URL).send_later({"contoso": ANSWERED})
    assert queue.delays == [[900]]
    ((body,),) = queue.requests
    sent_at = ANSWERED - timedelta(hours=3)
    assert rerating_request_of(body, sent_at) == ReratingRequest("contoso", ANSWERED)
    assert rerating_request_of('{"organizationId": "contoso"}', sent_at) == ReratingRequest(
        "contoso", sent_at
    )
    wrongs = ({"organizationId": "contoso", "at": "soon"}, {"organizationId": "a", "at": 7})
    for wrong in map(json.dumps, wrongs):
        with pytest.raises(Refused):
            rerating_request_of(wrong, sent_at)


def record_of_pool(pool: MinutePool, step: PoolStep | None = None) -> dict[str, Any]:
    item = pool_item(pool, step)
    return {
        "eventID": "event-1",
        "dynamodb": {
            "Keys": {name: item[name] for name in ("organizationId", "record")},
            "NewImage": item,
            "ApproximateCreationDateTime": ANSWERED.timestamp(),
        },
    }


def test_the_record_of_a_pool_that_becomes_unsettled_tells_since_when_it_is() -> None:
    pool = MinutePool(organization_id="contoso", month=Month(2026, 11))
    late = DrawPosition(ANSWERED, "call-1")
    begun = pool.unsettled_from(late)
    seen_at = ANSWERED + timedelta(seconds=1)
    assert read_rerating(record_of_pool(begun, PoolStep.FIRST)) == Waiting("contoso", seen_at)
    # A step that passes over days leaves the cursor at the start of one as well.
    assert read_rerating(record_of_pool(begun, PoolStep.NEXT)) == Waiting("contoso")
    assert read_rerating(record_of_pool(pool)) == Waiting("contoso")


def test_only_what_unsettles_a_pool_or_settles_it_further_asks_for_a_step() -> None:
    settled = MinutePool(organization_id="contoso", month=Month(2026, 11))
    late = phone_call(call_id="late", ended_at=ANSWERED + timedelta(minutes=2))
    begun = settled.unsettled_from(DrawPosition.of(late))

    def steps(before: MinutePool, after: MinutePool) -> list[PoolStep]:
        pools = MinutePools({before.month: before}, Licensing(Timeline(), {}))
        pools.put(after)
        return list(pools.steps.values())

    assert steps(settled, begun) == [PoolStep.FIRST]
    # Another call of the same transaction that comes late as well.
    assert steps(settled, begun.unsettled_from(DrawPosition(ANSWERED, "z"))) == [PoolStep.FIRST]
    assert steps(begun, begun.with_drawn(DrawPosition.of(late), 2)) == []
    assert steps(begun, begun.with_held(Hold(ANSWERED, 2, 1), ANSWERED)) == []
    assert steps(begun, begun.unsettled_from(DrawPosition(ANSWERED, "z"), 1)) == []
    earlier = DrawPosition(ANSWERED - timedelta(days=1), "earlier")
    assert steps(begun, begun.unsettled_from(earlier)) == [PoolStep.NEXT]
    assert steps(begun, begun.at_next_step()) == [PoolStep.NEXT]
    assert steps(begun, settled_until(begun, begun.month.end.date())) == [PoolStep.NEXT]
    assert steps(begun, settled) == []


@pytest.mark.parametrize("step", ["", "{}", "[]", "7"])
def test_a_record_that_makes_no_sense_is_kept(step: str) -> None:
    record = record_of_pool(MinutePool(organization_id="contoso", month=Month(2026, 11)))
    record["dynamodb"]["NewImage"]["step"] = {"S": step}
    assert isinstance(read_rerating(record), Rejection)
