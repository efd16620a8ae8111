"""The bucket of call records, as functions write to it: the twin, and S3 as moto has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from perminute.adapters.memory import InMemoryRecordsBucket
from perminute.adapters.records_bucket import S3RecordsBucket
from perminute.domain.errors import Contended, Unavailable
from perminute.ports.records_bucket import State
from perminute_local.embedded_aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from perminute.ports.records_bucket import RecordsBucket

NAME = "records-of-a-test"
KEYS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@pytest.fixture
def client() -> Iterator[S3Client]:
    with environment(**KEYS), mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=NAME)
        yield client


@pytest.fixture(params=["twin", "moto"])
def bucket(request: pytest.FixtureRequest) -> RecordsBucket:
    if request.param == "twin":
        return InMemoryRecordsBucket()
    client: S3Client = request.getfixturevalue("client")
    return S3RecordsBucket(lambda: client, NAME)


def test_a_file_is_kept_once(bucket: RecordsBucket) -> None:
    assert bucket.keep("graph-pstn/tenant=T/1.json", b"first")
    assert not bucket.keep("graph-pstn/tenant=T/1.json", b"first")
    assert not bucket.keep("graph-pstn/tenant=T/1.json", b"other")
    assert bucket.keep("graph-pstn/tenant=T/2.json", b"other")


def test_a_state_is_replaced_only_by_who_has_read_it(bucket: RecordsBucket) -> None:
    name = "graph/T"
    assert bucket.state(name) is None
    first = bucket.store_state(name, b"1", read=None)
    with pytest.raises(Contended):
        bucket.store_state(name, b"2", read=None)
    assert bucket.state(name) == first
    second = bucket.store_state(name, b"3", read=first)
    with pytest.raises(Contended):
        bucket.store_state(name, b"4", read=first)
    assert bucket.state(name) == second
    assert (first.content, second.content) == (b"1", b"3")
    # Another name is another state.
    assert bucket.state("graph/U") is None


def test_a_state_that_has_vanished_is_not_written_as_if_it_were_there(
    bucket: RecordsBucket,
) -> None:
    with pytest.raises(Contended):
        bucket.store_state("graph/T", b"2", read=State(b"1", "1"))


def test_states_are_apart_from_files_of_records(client: S3Client) -> None:
    S3RecordsBucket(lambda: client, NAME).store_state("graph/T", b"{}", read=None)
    (stored,) = client.list_objects_v2(Bucket=NAME)["Contents"]
    assert stored["Key"] == "state/graph/T.json"


def test_a_bucket_that_is_not_there_is_named(client: S3Client) -> None:
    bucket = S3RecordsBucket(lambda: client, "nobodys-bucket")
    with pytest.raises(Unavailable, match=r"^s3://nobodys-bucket/a cannot be written: .*NoSuchBu"):
        bucket.keep("a", b"")
    with pytest.raises(Unavailable, match=r"^s3://nobodys-bucket/state/a.json cannot be read: "):
        bucket.state("a")
