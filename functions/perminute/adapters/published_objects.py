"""What is published in a bucket: immutable objects, and the pointers that name them.

A pointer has the SHA-256 of each object that it names, so what was changed or cut off after it was
published is refused.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import URLLib3SSLError  # type: ignore[attr-defined] # urllib3's

from perminute.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client


class PublishedObject(NamedTuple):
    """An object in the bucket, and the SHA-256 of its content in hexadecimal."""

    key: str
    digest: str

    @classmethod
    def of(cls, key: str, content: bytes) -> PublishedObject:
        return cls(key, hashlib.sha256(content).hexdigest())

    @classmethod
    def parse(cls, document: Any, what: str) -> PublishedObject:  # noqa: ANN401 - whatever a pointer has
        if not isinstance(document, dict) or not {"key", "digest"} <= document.keys():
            msg = f"must have a key and a digest of {what}"
            raise ValueError(msg)
        return cls(str(document["key"]), str(document["digest"]))

    def check(self, content: bytes) -> None:
        """Raise `Unavailable` unless this is what was published."""
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.digest:
            msg = f"its SHA-256 is {digest}, and {self.digest} was published"
            raise Unavailable(msg)


def read_pointer(content: bytes) -> dict[str, Any]:
    """Return the document of a pointer; raises `ValueError`."""
    document = json.loads(content)
    if not isinstance(document, dict) or not {"version", "key"} <= document.keys():
        msg = "must be an object with version, key and digest"
        raise ValueError(msg)
    return document


class NotPublished(Unavailable):
    """The bucket has no object of a key."""


class PublishedBucket:
    """Reads objects of a bucket, with a client that is made for the first of them."""

    def __init__(self, make_client: Callable[[], S3Client], name: str) -> None:
        self._make_client = make_client
        self._name = name
        self._client: S3Client | None = None
        self._making_client = threading.Lock()

    def get(self, key: str) -> bytes:
        """Read an object. Raises `Unavailable`, and `NotPublished` if there is none."""
        # A session makes one client at a time, and a client serves all threads.
        with self._making_client:
            client = self._client = self._client or self._make_client()
        try:
            return client.get_object(Bucket=self._name, Key=key)["Body"].read()
        except (BotoCoreError, ClientError, URLLib3SSLError) as error:
            # The last one is that of TLS while the body is read, which botocore lets pass.
            is_absent = (
                isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchKey"
            )
            msg = f"s3://{self._name}/{key} cannot be read: {error}"
            raise (NotPublished if is_absent else Unavailable)(msg) from error
