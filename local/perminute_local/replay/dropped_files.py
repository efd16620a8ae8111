"""Drops files of call records into the bucket of a stack, where S3 reports each.

The emulator sends the event over its bus, by the template's rule, to the template's queue: soon,
but maybe after it has answered. Unlike S3's event, this one names no version of the object, which
is then read by its etag.
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
    """Wait until a queue has this many messages. Raises `StackError` if they do not arrive."""
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
