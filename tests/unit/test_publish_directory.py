"""`perminute directory publish` over a bucket of moto."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from perminute.adapters.s3_directories import POINTER_KEY, S3Directories
from perminute_local.cli import main
from perminute_local.embedded_aws import environment
from perminute_local.records import publish_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

AWS = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "the-cards"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Client]:
    with environment(**AWS), mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture
def run(s3: S3Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    def publish(version: str, *rows: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        path = tmp_path / "directory.csv"
        path.write_text("\n".join(["kind,key,organization_id", *rows]))
        where = ["--bucket", BUCKET, "--version", version]
        code = main(["directory", "publish", str(path), *where, *options])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    yield publish
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])


def owner(s3: S3Client) -> str | None:
    directories = S3Directories(lambda: s3, BUCKET, report=pytest.fail)
    return directories.current().entries[0].organization_id


def test_a_directory_is_in_force_and_so_is_the_next_one(run: Any, s3: S3Client) -> None:
    code, out, err = run("v1", "tenant,t,contoso")
    assert (code, err) == (0, "")
    assert out == f"s3://{BUCKET}/directories/v1.csv: 1 row is in force within a minute\n"
    assert owner(s3) == "contoso"
    code, out, _ = run("v2", "tenant,t,fabrikam", "tenant,u,contoso", options=("--json",))
    assert code == 0
    assert json.loads(out) == {
        "bucket": BUCKET,
        "version": "v2",
        "key": "directories/v2.csv",
        "rows": 2,
        "wasInForce": "v1",
    }
    assert owner(s3) == "fabrikam"


def test_a_version_is_published_again_only_unchanged(run: Any, s3: S3Client) -> None:
    run("v1", "tenant,t,contoso")
    run("v2", "tenant,t,fabrikam")
    code, out, err = run("v1", "tenant,t,other")
    assert (code, out) == (2, "")
    assert "version v1 in the-cards is another directory; give this one a new version" in err
    assert owner(s3) == "fabrikam"
    assert run("v1", "tenant,t,contoso")[0] == 0
    assert owner(s3) == "contoso", "so the one before is put in force again"


def test_a_faulty_directory_is_not_stored(run: Any, s3: S3Client) -> None:
    code, out, err = run("v1", "tenant,t,")
    assert (code, out) == (2, "")
    assert "directory.csv:2: organization_id: must not be empty" in err
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_damaged_pointer_is_replaced(run: Any, s3: S3Client) -> None:
    s3.put_object(Bucket=BUCKET, Key=POINTER_KEY, Body=b"{")
    assert run("v1", "tenant,t,contoso")[0] == 0
    assert owner(s3) == "contoso"


def test_a_directory_that_others_put_in_force_meanwhile_stays(
    run: Any, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("v1", "tenant,t,contoso")
    read = publish_directory.read_in_force

    def read_and_be_overtaken(client: S3Client, bucket: str) -> Any:
        found = read(client, bucket)
        s3.put_object(Bucket=BUCKET, Key=POINTER_KEY, Body=b"another")
        return found

    monkeypatch.setattr(publish_directory, "read_in_force", read_and_be_overtaken)
    code, _, err = run("v2", "tenant,t,fabrikam")
    assert code == 2
    assert "another directory was put in force meanwhile; run the command again" in err
    assert s3.get_object(Bucket=BUCKET, Key=POINTER_KEY)["Body"].read() == b"another"


def test_a_bucket_that_does_not_exist_is_named(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.BUCKET", "no-such-bucket")
    code, _, err = run("v1", "tenant,t,contoso")
    monkeypatch.undo()
    assert code == 2
    assert "s3://no-such-bucket cannot be written" in err
