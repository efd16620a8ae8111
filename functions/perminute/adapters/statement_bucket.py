"""The bucket of statements on S3.

A key is `<organization>/<month>/statement-<basis>.<form>`; the organization is URL-encoded.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from perminute.adapters.bucket_folders import folder_of
from perminute.adapters.dynamodb.tables import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.ports.statements import StatementFile, StatementKey

LINK_LASTS = timedelta(minutes=15)
"""Long enough to open a link, and far shorter than the lifetime of the credentials that sign it."""


def object_key(key: StatementKey, form: str) -> str:
    return f"{folder_of(key.organization_id)}{key.month}/statement-{key.basis}.{form}"


class S3StatementBucket:
    """`StatementLibrary` on S3, whose client is made when it is first needed."""

    def __init__(
        self,
        make_client: Callable[[], S3Client],
        bucket: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = cache(make_client)
        self._bucket, self._clock = bucket, clock

    def keep(self, key: StatementKey, file: StatementFile) -> None:
        name = object_key(key, file.form)
        with unavailable(f"s3://{self._bucket}/{name} cannot be written"):
            self._client().put_object(
                Bucket=self._bucket,
                Key=name,
                Body=file.content,
                ContentType=file.content_type,
                ContentDisposition=f'attachment; filename="statement-{key.month}.{file.form}"',
            )

    def link(self, key: StatementKey, form: str) -> tuple[str, datetime]:
        expires_at = self._clock() + LINK_LASTS
        with unavailable("no link can be signed"):
            location = self._client().generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": object_key(key, form)},
                ExpiresIn=int(LINK_LASTS.total_seconds()),
            )
        return location, expires_at
