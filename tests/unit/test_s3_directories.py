"""The directory in force: read once a minute, and never one that was not published so."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from perminute.adapters.s3_directories import (
    MAX_AGE_SECONDS,
    POINTER_KEY,
    DirectoryPointer,
    S3Directories,
)
from perminute.domain.errors import Unavailable

HEADER = "kind,key,organization_id\n"


@dataclass
class Bucket:
    """A bucket, its clock, and what was reported of it."""

    objects: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    now: float = 0
    reports: list[str] = field(default_factory=list)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, io.BytesIO]:  # noqa: N803 - AWS's
        self.reads.append(Key)
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, f"GetObject in {Bucket}")
        return {"Body": io.BytesIO(self.objects[Key])}

    def publish(self, version: str, organization: str) -> None:
        content = f"{HEADER}tenant,t,{organization}\n".encode()
        pointer = DirectoryPointer.of(version, content)
        self.objects |= {pointer.csv.key: content, POINTER_KEY: pointer.content()}


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def directories(bucket: Bucket) -> S3Directories:
    return S3Directories(
        lambda: cast("Any", bucket), "cards", report=bucket.reports.append, clock=lambda: bucket.now
    )


def owner(directories: S3Directories) -> str | None:
    return directories.current().entries[0].organization_id


def test_it_is_read_once_a_minute_and_a_new_one_is_used_then(
    bucket: Bucket, directories: S3Directories
) -> None:
    bucket.publish("v1", "contoso")
    assert [owner(directories), owner(directories)] == ["contoso"] * 2
    assert bucket.reads == [POINTER_KEY, "directories/v1.csv"]
    bucket.publish("v2", "fabrikam")
    bucket.now = MAX_AGE_SECONDS - 1
    assert owner(directories) == "contoso"
    bucket.now = MAX_AGE_SECONDS
    assert owner(directories) == "fabrikam"
    bucket.now *= 2
    assert owner(directories) == "fabrikam"
    assert bucket.reads[-1] == POINTER_KEY, "what is in use already is not read again"
    assert not bucket.reports


def test_without_any_directory_nothing_is_read_until_one_is_published(
    bucket: Bucket, directories: S3Directories
) -> None:
    with pytest.raises(Unavailable, match="no directory of call records is published in cards"):
        directories.current()
    bucket.publish("v1", "contoso")
    assert owner(directories) == "contoso"


@pytest.mark.parametrize(
    ("key", "content", "why"),
    [
        (POINTER_KEY, b"{", "the pointer to the directory cannot be read"),
        (POINTER_KEY, b'{"version": "v2", "key": "k"}', "must have a key and a digest"),
        ("directories/v2.csv", b"", "its SHA-256 is"),
        (POINTER_KEY, None, "no directory of call records is published"),
        ("directories/v2.csv", None, "directories/v2.csv cannot be read"),
    ],
)
def test_the_last_good_one_stays_in_use_and_the_other_is_reported_once_a_minute(
    bucket: Bucket, directories: S3Directories, key: str, content: bytes | None, why: str
) -> None:
    bucket.publish("v1", "contoso")
    directories.current()
    bucket.publish("v2", "fabrikam")
    if content is None:
        del bucket.objects[key]
    else:
        bucket.objects[key] = content
    bucket.now = MAX_AGE_SECONDS
    assert [owner(directories), owner(directories)] == ["contoso"] * 2
    (report,) = bucket.reports
    assert why in report
    assert report.endswith("; going on with directory v1")


def test_a_faulty_directory_is_not_used_though_it_is_what_was_published(
    bucket: Bucket, directories: S3Directories
) -> None:
    content = b"kind,key\nnumber,5\n"
    pointer = DirectoryPointer.of("v1", content)
    bucket.objects |= {pointer.csv.key: content, POINTER_KEY: pointer.content()}
    with pytest.raises(
        Unavailable, match=r"directory v1 in directories/v1\.csv is refused: line 2"
    ):
        directories.current()


def test_another_one_under_the_same_version_is_refused(
    bucket: Bucket, directories: S3Directories
) -> None:
    bucket.publish("v1", "contoso")
    directories.current()
    bucket.publish("v1", "fabrikam")
    bucket.now = MAX_AGE_SECONDS
    assert owner(directories) == "contoso"
    assert "publish the new one under a version of its own" in bucket.reports[0]
