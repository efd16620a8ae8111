"""A queue read for a function, as Lambda's SQS event source mapping reads it.

The emulator has such mappings too, but deletes messages that Lambda keeps (an answer that names
none of them), reads with no role, and does not wait for a batch to fill up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from perminute_local.embedded_aws import REGION

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from perminute_local.replay.lambda_runtime import LambdaFunction
    from perminute_local.stack import Queue

AT_ONCE = 10
"""What SQS gives, and deletes, in one request."""


class QueueMapping:
    """What `template.yaml` says of a queue and its function."""

    def __init__(
        self, queue: Queue, batch_size: int, function: LambdaFunction, client: SQSClient
    ) -> None:
        """Read with a client that has the rights of the function's role."""
        self._queue = queue
        self._batch_size = batch_size
        self._function = function
        self._client = client

    def poll(self, batch_size: int | None = None) -> int:
        """Hand over a batch of what waits; gives how many messages that was.

        Those that failed come again when they have been hidden for as long as the queue says.
        """
        messages = self._receive(batch_size or self._batch_size)
        if messages:
            failed = self._function.failed_of([self._record(one) for one in messages])
            self._delete([one for one in messages if one["MessageId"] not in failed])
        return len(messages)

    def hidden(self) -> int:
        """Count the messages that have failed and will come again."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def hidden_seconds(self) -> int:
        """Tell how long it takes them."""
        return self._count("VisibilityTimeout")

    def _count(self, name: Any) -> int:  # noqa: ANN401 - the stubs know it as a literal
        answer = self._client.get_queue_attributes(QueueUrl=self._queue.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _receive(self, size: int) -> list[MessageTypeDef]:
        messages: list[MessageTypeDef] = []
        while len(messages) < size:
            found = self._client.receive_message(
                QueueUrl=self._queue.url,
                MaxNumberOfMessages=min(AT_ONCE, size - len(messages)),
                MessageSystemAttributeNames=["All"],
            ).get("Messages", [])
            if not found:
                break
            messages += found
        return messages

    def _record(self, message: MessageTypeDef) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._queue.arn,
            "awsRegion": REGION,
        }

    def _delete(self, messages: list[MessageTypeDef]) -> None:
        for start in range(0, len(messages), AT_ONCE):
            self._client.delete_message_batch(
                QueueUrl=self._queue.url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages[start : start + AT_ONCE])
                ],
            )
