"""The archive of calls on S3.

A file has the calls of an organization that ended in one month and were masked together, as lines
of JSON, compressed by gzip. Its key is `<organization>/<month>/<end of the first call>-<digest of
the lines>.jsonl.gz`: the organization is URL-encoded, and the same calls have the same key.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from perminute.adapters.bucket_folders import folder_of
from perminute.adapters.dynamodb.tables import unavailable
from perminute.domain.errors import Unavailable
from perminute.formats.archived_calls import (
    archived_call,
    by_month,
    erased,
    read_lines,
    write_lines,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_s3 import S3Client

    from perminute.domain.rating.usage_record import Usage

_DIGEST_CHARACTERS = 32
_AT_ONCE = 8
"""Files that are looked at side by side; the client has ten connections."""
_MARKERS = "DeleteMarkers"


class _Version(NamedTuple):
    """A version of a file; a marker says that the file was deleted."""

    key: str
    version: str
    is_latest: bool
    is_marker: bool


class S3UsageArchive:
    """`UsageArchive` and `ArchivedCalls` on S3, whose client is made when it is first needed.

    What erases needs permissions that the function, which only keeps, does not have.
    """

    def __init__(self, make_client: Callable[[], S3Client], bucket: str) -> None:
        self._client = cache(make_client)
        self._bucket = bucket

    def keep(self, organization_id: str, usages: Sequence[Usage]) -> None:
        for month, ended in by_month(usages):
            first = f"{ended[0].call.ended_at:%Y%m%dT%H%M%SZ}"
            self._put(f"{folder_of(organization_id)}{month}/{first}", map(archived_call, ended))

    def _put(self, beginning: str, lines: Iterable[Mapping[str, Any]]) -> None:
        content = write_lines(lines)
        # Without the time: the same lines are the same bytes.
        body = gzip.compress(content, mtime=0)
        key = f"{beginning}-{sha256(content).hexdigest()[:_DIGEST_CHARACTERS]}.jsonl.gz"
        try:
            self._client().put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/gzip",
                # S3 compares it with what arrived, and stores nothing if they differ.
                ChecksumSHA256=b64encode(sha256(body).digest()).decode(),
                IfNoneMatch="*",
            )
        except (BotoCoreError, ClientError) as error:
            if _code(error) == "PreconditionFailed":
                return  # the same calls were stored before
            msg = f"s3://{self._bucket}/{key} cannot be written: {error}"
            raise Unavailable(msg) from error

    # ── What erases ──────────────────────────────────────────────────────────────────────────

    def erase(
        self, organization_id: str, names: Mapping[str, str], *, everything: bool, write: bool
    ) -> int:
        rewritten = None if everything else names
        one = partial(self._erase, rewritten, write=write)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            pages = self._pages(organization_id)
            return sum(sum(threads.map(one, page)) for page in pages)

    def _pages(self, organization_id: str) -> Iterator[list[_Version]]:
        folder = folder_of(organization_id)
        with unavailable(f"s3://{self._bucket}/{folder} cannot be listed"):
            listed: Any = self._client().get_paginator("list_object_versions")
            for page in listed.paginate(Bucket=self._bucket, Prefix=folder):
                yield [
                    _Version(one["Key"], one["VersionId"], one["IsLatest"], kind == _MARKERS)
                    for kind in ("Versions", _MARKERS)
                    for one in page.get(kind, ())
                ]

    def _erase(self, names: Mapping[str, str] | None, version: _Version, *, write: bool) -> bool:
        """Erase a version, and return whether it was one to erase; without names, delete it."""
        if names is not None:
            after = None if version.is_marker else self._renamed(version, names)
            if after is None:
                return False
            if write and version.is_latest:
                # First, and under a key of its own: whatever interrupts it, no call is lost.
                self._put(version.key.rpartition("-")[0], after)
        if write:
            with unavailable(f"s3://{self._bucket}/{version.key} cannot be deleted"):
                self._client().delete_object(
                    Bucket=self._bucket, Key=version.key, VersionId=version.version
                )
        return not version.is_marker

    def _renamed(self, version: _Version, names: Mapping[str, str]) -> list[dict[str, Any]] | None:
        """Return the lines of a file under pseudonyms; None if it names none of these users."""
        doing = f"s3://{self._bucket}/{version.key} cannot be read"
        with unavailable(doing):
            stored = self._client().get_object(
                Bucket=self._bucket, Key=version.key, VersionId=version.version
            )
            content = stored["Body"].read()
        try:
            lines = read_lines(gzip.decompress(content))
            pseudonyms = [names.get(line["organizerId"]) for line in lines]
            if not any(pseudonyms):
                return None
            return [
                line if pseudonym is None else erased(line, pseudonym)
                for line, pseudonym in zip(lines, pseudonyms, strict=True)
            ]
        except (OSError, EOFError, zlib.error, LookupError, TypeError, ValueError) as error:
            msg = f"{doing}: {error!r}; if it is no file of the archive, move it elsewhere"
            raise Unavailable(msg) from error


def _code(error: Exception) -> str | None:
    return error.response["Error"].get("Code") if isinstance(error, ClientError) else None
