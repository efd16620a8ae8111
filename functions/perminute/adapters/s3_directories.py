"""The directory of call records: published to a bucket like a rate card, and read from it.

`directories/<version>.csv` is a version, which never changes, and `directories/current.json` the
pointer to the one in force. It is looked at once a minute at most, by whoever needs the directory
then: what reads call records has no caller that waits. One that cannot be read is reported, and the
last good one stays in use.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from perminute.adapters.published_objects import (
    NotPublished,
    PublishedBucket,
    PublishedObject,
    read_pointer,
)
from perminute.domain.errors import FaultyDirectory, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from perminute.domain.reference.directory import Directory

POINTER_KEY = "directories/current.json"

MAX_AGE_SECONDS = 60
"""How old a look at the pointer may be; after a failed one, when the next is taken."""


class DirectoryPointer(NamedTuple):
    """A version of the directory, and the object that contains it."""

    version: str
    csv: PublishedObject

    @classmethod
    def of(cls, version: str, content: bytes) -> DirectoryPointer:
        return cls(version, PublishedObject.of(f"directories/{version}.csv", content))

    @classmethod
    def parse(cls, content: bytes) -> DirectoryPointer:
        """Read a pointer object; raises `ValueError`."""
        document = read_pointer(content)
        return cls(str(document["version"]), PublishedObject.parse(document, "the directory"))

    def content(self) -> bytes:
        return json.dumps({"version": self.version, **self.csv._asdict()}).encode()


class _InUse(NamedTuple):
    directory: Directory
    pointer: DirectoryPointer


class S3Directories:
    """`Directories` over a bucket, with the directory in use in memory; threads may share it."""

    def __init__(
        self,
        make_client: Callable[[], S3Client],
        bucket: str,
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        # `report` gets the reason if a directory cannot be read, and another one is used. Not the
        # monotonic clock, which may stand while an instance is frozen.
        self._bucket = PublishedBucket(make_client, bucket)
        self._name = bucket
        self._report, self._clock = report, clock
        self._in_use: _InUse | None = None
        self._looked_at = float("-inf")
        self._looking = threading.Lock()

    def current(self) -> Directory:
        with self._looking:
            if self._in_use is None or self._clock() - self._looked_at >= MAX_AGE_SECONDS:
                self._look()
            assert self._in_use is not None  # noqa: S101 - else `_look` has raised
            return self._in_use.directory

    def _look(self) -> None:
        looked_at = self._clock()
        try:
            self._in_use = self._read(self._in_use)
        except Unavailable as error:
            if self._in_use is None:
                raise
            self._report(f"{error}; going on with directory {self._in_use.pointer.version}")
        self._looked_at = looked_at

    def _read(self, in_use: _InUse | None) -> _InUse:
        # Imported here to start faster.
        from perminute.formats.directory_csv import read_directory  # noqa: PLC0415

        pointer = self._pointer()
        if in_use is not None and pointer == in_use.pointer:
            return in_use
        refused = f"directory {pointer.version} in {pointer.csv.key} is refused"
        if in_use is not None and pointer.version == in_use.pointer.version:
            msg = f"{refused}: it was another one; publish the new one under a version of its own"
            raise Unavailable(msg)
        content = self._bucket.get(pointer.csv.key)
        try:
            pointer.csv.check(content)
            return _InUse(read_directory(content), pointer)
        except (FaultyDirectory, Unavailable) as error:
            msg = (
                f"{refused}: {error}. Put back what was published, or publish the right one under "
                "a new version"
            )
            raise Unavailable(msg) from error

    def _pointer(self) -> DirectoryPointer:
        try:
            return DirectoryPointer.parse(self._bucket.get(POINTER_KEY))
        except NotPublished as error:
            msg = (
                f"no directory of call records is published in {self._name}: publish one with "
                "perminute directory publish"
            )
            raise Unavailable(msg) from error
        except ValueError as error:
            msg = f"the pointer to the directory cannot be read: {POINTER_KEY} {error}"
            raise Unavailable(msg) from error
