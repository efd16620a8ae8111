"""Build the charging API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.calls import DynamoDBCalls, DynamoDBCallsUnderWay
from perminute.api.endpoints import ChargingApi
from perminute.application.ask_price import AskPrice
from perminute.application.authorize_call import AuthorizeCall
from perminute.application.licensing_cache import LicensingCache
from perminute.application.look_up_calls import LookUpCalls
from perminute.application.retry import RetryPolicy

if TYPE_CHECKING:
    from perminute.aws import AwsResources

ATTEMPTS = 24
"""As many callers of one organization may decide at the same instant, and each of them wins."""


def charging_api(aws: AwsResources) -> ChargingApi:
    """Connect the API; its use cases share the cached rate card and licenses."""
    rate_cards, licensing = aws.rate_cards(), LicensingCache(aws.licensing)
    under_way = DynamoDBCallsUnderWay(aws.tables)
    return ChargingApi(
        authorize_call=AuthorizeCall(
            under_way=under_way,
            credit=aws.credit,
            calls=DynamoDBCalls(aws.tables),
            licensing=licensing,
            rate_cards=rate_cards,
            retry=RetryPolicy(attempts=ATTEMPTS, base_seconds=0.005, cap_seconds=0.2),
        ),
        ask_price=AskPrice(aws.credit, licensing, rate_cards),
        credit=aws.credit,
        look_up_calls=LookUpCalls(under_way),
    )
