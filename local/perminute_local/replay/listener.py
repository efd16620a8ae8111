"""A subscriber of the notification topic: a queue, as an organization's own tools would have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3

from perminute.domain.values.times import parse_instant
from perminute_local.replay.results import drain

if TYPE_CHECKING:
    from perminute.adapters.notification_documents import Document

QUEUE_NAME = "notifications-heard"


class Listener:
    """Hears every notification from now on."""

    def __init__(self, topic_arn: str) -> None:
        """Subscribe a queue of its own, which gets the documents as they are."""
        sqs = boto3.client("sqs")
        self._queue_url = sqs.create_queue(QueueName=QUEUE_NAME)["QueueUrl"]
        attributes = sqs.get_queue_attributes(
            QueueUrl=self._queue_url, AttributeNames=["QueueArn"]
        )["Attributes"]
        queue_arn = attributes["QueueArn"]
        policy = json.dumps(_only_from(topic_arn, queue_arn))
        sqs.set_queue_attributes(QueueUrl=self._queue_url, Attributes={"Policy": policy})
        boto3.client("sns").subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
        )

    def heard(self) -> list[Document]:
        """Give each notification once, in the order of time; copies have the same id."""
        documents = [json.loads(message["Body"]) for message in drain(self._queue_url)]
        by_id = {document["id"]: document for document in documents}
        return sorted(by_id.values(), key=lambda d: (parse_instant(d["at"]), d["organizationId"]))


def _only_from(topic_arn: str, queue_arn: str) -> dict[str, Any]:
    """Let the topic send to the queue, as it asks for (AWS: "Fanout to Amazon SQS queues")."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }
