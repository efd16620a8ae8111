"""Build what makes statements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.config import Config

from perminute.adapters.dynamodb.postings import DynamoDBPostings
from perminute.adapters.statement_bucket import S3StatementBucket
from perminute.api.reports.statement_files import statement_files
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.render_statements import RenderedStatement, RenderStatements
from perminute.bootstrap.queues import work

if TYPE_CHECKING:
    from perminute.aws import AwsResources

# The older signature names no region, and is not accepted in newer ones.
_SIGNED = Config(signature_version="s3v4")


def rendering(aws: AwsResources) -> RenderStatements:
    """Return the use case over one connection to AWS."""
    return RenderStatements(
        postings=DynamoDBPostings(aws.tables),
        write=statement_files,
        library=S3StatementBucket(
            lambda: aws.client("s3", _SIGNED), aws.setting("STATEMENTS_BUCKET")
        ),
    )


def monthly_statements(aws: AwsResources, render: RenderStatements) -> DailyRun[RenderedStatement]:
    """Return the run that writes those of all organizations."""
    return DailyRun(ListOrganizations(aws.credit, work(aws)), render)
