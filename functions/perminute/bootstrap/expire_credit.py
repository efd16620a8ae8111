"""Build the daily run over the credit of all organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.calls import DynamoDBCallsUnderWay
from perminute.adapters.dynamodb.digests import DynamoDBDigests
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.application.daily_expiry import (
    AccountExpiry,
    ChargeReported,
    ExpireAccount,
    ExpireCredit,
)
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.notify_forecasts import NotifyForecasts
from perminute.application.retry import RetryPolicy
from perminute.application.send_digests import SendDigests
from perminute.bootstrap.charge_calls import charge_calls
from perminute.bootstrap.queues import work

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def daily_expiry(aws: AwsResources) -> DailyRun[AccountExpiry]:
    """Return the run over one connection to AWS."""
    send_digests = SendDigests(
        credit=aws.credit,
        calls=DynamoDBCallsUnderWay(aws.tables),
        digests=DynamoDBDigests(aws.tables),
        retry=RetryPolicy(),
    )
    does = ExpireAccount(
        ExpireCredit(aws.credit, RetryPolicy()),
        ChargeReported(aws.credit, charge_calls(aws)),
        send_digests,
        NotifyForecasts(aws.credit, DynamoDBPostings(aws.tables), RetryPolicy()),
    )
    return DailyRun(ListOrganizations(aws.credit, work(aws), only_due=True), does)
