"""`RecordObjects` on S3."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3SSLError  # type: ignore[attr-defined] # urllib3's

from perminute.domain.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.ports.record_objects import StoredObject

_GONE = "it is not there any more; drop it again if its calls were not charged"
# What S3 says of an object that no repetition brings back.
_REFUSALS = {
    "NoSuchKey": f"vanished: {_GONE}",
    "NoSuchVersion": f"vanished: {_GONE}",
    "PreconditionFailed": "replaced: another object took its place, which is read by its own event",
    "InvalidRange": "replaced: it is shorter than its event says; drop it again",
    "InvalidObjectState": "archived: restore it, and drop a copy",
}


class S3RecordObjects:
    """Reads objects as they were at their event, with a client that is made for the first one."""

    def __init__(self, make_client: Callable[[], S3Client]) -> None:
        self._client = cache(make_client)

    def read(self, stored: StoredObject, begin: int, end: int) -> bytes:
        if begin == end:
            # S3 has no word for a range of nothing.
            return b""
        # By its version, or else only if it is still the one that the event is about.
        which: dict[str, Any] = (
            {"IfMatch": f'"{stored.etag}"'}
            if stored.version_id is None
            else {"VersionId": stored.version_id}
        )
        try:
            answer = self._client().get_object(
                Bucket=stored.bucket, Key=stored.key, Range=f"bytes={begin}-{end - 1}", **which
            )
            return answer["Body"].read()
        except (BotoCoreError, ClientError, URLLib3SSLError) as error:
            # The last one is that of TLS while the body is read, which botocore lets pass.
            _raise(stored, error)


def _raise(stored: StoredObject, error: Exception) -> NoReturn:
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
    place = f"s3://{stored.bucket}/{stored.key}"
    if code in _REFUSALS:
        reason, _, remedy = _REFUSALS[code].partition(": ")
        raise Refused("object", f"{reason}: {place}: {remedy}") from error
    msg = f"{place} cannot be read: {error}"
    raise Unavailable(msg) from error
