"""What SQS did not take must not be taken for sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from perminute.adapters.sqs_batches import MAX_ENTRIES, send_all
from perminute.adapters.sqs_wakeups import SQSWakeups
from perminute.domain.errors import Unavailable

URL = "https://queue"


@dataclass
class Queue:
    """Answers as it is told to, and remembers what it was sent."""

    answer: dict[str, Any] | Exception = field(default_factory=dict)
    requests: list[list[str]] = field(default_factory=list)

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        assert request["QueueUrl"] == URL
        ids = [entry["Id"] for entry in request["Entries"]]
        assert len(set(ids)) == len(ids)
        self.requests.append([entry["MessageBody"] for entry in request["Entries"]])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_all_are_sent_at_most_ten_at_a_time() -> None:
    queue = Queue()
    bodies = [str(number) for number in range(2 * MAX_ENTRIES + 1)]
    send_all(queue, URL, bodies)
    assert queue.requests == [bodies[:10], bodies[10:20], bodies[20:]]


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
        send_all(Queue(answer), URL, ["a"])


def test_waking_nobody_makes_no_client() -> None:
    queue, made = Queue(), []

    def make() -> Queue:
        made.append(1)
        return queue

    wakeups = SQSWakeups(make, URL)
    wakeups.wake([])
    assert made == []
    wakeups.wake(["contoso"])
    wakeups.wake(["fabrikam"])
    assert made == [1]
    assert queue.requests == [
        ['{"organizationId": "contoso"}'],
        ['{"organizationId": "fabrikam"}'],
    ]
