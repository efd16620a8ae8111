"""Build the nightly masking of phone numbers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from perminute.adapters.dynamodb.recorded_content import DynamoDBRecordedContent
from perminute.adapters.usage_archive import S3UsageArchive
from perminute.application.daily_runs import DailyRun, ListOrganizations
from perminute.application.mask_numbers import MaskedNumbers, MaskNumbers, rest_of
from perminute.application.retry import RetryPolicy
from perminute.application.side_by_side import InThreads
from perminute.bootstrap.content_keys import content_keys
from perminute.bootstrap.queues import work

if TYPE_CHECKING:
    from perminute.aws import AwsResources


def masking(aws: AwsResources) -> DailyRun[MaskedNumbers]:
    """Return the run over one connection to AWS."""
    days = int(aws.setting("NUMBERS_KEPT_DAYS"))
    # Empty if there is no archive.
    bucket = aws.environment.get("USAGE_ARCHIVE_BUCKET")
    mask_numbers = MaskNumbers(
        content=DynamoDBRecordedContent(aws.tables),
        keys=content_keys(aws),
        retry=RetryPolicy(),
        kept=timedelta(days=days) if days else None,
        run_all=InThreads(),
        archive=S3UsageArchive(lambda: aws.client("s3"), bucket) if bucket else None,
    )
    return DailyRun(ListOrganizations(aws.credit, work(aws)), mask_numbers, rest_of)
