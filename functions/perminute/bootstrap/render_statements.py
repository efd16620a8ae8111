"""Build the use case that makes statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.statement_bucket import S3StatementBucket
from perminute.api.reports.statement_files import statement_files
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.render_statements import (
    NotifyOfStatement,
    RenderedStatement,
    RenderStatements,
)
from perminute.application.retry import RetryPolicy
from perminute.bootstrap.queues import work

if TYPE_CHECKING:
    from perminute.aws import AwsResources

LINKED = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
"""A link names the region of the bucket: S3 redirects one without, and its signature is then wrong
(docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html)."""


def rendering(aws: AwsResources) -> RenderStatements:
    """Return the use case over one connection to AWS."""
    return RenderStatements(
        postings=DynamoDBPostings(aws.tables),
        write=statement_files,
        library=S3StatementBucket(
            lambda: aws.client("s3", LINKED), aws.setting("STATEMENTS_BUCKET")
        ),
        notify=NotifyOfStatement(DynamoDBCreditStore(aws.tables), RetryPolicy())
        if aws.setting("NOTIFY_OF_STATEMENTS") == "true"
        else None,
    )


def monthly_statements(aws: AwsResources, render: RenderStatements) -> DailyRun[RenderedStatement]:
    """Return the monthly run that writes the statements of all organizations."""
    return DailyRun(ListOrganizations(aws.credit, work(aws)), render)
