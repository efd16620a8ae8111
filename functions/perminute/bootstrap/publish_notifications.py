"""Build the use case that publishes notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.digests import DynamoDBDigests
from perminute.adapters.sns_topic import SNSTopic
from perminute.application.publish_notifications import PublishNotifications
from perminute.bootstrap.queues import rejections
from perminute.formats.notification_texts import Sender

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def publish_notifications(aws: AwsResources) -> PublishNotifications:
    """Return the use case over one connection to AWS."""
    topic = SNSTopic(
        lambda: aws.client("sns"),
        aws.setting("NOTIFICATION_TOPIC_ARN"),
        Sender(
            aws.setting("STACK_NAME"),
            aws.environment.get("DOCUMENTATION_URL", ""),
            aws.environment.get("CONSOLE_URL", ""),
        ),
    )
    digests = DynamoDBDigests(aws.tables)
    return PublishNotifications(topic, aws.licensing, rejections(aws), digests)
