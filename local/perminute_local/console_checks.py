"""Whether a deployed stack serves its console: a part of `perminute doctor`."""

from __future__ import annotations

import json
from hashlib import md5
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from perminute_local.console.deployed_page import SETTINGS, settings_of
from perminute_local.console.page import page_files
from perminute_local.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from perminute_local.findings import Finding

CERTIFICATES_IN = "us-east-1"
"""Where CloudFront looks for certificates, wherever the stack is."""

_INDEX = "index.html"
"""It names the library of charts, which this machine may not have."""
_FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException"})


def console_findings(
    stack_name: str, outputs: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[Finding]:
    """Check page, certificate and links of a stack that serves a console; of others, nothing."""
    domain = parameters.get("ConsoleDomain")
    if not domain:
        return
    wanted = settings_of(stack_name, parameters)
    again = f"perminute console --stack {stack_name} --write FOLDER, and upload that"
    yield _page(outputs["ConsoleBucketName"], wanted, again)
    yield _certificate(parameters["ConsoleCertificate"])
    address = f"https://{domain}/"
    if parameters.get("ConsoleUrl") != address:
        yield warn("console links", f"e-mails do not lead to it: deploy with ConsoleUrl={address}")


def _page(bucket: str, wanted: Mapping[str, object], again: str) -> Finding:
    what, s3 = "console page", boto3.client("s3")
    try:
        # All of them: there are some twenty.
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        stored = {one["Key"]: one["ETag"].strip('"') for one in listed}
        if not {_INDEX, SETTINGS} <= stored.keys():
            return fail(what, f"is not in {bucket}, so nobody can open it: {again}")
        if _settings(s3, bucket) != wanted:
            return fail(what, f"signs in by other settings than those of the stack: {again}")
    except ClientError as error:
        if error.response["Error"]["Code"] in _FORBIDDEN:
            return warn(what, f"cannot be checked, since you may not read {bucket}")
        raise
    others = [
        name
        for name, file in page_files(None).items()
        if name != _INDEX and stored.get(name) != md5(file.body, usedforsecurity=False).hexdigest()
    ]
    if others:
        named = ", ".join(sorted(others))
        return warn(what, f"is not that of this version of perminute ({named}): {again}")
    return ok(what, f"in {bucket} is that of this version")


def _settings(s3: S3Client, bucket: str) -> object:
    try:
        return json.loads(s3.get_object(Bucket=bucket, Key=SETTINGS)["Body"].read())
    except ValueError:
        return None


def _certificate(arn: str) -> Finding:
    what = "console certificate"
    try:
        answer = boto3.client("acm", CERTIFICATES_IN).describe_certificate(CertificateArn=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in _FORBIDDEN:
            return warn(what, "cannot be checked, since you may not read it")
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return fail(what, f"{arn} does not exist")
        raise
    status = answer["Certificate"].get("Status", "of unknown state")
    if status == "ISSUED":
        return ok(what, "is valid")
    where = f"see ACM in {CERTIFICATES_IN}"
    return fail(what, f"is {status}, so no browser opens the console: {where}")
