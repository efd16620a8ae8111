"""The archive of calls, as it is written and erased: the twin, and S3 as moto has it."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from builders import ENDED, ORGANIZATION, ORGANIZER, charge, holding, lot, rating
from moto import mock_aws

from perminute.adapters.memory import InMemoryUsageArchive
from perminute.adapters.usage_archive import S3UsageArchive
from perminute.domain.errors import Unavailable
from perminute.formats.archived_calls import archived_call, read_lines
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3.service_resource import Bucket

    from perminute.domain.rating.usage_record import Usage

KEYS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
}
OTHER, PSEUDONYM = "diego", "erased-3f2a9c0b1d4e"
DECEMBER = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
NUMBER, OTHER_NUMBER = "+493023125042", "+442071838750"
Lines = list[dict[str, Any]]


class Archive(NamedTuple):
    """An archive, and what reads all that it has of an organization, file by file."""

    archive: InMemoryUsageArchive | S3UsageArchive
    files: Callable[[str], list[Lines]]


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with environment(**KEYS), mock_aws():
        bucket = boto3.resource("s3").create_bucket(Bucket="archive-of-a-test")
        bucket.Versioning().enable()
        yield bucket


@pytest.fixture(params=["twin", "moto"])
def archived(request: pytest.FixtureRequest) -> Archive:
    if request.param == "moto":
        bucket: Bucket = request.getfixturevalue("bucket")
        archive = S3UsageArchive(lambda: bucket.meta.client, bucket.name)
        return Archive(archive, lambda who: lines_in(bucket, who))
    twin = InMemoryUsageArchive()
    return Archive(twin, lambda who: sorted(map(documents, twin.files[who]), key=json.dumps))


def documents(usages: tuple[Usage, ...]) -> Lines:
    return list(map(archived_call, usages))


def lines_in(bucket: Bucket, organization_id: str) -> list[Lines]:
    """Return what all versions contain that are left."""
    client, prefix = bucket.meta.client, f"{organization_id}/"
    found = client.list_object_versions(Bucket=bucket.name, Prefix=prefix).get("Versions", [])
    versions = [bucket.Object(one["Key"]).Version(one["VersionId"]) for one in found]
    texts = [gzip.decompress(one.get()["Body"].read()) for one in versions]
    return sorted(map(read_lines, texts), key=json.dumps)


def usages() -> list[Usage]:
    """Calls of two users; the last one ended in another month than the others."""
    calls = [
        rating("b", 3_000_000, remote_number=NUMBER),
        rating("a", 3_000_000, organizer_id=OTHER, remote_number=OTHER_NUMBER),
        rating("c", 250_000, ended_at=DECEMBER, answered_at=DECEMBER, remote_number=NUMBER),
    ]
    account = holding(lot("x", 9_000_000))
    return [one for call in calls for one in charge(account, [call], at=ENDED).usages]


def test_calls_are_kept_whole_by_the_month_of_their_end(archived: Archive) -> None:
    b, a, c = usages()
    archived.archive.keep(ORGANIZATION, [b, a, c])
    files = archived.files(ORGANIZATION)
    assert files == [[archived_call(a), archived_call(b)], [archived_call(c)]]
    assert archived.files("contoso-2") == []


def test_the_same_calls_are_kept_once_in_whatever_order_they_come(archived: Archive) -> None:
    archived.archive.keep(ORGANIZATION, usages())
    before = archived.files(ORGANIZATION)
    archived.archive.keep(ORGANIZATION, usages()[::-1])
    assert archived.files(ORGANIZATION) == before
    # Others, of the same second, are in another file.
    archived.archive.keep(ORGANIZATION, usages()[:1])
    assert len(archived.files(ORGANIZATION)) == 3


def test_a_user_who_is_erased_is_in_no_version_of_a_file(archived: Archive) -> None:
    b, a, c = usages()
    for organization in (ORGANIZATION, "contoso-2"):
        archived.archive.keep(organization, [b, a, c])
    archived.archive.keep(ORGANIZATION, [c])
    before, names = archived.files(ORGANIZATION), {OTHER: PSEUDONYM}
    assert archived.archive.erase(ORGANIZATION, names, everything=False, write=False) == 1
    assert archived.files(ORGANIZATION) == before
    assert archived.archive.erase(ORGANIZATION, names, everything=False, write=True) == 1
    gone = {"organizerId": PSEUDONYM, "meetingId": "erased", "remoteNumber": "+44**********"}
    files = archived.files(ORGANIZATION)
    assert files == [[archived_call(a) | gone, archived_call(b)], [archived_call(c)]]
    assert archived.archive.erase(ORGANIZATION, names, everything=False, write=True) == 0
    assert archived.files("contoso-2") == before


def test_all_files_of_an_organization_are_deleted_and_none_of_another(archived: Archive) -> None:
    for organization in (ORGANIZATION, "contoso-2"):
        archived.archive.keep(organization, usages())
    assert archived.archive.erase(ORGANIZATION, {}, everything=True, write=False) == 2
    assert len(archived.files(ORGANIZATION)) == 2
    assert archived.archive.erase(ORGANIZATION, {}, everything=True, write=True) == 2
    assert archived.files(ORGANIZATION) == []
    assert len(archived.files("contoso-2")) == 2


# ── On S3 ────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_named_by_organization_month_and_content(bucket: Bucket) -> None:
    S3UsageArchive(lambda: bucket.meta.client, bucket.name).keep("a/b c", usages()[:1])
    (file,) = bucket.objects.all()
    stored = file.get()
    content = gzip.decompress(stored["Body"].read())
    digest = hashlib.sha256(content).hexdigest()[:32]
    assert file.key == f"a%2Fb%20c/2026-11/20261102T091000Z-{digest}.jsonl.gz"
    assert stored["ContentType"] == "application/gzip"
    assert content.isascii()
    assert json.loads(content) == archived_call(usages()[0])


def test_s3_is_told_what_must_arrive_and_to_replace_nothing() -> None:
    asked: dict[str, Any] = {}
    client: Any = SimpleNamespace(put_object=asked.update)
    S3UsageArchive(lambda: client, "archive").keep(ORGANIZATION, usages()[:1])
    digest = hashlib.sha256(asked["Body"]).digest()
    assert asked["ChecksumSHA256"] == b64encode(digest).decode()
    assert asked["IfNoneMatch"] == "*"


@pytest.mark.parametrize("code", ["SlowDown", "BadDigest", "NoSuchBucket", "AccessDenied"])
def test_what_s3_does_not_take_is_not_kept(code: str) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code}}, "PutObject")

    client: Any = SimpleNamespace(put_object=refuse)
    archive = S3UsageArchive(lambda: client, "archive")
    with pytest.raises(Unavailable, match=r"s3://archive/contoso/2026-11/.* cannot be written"):
        archive.keep(ORGANIZATION, usages())


def test_versions_that_were_deleted_or_expired_name_nobody_either(bucket: Bucket) -> None:
    archive = S3UsageArchive(lambda: bucket.meta.client, bucket.name)
    archive.keep(ORGANIZATION, usages())
    for file in bucket.objects.all():
        file.delete()
    names = {ORGANIZER: PSEUDONYM}
    assert archive.erase(ORGANIZATION, names, everything=False, write=True) == 2
    assert lines_in(bucket, ORGANIZATION) == []
    # What was deleted stays deleted.
    assert [*bucket.objects.all()] == []
    assert archive.erase(ORGANIZATION, {}, everything=True, write=True) == 0
    assert [*bucket.object_versions.all()] == []


@pytest.mark.parametrize(
    "content",
    [b"not compressed", gzip.compress(b"7\n")[:-3], gzip.compress(b"7"), gzip.compress(b"{}")],
    # gzip writes the time into its header: as a name, it would differ from worker to worker.
    ids=["plain", "cut off", "a number", "an empty object"],
)
def test_a_file_of_somebody_else_stops_an_erasure_and_is_named(
    bucket: Bucket, content: bytes
) -> None:
    bucket.put_object(Key=f"{ORGANIZATION}/notes", Body=content)
    archive = S3UsageArchive(lambda: bucket.meta.client, bucket.name)
    with pytest.raises(Unavailable, match=r"s3://archive-of-a-test/contoso/notes cannot be read"):
        archive.erase(ORGANIZATION, {OTHER: PSEUDONYM}, everything=False, write=True)
