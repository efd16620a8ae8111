"""Build the use cases that queue organizations with waiting re-ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.application.queue_reratings import QueueMissed, QueueReratings
from perminute.bootstrap.queues import rejections, rerating_queue

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def queue_reratings(aws: AwsResources) -> QueueReratings:
    """Return the use case for what was just written."""
    return QueueReratings(rerating_queue(aws), rejections(aws))


def queue_missed(aws: AwsResources) -> QueueMissed:
    """Return the use case for all that is still waiting."""
    return QueueMissed(DynamoDBReratings(aws.tables), rerating_queue(aws))
