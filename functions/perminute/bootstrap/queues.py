"""The queues that functions read, and those that they send messages to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.messaging import (
    SQSCalls,
    SQSQueue,
    SQSRedeliveries,
    SQSRejections,
    SQSReratingQueue,
    SQSWork,
)

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def rejections(aws: AwsResources) -> SQSRejections:
    """Return the dead-letter queue to which refused messages are sent."""
    return SQSRejections(lambda: aws.client("sqs"), aws.setting("DEAD_LETTER_QUEUE_URL"))


def redeliveries(aws: AwsResources) -> SQSRedeliveries:
    """Return the queue that the function reads, to have messages of it delivered again soon."""
    return SQSRedeliveries(lambda: aws.client("sqs"), aws.setting("QUEUE_URL"))


def calls_queue(aws: AwsResources) -> SQSCalls:
    """Return the queue of calls that have ended."""
    return SQSCalls(lambda: aws.client("sqs"), aws.setting("QUEUE_URL"))


def queue_of_function(aws: AwsResources) -> SQSQueue:
    """Return the queue that the function reads, to send it more work."""
    return SQSQueue(lambda: aws.client("sqs"), aws.setting("QUEUE_URL"))


def other_calls_queue(aws: AwsResources) -> SQSCalls:
    """Return the queue of calls that have ended, for a function that does not read it."""
    return SQSCalls(lambda: aws.client("sqs"), aws.setting("CALLS_QUEUE_URL"))


def rerating_queue(aws: AwsResources) -> SQSReratingQueue:
    """Return the queue of organizations that have waiting re-ratings."""
    return SQSReratingQueue(lambda: aws.client("sqs"), aws.setting("RERATING_QUEUE_URL"))


def work(aws: AwsResources) -> SQSWork:
    """Return the queue of a daily run."""
    return SQSWork(lambda: aws.client("sqs"), aws.setting("WORK_QUEUE_URL"))
