"""Build what reports are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config

from perminute.adapters.dynamodb.account_states import DynamoDBAccountStates
from perminute.adapters.dynamodb.calls import DynamoDBCalls
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.dynamodb.reratings import DynamoDBReratings
from perminute.adapters.rendering_function import LambdaStatementRenderer
from perminute.application.licensing_cache import LicensingCache
from perminute.application.reporting.reader import ReportReader
from perminute.application.retry import RetryPolicy

if TYPE_CHECKING:
    from perminute.aws import AwsResources

ATTEMPTS = 24
"""Reading an account collides with the transactions that are just changing it: a busy organization
has one most of the time, so a few attempts would not do."""

_RENDERING_SECONDS = 25


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
        renderer=_renderer(aws),
    )


def _renderer(aws: AwsResources) -> LambdaStatementRenderer | None:
    function = aws.environment.get("STATEMENTS_FUNCTION")
    if not function:
        return None
    # One attempt, which may take nearly as long as the caller waits.
    patient = Config(read_timeout=_RENDERING_SECONDS, retries={"total_max_attempts": 1})
    return LambdaStatementRenderer(lambda: aws.client("lambda", patient), function)
