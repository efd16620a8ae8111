"""What the commands do with rate cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.adapters.s3_rate_cards import POINTER_KEY, Pointer, pointer_key
from perminute.domain.errors import FaultyRateCard
from perminute.domain.rate_card_csv import read_rate_card
from perminute_local.terminal import write_json, write_line, write_lines
from perminute_local.text_files import faults_of
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from perminute.domain.errors import Fault
    from perminute.domain.rate_card import RateCard


def load_rate_card(path: Path) -> RateCard:
    """Read a rate card from a file; raises `FaultyCard`, and `OSError` if it cannot be read."""
    with faults_of(path):
        return read_rate_card(path.read_bytes(), version=path.name)


def check_rates(path: Path, *, as_json: bool) -> int:
    """Tell the number of rates of a card, or every fault; exit code 1 if there is one."""
    content = path.read_bytes()
    try:
        count = len(read_rate_card(content).rates)
        faults: tuple[Fault, ...] = ()
    except FaultyRateCard as error:
        count, faults = 0, error.faults
    if as_json:
        listed = [{"line": fault.line, "message": fault.message} for fault in faults]
        write_json({"valid": not faults, "rates": count, "faults": listed})
    elif faults:
        write_lines(f"{path}:{fault.line}: {fault.message}" for fault in faults)
    else:
        write_line(f"{path}: {count} rates, no fault")
    return 1 if faults else 0


def publish_rates(path: Path, *, bucket: str, version: str, as_json: bool) -> int:
    """Put a checked card into the bucket under its version, then point at it."""
    # Publishing alone needs an AWS client.
    import boto3  # noqa: PLC0415

    from perminute_local.aws_errors import calling_aws  # noqa: PLC0415

    content = path.read_bytes()
    with faults_of(path):
        count = len(read_rate_card(content).rates)
    with calling_aws(f"s3://{bucket} cannot be written"):
        pointer = publish(boto3.client("s3"), bucket, content, version=version)
    if as_json:
        write_json({"bucket": bucket, "key": pointer.key, "version": version, "rates": count})
    else:
        write_line(f"s3://{bucket}/{pointer.key}: {count} rates are in force within a minute")
    return 0


def publish(client: S3Client, bucket: str, content: bytes, *, version: str) -> Pointer:
    """Put the card first and the pointer in force last: no function looks for what is not there.

    Publishing that broke off in between can be done again with the same card.
    """
    pointer = store_version(client, bucket, content, version=version)
    client.put_object(Bucket=bucket, Key=POINTER_KEY, Body=pointer.content())
    return pointer


def store_version(client: S3Client, bucket: str, content: bytes, *, version: str) -> Pointer:
    """Put a card and its own pointer, without putting it in force.

    A version is never written twice, since usage records name the version that priced them.
    """
    pointer = Pointer.of(version, content)
    try:
        client.put_object(Bucket=bucket, Key=pointer.key, Body=content, IfNoneMatch="*")
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "PreconditionFailed":
            raise
        if client.get_object(Bucket=bucket, Key=pointer.key)["Body"].read() != content:
            msg = f"version {version} in {bucket} is another card; give this one a new version"
            raise WrongCall(msg) from error
    client.put_object(Bucket=bucket, Key=pointer_key(version), Body=pointer.content())
    return pointer
