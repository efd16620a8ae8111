"""`perminute directory publish`: put a directory of call records in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.exceptions import ClientError

from perminute.adapters.s3_directories import POINTER_KEY, DirectoryPointer
from perminute.domain.values.printable import counted
from perminute.formats.directory_csv import read_directory
from perminute_local.deployment import calling_aws
from perminute_local.rates.publishing import Condition, PointerMoved, is_stored, put_in_force
from perminute_local.terminal import remark, write_json, write_line
from perminute_local.user_input import faults_of
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


class _InForce(NamedTuple):
    condition: Condition  # by which S3 writes the pointer only if it is still this one
    version: str | None = None  # None: there is none yet, or its pointer is damaged


def publish_directory(path: Path, bucket: str, version: str, *, as_json: bool) -> int:
    """Put a sound directory in force.

    Raises `FaultyDirectoryFile`, and `WrongCall` if another one has this version already.
    """
    content = path.read_bytes()
    with faults_of(path):
        rows = len(read_directory(content).entries)
    pointer = DirectoryPointer.of(version, content)
    with calling_aws(f"s3://{bucket} cannot be written"):
        client = boto3.client("s3")
        in_force = read_in_force(client, bucket)
        # First the version, then the pointer: no function looks for what is not there.
        if not is_stored(client, bucket, pointer.csv.key, content):
            msg = f"version {version} in {bucket} is another directory; give this one a new version"
            raise WrongCall(msg)
        try:
            put_in_force(client, bucket, POINTER_KEY, pointer.content(), in_force.condition)
        except PointerMoved:
            msg = "another directory was put in force meanwhile; run the command again"
            raise WrongCall(msg) from None
    if as_json:
        document = {"bucket": bucket, "version": version, "key": pointer.csv.key, "rows": rows}
        write_json({**document, "wasInForce": in_force.version})
    else:
        if in_force.version is not None:
            remark(f"version {in_force.version} was in force")
        of_file = counted(rows, "row is", "rows are")
        write_line(f"s3://{bucket}/{pointer.csv.key}: {of_file} in force within a minute")
    return 0


def read_in_force(client: S3Client, bucket: str) -> _InForce:
    """Read the pointer in force. Raises `ClientError`."""
    try:
        answer = client.get_object(Bucket=bucket, Key=POINTER_KEY)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchKey":
                return _InForce({"IfNoneMatch": "*"})
            case "AccessDenied":
                # Whoever may only write: S3 says the same of one that is absent.
                return _InForce({})
        raise
    condition: Condition = {"IfMatch": answer["ETag"]}
    try:
        return _InForce(condition, DirectoryPointer.parse(answer["Body"].read()).version)
    except ValueError:
        # This one takes its place.
        return _InForce(condition)
