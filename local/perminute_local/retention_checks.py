"""Whether masking and the archives are as configured: a part of `perminute doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from perminute.domain.values.printable import counted
from perminute_local.findings import fail, ok

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute_local.findings import Finding

_MASKS, _EVERY_NIGHT = "MaskNumbersFunction", "MaskNumbersFunctionNightly"
_FORGETS = "ForgetCalls"
_DEPLOY = "deploy the template again"
# A parameter alone publishes no version (template.yaml: AutoPublishAlias).
_PUBLISH = "increment CONFIGURATION in template.yaml, and deploy it"


def retention_findings(
    names: Mapping[str, str], outputs: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[Finding]:
    """Check what a stack is to mask and to archive; of what it is not to, nothing.

    `names` are those of its resources, by their ids in the template.
    """
    if days := int(parameters.get("NumbersKeptDays", "0")):
        yield _masking(days, names)
    if days := int(parameters.get("UsageArchiveDays", "0")):
        yield _usage_archive(days, names, outputs)
    if days := int(parameters.get("EventArchiveDays", "0")):
        yield _event_archive(days, outputs)


def _masking(days: int, names: Mapping[str, str]) -> Finding:
    what = "NumbersKeptDays"
    if not {_MASKS, _EVERY_NIGHT} <= names.keys():
        return fail(what, f"is {days}, and no function masks numbers: {_DEPLOY}")
    kept = _setting("NUMBERS_KEPT_DAYS", names)
    if kept != str(days):
        return fail(what, f"is {days}, but numbers are kept for {kept} days: {_PUBLISH}")
    state = boto3.client("scheduler").get_schedule(Name=names[_EVERY_NIGHT])["State"]
    if state != "ENABLED":
        return fail(what, f"is {days}, but no number is masked: the nightly schedule is {state}")
    return ok(what, f"numbers are masked {days} days after their calls")


def _setting(name: str, names: Mapping[str, str]) -> str | None:
    # Of the version that runs, which may be older than what was deployed last.
    deployed = boto3.client("lambda").get_function_configuration(
        FunctionName=names[_MASKS], Qualifier="live"
    )
    value: str | None = deployed["Environment"]["Variables"].get(name)
    return value


def _usage_archive(days: int, names: Mapping[str, str], outputs: Mapping[str, str]) -> Finding:
    what = "UsageArchiveDays"
    bucket = outputs.get("UsageArchiveBucketName")
    if bucket is None or _MASKS not in names:
        return fail(what, f"is {days}, and no call is archived: {_DEPLOY}")
    if _setting("USAGE_ARCHIVE_BUCKET", names) != bucket:
        return fail(what, f"is {days}, but calls are masked and not archived: {_PUBLISH}")
    try:
        found = boto3.client("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            gone = f"is {days}, but the bucket is gone, and no number is masked: deploy with 0,"
            return fail(what, f"{gone} then with {days} again and CONFIGURATION incremented")
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        found = []
    kept = [rule["Expiration"].get("Days") for rule in found if rule["ID"] == _FORGETS]
    if kept != [days]:
        forgotten = f"after {kept[0]} days" if kept else "never"
        return fail(what, f"is {days}, but files of the archive are deleted {forgotten}: {_DEPLOY}")
    return ok(what, f"calls are archived before they are masked, and kept for {days} days")


def _event_archive(days: int, outputs: Mapping[str, str]) -> Finding:
    what = "EventArchiveDays"
    arn = outputs.get("EventArchiveArn")
    if arn is None:
        return fail(what, f"is {days}, and the bus has no archive: {_DEPLOY}")
    try:
        found = boto3.client("events").describe_archive(ArchiveName=arn.rpartition("/")[2])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return fail(what, f"is {days}, but the archive is gone, and its events with it")
        raise
    if found["State"] != "ENABLED":
        return fail(what, f"is {days}, but nothing is archived: the archive is {found['State']}")
    kept = found["RetentionDays"]  # 0, for ever
    if kept != days:
        return fail(what, f"is {days}, but events are kept for {kept or 'any number of'} days")
    return ok(what, f"{counted(found['EventCount'], 'event')} archived, for {days} days")
