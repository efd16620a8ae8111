"""Whether numbers are masked and events archived as configured: a part of `perminute doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError

from perminute_local.findings import fail, ok

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from perminute_local.findings import Finding

_MASKS, _EVERY_NIGHT = "MaskNumbersFunction", "MaskNumbersFunctionNightly"
_DEPLOY = "deploy the template again"


def retention_findings(
    names: Mapping[str, str], outputs: Mapping[str, str], parameters: Mapping[str, str]
) -> Iterator[Finding]:
    """Check what a stack is to mask and to archive; of what it is not to, nothing.

    `names` are those of its resources, by their ids in the template.
    """
    if days := int(parameters.get("NumbersKeptDays", "0")):
        yield _masking(days, names)
    if days := int(parameters.get("EventArchiveDays", "0")):
        yield _archive(days, outputs)


def _masking(days: int, names: Mapping[str, str]) -> Finding:
    what = "NumbersKeptDays"
    if not {_MASKS, _EVERY_NIGHT} <= names.keys():
        return fail(what, f"is {days}, and no function masks numbers: {_DEPLOY}")
    # Of the version that runs, which may be older than what was deployed last.
    deployed = boto3.client("lambda").get_function_configuration(
        FunctionName=names[_MASKS], Qualifier="live"
    )
    kept = deployed["Environment"]["Variables"].get("NUMBERS_KEPT_DAYS")
    if kept != str(days):
        return fail(what, f"is {days}, but numbers are kept for {kept} days: {_DEPLOY}")
    state = boto3.client("scheduler").get_schedule(Name=names[_EVERY_NIGHT])["State"]
    if state != "ENABLED":
        return fail(what, f"is {days}, but no number is masked: the nightly schedule is {state}")
    return ok(what, f"numbers are masked {days} days after their calls")


def _archive(days: int, outputs: Mapping[str, str]) -> Finding:
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
    return ok(what, f"{found['EventCount']} events are archived, each for {days} days")
