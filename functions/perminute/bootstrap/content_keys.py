"""The keys of content digests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.content_keys import DynamoDBContentKeys

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def content_keys(aws: AwsResources) -> DynamoDBContentKeys:
    """Return the table of the keys over the connection to AWS."""
    return DynamoDBContentKeys(aws.connection, aws.setting("CONTENT_KEYS_TABLE"))
