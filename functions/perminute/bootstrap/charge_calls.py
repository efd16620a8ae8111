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
    from perminute.ports.privacy import ContentKeys


def charge_calls(aws: AwsResources, content_keys: ContentKeys | None = None) -> ChargeCalls:
    """Return the use case over one connection to AWS.

    A function that gets no calls by events compares none, and needs no keys.
    """
    return ChargeCalls(
        credit=aws.credit,
        calls=DynamoDBCalls(aws.tables),
        licensing=LicensingCache(aws.licensing),
        rate_cards=aws.rate_cards(),
        retry=RetryPolicy(),
        content_keys=content_keys,
        run_all=InThreads(),
    )
