"""Files of call records are dropped into the bucket of a stack, and S3 reports each.

The emulator sends the event over its bus, by the template's rule to the template's queue: soon, but
not before it has answered. Other than that of S3, the event names no version of the object, which
is read by its etag then.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from perminute_local.conditions import StackError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs.client import SQSClient

    from perminute_local.replay.arrivals import Arrival


REPORTED_WITHIN_SECONDS = 30
_POLL_SECONDS = 0.002


def drop(arrival: Arrival, bucket: str, client: S3Client) -> None:
    """Put a file into the bucket. Raises `WrongFile` if it is gone, and `ClientError`."""
    with arrival.open() as content:
        client.put_object(Bucket=bucket, Key=arrival.key, Body=content)


def wait_for(messages: int, queue_url: str, client: SQSClient) -> None:
    """Wait until so many messages are in a queue. Raises `StackError` if they do not come."""
    deadline = time.monotonic() + REPORTED_WITHIN_SECONDS
    while _waiting(queue_url, client) < messages:
        if time.monotonic() > deadline:
            msg = f"S3 did not report a file that was dropped: {queue_url} lacks its message"
            raise StackError(msg)
        time.sleep(_POLL_SECONDS)


def _waiting(queue_url: str, client: SQSClient) -> int:
    answer = client.get_queue_attributes(
        QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
