"""Build what reports are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.account_states import DynamoDBAccountStates
from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.application.licensing_cache import LicensingCache
from perminute.application.reporting.reader import ReportReader
from perminute.application.retry import RetryPolicy

if TYPE_CHECKING:
    from perminute.aws import AwsResources

ATTEMPTS = 24
"""Reading an account collides with the transactions that are just changing it: a busy organization
has one most of the time, so a few attempts would not do."""


def report_reader(aws: AwsResources) -> ReportReader:
    """Connect the reader."""
    return ReportReader(
        accounts=DynamoDBAccountStates(aws.tables),
        postings=DynamoDBPostings(aws.tables),
        credit=aws.credit,
        calls=DynamoDBCalls(aws.tables),
        licensing=LicensingCache(aws.licensing),
        rate_cards=aws.rate_cards(),
        reratings=DynamoDBReratings(aws.tables),
        retry=RetryPolicy(attempts=ATTEMPTS, base_seconds=0.005, cap_seconds=0.2),
    )
