"""The bucket, the directory and the secret of call records, in memory, and what reads records.

Instances of functions read and cache the directory by the code that runs in AWS.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from perminute.adapters.s3_directories import POINTER_KEY, DirectoryPointer, S3Directories
from perminute.application.results import Accepted
from perminute.domain.errors import Refused
from perminute.formats.webhook_secret import WebhookSecret
from perminute.ports.record_objects import StoredObject
from perminute_local.simulation.backends.rate_cards import InMemoryBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_s3 import S3Client

    from perminute.application.ingest_records import IngestedRecords, IngestRecords
    from perminute.application.record_messages import RecordsMessage
    from perminute.application.results import Result
    from perminute.application.retry import Deadline
    from perminute_local.simulation.write_recorder import WriteRecorder

BUCKET, RECORDS_KEPT = "records", "RecordsDeadLetters"
USER, PASSWORD = "bridge", "open sesame"
_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)


class DroppedObjects:
    """`RecordObjects` in a dictionary."""

    def __init__(self) -> None:
        """Make it empty."""
        self._contents: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> StoredObject:
        """Store an object; return what its event says of it."""
        self._contents[key] = content
        return StoredObject(BUCKET, key, len(content), _etag(content))

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._contents.pop(key, None)

    def read(self, stored: StoredObject, begin: int, end: int) -> bytes:
        content = self._contents.get(stored.key)
        if content is None or stored.etag != _etag(content):
            what = "vanished" if content is None else "replaced"
            raise Refused("object", f"{what}: s3://{stored.bucket}/{stored.key}")
        return content[begin:end]


def _etag(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class SimulatedSecret:
    """`Secret` that nobody rotates."""

    _value = WebhookSecret(twilio={}, freeswitch={USER: (PASSWORD,)}, keys={})

    def current(self) -> WebhookSecret:
        return self._value

    def renewed(self) -> WebhookSecret:
        return self._value


class SimulatedRecords:
    """The dropped objects, the directory and the secret, which all instances share."""

    def __init__(self, directory: bytes, recorder: WriteRecorder) -> None:
        """Publish the first directory."""
        self.objects, self.secret = DroppedObjects(), SimulatedSecret()
        self._bucket, self._recorder = InMemoryBucket(), recorder
        self.publish("directory-0", directory)

    def publish(self, version: str, content: bytes) -> None:
        """Put a directory in force."""
        pointer = DirectoryPointer.of(version, content)
        self._bucket.objects |= {pointer.csv.key: content, POINTER_KEY: pointer.content()}

    def directories(self) -> S3Directories:
        """Return the directories of another instance of a function."""
        return S3Directories(
            lambda: cast("S3Client", self._bucket),
            BUCKET,
            report=lambda _: None,
            clock=lambda: (self._recorder.clock() - _EPOCH) / _SECOND,
        )

    def watched(
        self, ingest: IngestRecords
    ) -> Callable[[Sequence[RecordsMessage], Deadline], Sequence[Result[IngestedRecords]]]:
        """Return the use case that reads records; what it reports of them is logged."""

        def logged(
            messages: Sequence[RecordsMessage], deadline: Deadline
        ) -> Sequence[Result[IngestedRecords]]:
            results = ingest(messages, deadline)
            for result in results:
                if isinstance(result, Accepted):
                    self._recorder.records.ingest(result.result)
            return results

        return logged
