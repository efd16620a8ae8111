"""The bucket of call records on S3, as far as functions write to it.

Every object is written on a condition, so nothing is overwritten that was not read. States are
below `state/`, of which no event becomes a message (template.yaml: RecordsRule).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3SSLError  # type: ignore[attr-defined] # urllib3's

from perminute.domain.errors import Contended, Unavailable
from perminute.ports.records_bucket import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

# Another object was there, or is being written at this moment; of one that had to be there, none.
_NOT_AS_READ = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


def state_key(name: str) -> str:
    return f"state/{name}.json"


class S3RecordsBucket:
    """`RecordsBucket` on S3, whose client is made when it is first needed."""

    def __init__(self, make_client: Callable[[], S3Client], bucket: str) -> None:
        self._client = cache(make_client)
        self._name = bucket

    def keep(self, name: str, content: bytes) -> bool:
        return self._put(name, content, {"IfNoneMatch": "*"}) is not None

    def state(self, name: str) -> State | None:
        key = state_key(name)
        try:
            answer = self._client().get_object(Bucket=self._name, Key=key)
            return State(answer["Body"].read(), answer["ETag"])
        except (BotoCoreError, ClientError, URLLib3SSLError) as error:
            if _code(error) == "NoSuchKey":
                return None
            msg = f"s3://{self._name}/{key} cannot be read: {error}"
            raise Unavailable(msg) from error

    def store_state(self, name: str, content: bytes, *, read: State | None) -> State:
        key = state_key(name)
        condition = {"IfNoneMatch": "*"} if read is None else {"IfMatch": read.version}
        version = self._put(key, content, condition)
        if version is None:
            msg = f"s3://{self._name}/{key} was written by another run"
            raise Contended(msg)
        return State(content, version)

    def _put(self, key: str, content: bytes, condition: dict[str, Any]) -> str | None:
        """Write an object and return its version; None if it was not as the condition says."""
        try:
            answer = self._client().put_object(
                Bucket=self._name,
                Key=key,
                Body=content,
                ContentType="application/json",
                **condition,
            )
        except (BotoCoreError, ClientError) as error:
            if _code(error) in _NOT_AS_READ:
                return None
            msg = f"s3://{self._name}/{key} cannot be written: {error}"
            raise Unavailable(msg) from error
        return answer["ETag"]


def _code(error: Exception) -> str | None:
    return error.response["Error"].get("Code") if isinstance(error, ClientError) else None
