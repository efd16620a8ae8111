"""Our reader of queues keeps to what Lambda's does, above all where the emulator's does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local.deployed.emulated_links import QueueMapping
from perminute_local.replay.lambda_runtime import LambdaFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from perminute_local.stack import Function, Stack

Answer = dict[str, Any] | None
Records = list[dict[str, Any]]


class Answering(LambdaFunction):
    """A function that says what a test wants it to say of the records that it is handed."""

    def __init__(self, function: Function, answer: Callable[[Records], Answer]) -> None:
        super().__init__(function)
        self._answer = answer
        self.handed: list[Records] = []

    def call(self, event: Any) -> Answer:
        self.handed.append(event["Records"])
        return self._answer(event["Records"])


def failing(*ids: str) -> Answer:
    return {"batchItemFailures": [{"itemIdentifier": one} for one in ids]}


def all_well(_records: Records) -> Answer:
    return failing()


def mapping_of(
    stack: Stack, answer: Callable[[Records], Answer], *bodies: str, batch_size: int = 100
) -> tuple[QueueMapping, Answering]:
    queue, sqs = stack.queues["CallsQueue"], boto3.client("sqs")
    for body in bodies:
        sqs.send_message(QueueUrl=queue.url, MessageBody=body)
    function = Answering(stack.functions[0], answer)
    return QueueMapping(queue, batch_size, function, sqs), function


def come_again(stack: Stack, records: Records) -> None:
    """Have them hidden no longer; one that is deleted cannot come again, which is an error."""
    for record in records:
        boto3.client("sqs").change_message_visibility(
            QueueUrl=stack.queues["CallsQueue"].url,
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=0,
        )


def test_a_batch_is_filled_from_as_many_requests_as_it_takes(moto_stack: Stack) -> None:
    bodies = [f"{number:02d}" for number in range(25)]
    mapping, function = mapping_of(moto_stack, all_well, *bodies, batch_size=22)
    assert [mapping.poll(), mapping.poll(), mapping.poll()] == [22, 3, 0]
    assert [record["body"] for batch in function.handed for record in batch] == bodies
    assert mapping.hidden() == 0


def test_what_failed_comes_again_and_the_rest_does_not(moto_stack: Stack) -> None:
    def second_fails(records: Records) -> Answer:
        return failing(*(record["messageId"] for record in records if record["body"] == "b"))

    mapping, function = mapping_of(moto_stack, second_fails, "a", "b")
    assert (mapping.poll(), mapping.hidden()) == (2, 1)
    come_again(moto_stack, function.handed[0][1:])
    assert mapping.poll() == 1
    (again,) = function.handed[1]
    assert (again["body"], again["attributes"]["ApproximateReceiveCount"]) == ("b", "2")


@pytest.mark.parametrize(
    "answer", [failing("nobody's"), failing(""), None], ids=["unknown", "empty", "an error"]
)
def test_an_answer_that_names_none_of_the_batch_keeps_all_of_it(
    moto_stack: Stack, answer: Answer
) -> None:
    # AWS: "Reporting batch item failures": an unknown or empty identifier fails the whole batch.
    mapping, function = mapping_of(moto_stack, lambda _: answer, "a", "b")
    assert (mapping.poll(), mapping.hidden()) == (2, 2)
    come_again(moto_stack, function.handed[0])
    assert mapping.poll() == 2


def test_a_record_has_what_sqs_says_of_the_message(moto_stack: Stack) -> None:
    mapping, function = mapping_of(moto_stack, all_well, "a")
    mapping.poll()
    ((record,),) = function.handed
    assert record["eventSourceARN"] == moto_stack.queues["CallsQueue"].arn
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["SentTimestamp"].isdecimal()
