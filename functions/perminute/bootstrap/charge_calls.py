"""Build the use case that charges ended calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.application.charge_calls import ChargeCalls
from perminute.application.licensing_cache import LicensingCache
from perminute.application.retry import RetryPolicy
from perminute.application.side_by_side import InThreads

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def charge_calls(aws: AwsResources) -> ChargeCalls:
    """Return the use case over one connection to AWS."""
    return ChargeCalls(
        credit=aws.credit,
        calls=DynamoDBCalls(aws.tables),
        licensing=LicensingCache(aws.licensing),
        rate_cards=aws.rate_cards(),
        retry=RetryPolicy(),
        run_all=InThreads(),
    )
