"""Build the use case that rates calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.application.licensing_cache import LicensingCache
from perminute.application.recorded_calls import RecordedCalls
from perminute.application.rerate_calls import RerateCalls
from perminute.application.retry import RetryPolicy

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def rerate_calls(aws: AwsResources) -> RerateCalls:
    """Return the use case over one connection to AWS."""
    recorded_calls = RecordedCalls(
        credit=aws.credit,
        calls=DynamoDBCalls(aws.tables),
        licensing=LicensingCache(aws.licensing),
        rate_cards=aws.rate_cards(),
        retry=RetryPolicy(),
    )
    return RerateCalls(recorded_calls, DynamoDBReratings(aws.tables))
