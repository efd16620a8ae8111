"""Whether a deployed stack can receive call records: a part of `perminute doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from perminute.adapters.graph_credentials import read_graph_credentials
from perminute.adapters.s3_directories import S3Directories
from perminute.domain.errors import Unavailable
from perminute.domain.values.printable import counted
from perminute.formats.webhook_secret import read_webhook_secret
from perminute_local.findings import fail, ok, warn
from perminute_local.terminal import remark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute_local.findings import Finding

SECRETS: Mapping[str, Callable[[str], object]] = {
    "WebhookSecret": read_webhook_secret,
    "GraphSecret": read_graph_credentials,
}
"""Parameters that name a secret, and how it is read."""

_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException"})
_GONE = frozenset({"ResourceNotFoundException", "InvalidRequestException", "NoSuchBucket"})


def record_findings(outputs: Mapping[str, str], parameters: Mapping[str, str]) -> Iterator[Finding]:
    """Check directory, secrets and buckets of a stack that receives records; of others, nothing."""
    if "RecordsQueueUrl" not in outputs:
        return
    yield _directory(outputs["RateCardBucketName"])
    for name, read in SECRETS.items():
        if parameters.get(name):
            yield _secret(name, parameters[name], read)
    for name, bucket in (
        ("RecordsBucket", outputs.get("RecordsBucketName")),
        ("ChimeBucket", parameters.get("ChimeBucket")),
    ):
        if bucket:
            yield _reported(name, bucket)


def _directory(bucket: str) -> Finding:
    what = "directory"
    try:
        directory = S3Directories(lambda: boto3.client("s3"), bucket, report=remark).current()
    except Unavailable as error:
        return fail(what, f"{error}. Until then no call record is read")
    return ok(what, f"{counted(len(directory.entries), 'row is', 'rows are')} in force")


def _secret(name: str, secret_id: str, read: Callable[[str], object]) -> Finding:
    try:
        found = boto3.client("secretsmanager").get_secret_value(SecretId=secret_id)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _FORBIDDEN:
            return warn(name, "cannot be checked, since you may not read it")
        if code in _GONE:
            return fail(name, f"does not exist, or is being deleted ({code})")
        raise
    try:
        read(found.get("SecretString", ""))
    except (Unavailable, ValueError) as error:
        # Both name a place, and neither shows a value.
        return fail(name, f"is not as it must be: {error}")
    return ok(name, "is well-formed")


def _reported(name: str, bucket: str) -> Finding:
    try:
        said = boto3.client("s3").get_bucket_notification_configuration(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _FORBIDDEN:
            return warn(name, f"{bucket} cannot be checked, since you may not read how it reports")
        if code in _GONE:
            return fail(name, f"{bucket} does not exist")
        raise
    if "EventBridgeConfiguration" in said:
        return ok(name, f"{bucket} reports new records")
    return fail(
        name,
        f"{bucket} reports nothing, so no record in it is read: switch on its EventBridge"
        " notifications",
    )
