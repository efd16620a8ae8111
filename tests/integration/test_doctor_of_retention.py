"""What `perminute doctor` finds of masking and of the archives: whether it is as configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute_local.findings import Status
from perminute_local.retention_checks import retention_findings

if TYPE_CHECKING:
    from perminute_local.stack import Template

NAMES = {"MaskNumbersFunction": "mask", "MaskNumbersFunctionNightly": "nightly"}
PUBLISH = "increment CONFIGURATION in template.yaml, and deploy it"
BUS = "arn:aws:events:us-east-1:123456789012:event-bus/default"


class Deployed:
    """Lambda and the scheduler with a function that masks numbers after 90 days."""

    def __init__(self, kept: str = "90", state: str = "ENABLED") -> None:
        self._kept, self._state = kept, state

    def get_function_configuration(self, **asked: str) -> dict[str, Any]:
        assert asked == {"FunctionName": "mask", "Qualifier": "live"}
        return {"Environment": {"Variables": {"NUMBERS_KEPT_DAYS": self._kept}}}

    def get_schedule(self, **asked: str) -> dict[str, Any]:
        assert asked == {"Name": "nightly"}
        return {"State": self._state}


def found(names: dict[str, str] = NAMES, arn: str = "", **parameters: str) -> list[tuple[str, ...]]:
    outputs = {"EventArchiveArn": arn} if arn else {}
    return [(*one,) for one in retention_findings(names, outputs, parameters)]


def archived(**changed: Any) -> str:
    """Make an archive of a month, and return its ARN."""
    client = boto3.client("events")
    kept = {"RetentionDays": 35, **changed}
    arn: str = client.create_archive(ArchiveName="kept", EventSourceArn=BUS, **kept)["ArchiveArn"]
    return arn


def test_a_stack_that_keeps_numbers_and_no_events_is_not_asked_about_them() -> None:
    assert found(NumbersKeptDays="0", EventArchiveDays="0") == found() == []


@pytest.mark.parametrize(
    ("deployed", "status", "message"),
    [
        (Deployed(), Status.OK, "numbers are masked 90 days after their calls"),
        (
            Deployed(kept="30"),
            Status.FAIL,
            f"is 90, but numbers are kept for 30 days: {PUBLISH}",
        ),
        (
            Deployed(state="DISABLED"),
            Status.FAIL,
            "is 90, but no number is masked: the nightly schedule is DISABLED",
        ),
    ],
)
def test_masking_is_what_was_configured(
    deployed: Deployed, status: Status, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3, "client", lambda _: deployed)
    assert found(NumbersKeptDays="90") == [(status, "NumbersKeptDays", message)]


def test_a_stack_in_which_nothing_masks_numbers_is_found() -> None:
    ((status, what, message),) = found({}, NumbersKeptDays="90")
    assert (status, what) == (Status.FAIL, "NumbersKeptDays")
    assert message == "is 90, and no function masks numbers: deploy the template again"


def test_what_masks_numbers_is_called_so_in_the_template(template: Template) -> None:
    function = template["Resources"]["MaskNumbersFunction"]["Properties"]
    assert "Nightly" in function["Events"]
    assert "NUMBERS_KEPT_DAYS" in function["Environment"]["Variables"]
    assert template["Globals"]["Function"]["AutoPublishAlias"] == "live"


@pytest.mark.usefixtures("moto_stack")
def test_an_archive_is_what_was_configured() -> None:
    arn = archived()
    kept = Status.OK, "EventArchiveDays", "0 events archived, for 35 days"
    assert found(arn=arn, EventArchiveDays="35") == [kept]
    ((status, _, message),) = found(arn=arn, EventArchiveDays="90")
    assert (status, message) == (Status.FAIL, "is 90, but events are kept for 35 days")
    boto3.client("events").delete_archive(ArchiveName="kept")
    ((status, _, message),) = found(arn=arn, EventArchiveDays="35")
    assert message == "is 35, but the archive is gone, and its events with it"
    ((status, _, message),) = found(EventArchiveDays="35")
    assert message == "is 35, and the bus has no archive: deploy the template again"
    assert status is Status.FAIL


def test_an_archive_that_takes_nothing_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Disabled:
        def describe_archive(self, **_: str) -> dict[str, Any]:
            return {"State": "CREATE_FAILED", "RetentionDays": 35}

    monkeypatch.setattr(boto3, "client", lambda _: Disabled())
    ((status, _, message),) = found(arn="…/kept", EventArchiveDays="35")
    assert status is Status.FAIL
    assert message == "is 35, but nothing is archived: the archive is CREATE_FAILED"


# ── The archive of calls ─────────────────────────────────────────────────────────────────────

DAYS, CALLS = 3650, "calls"


def of_calls(monkeypatch: pytest.MonkeyPatch, bucket: str = CALLS, out: str = CALLS) -> str:
    """Return what is found if the function writes to this bucket."""

    class Masking:
        def get_function_configuration(self, **_: str) -> dict[str, Any]:
            return {"Environment": {"Variables": {"USAGE_ARCHIVE_BUCKET": bucket}}}

    services: dict[str, Any] = {"lambda": Masking(), "s3": boto3.client("s3")}
    outputs = {"UsageArchiveBucketName": out} if out else {}
    with monkeypatch.context() as patched:
        patched.setattr(boto3, "client", services.__getitem__)
        ((status, what, message),) = retention_findings(
            NAMES, outputs, {"UsageArchiveDays": f"{DAYS}"}
        )
    assert what == "UsageArchiveDays"
    return f"{status.name}: {message}"


@pytest.mark.usefixtures("moto_stack")
def test_calls_are_archived_as_was_configured(
    monkeypatch: pytest.MonkeyPatch, template: Template
) -> None:
    deploy = "deploy the template again"
    assert of_calls(monkeypatch, out="") == f"FAIL: is 3650, and no call is archived: {deploy}"
    unarchived = f"FAIL: is 3650, but calls are masked and not archived: {PUBLISH}"
    assert of_calls(monkeypatch, bucket="") == unarchived
    gone = (
        "FAIL: is 3650, but the bucket is gone, and no number is masked: deploy with 0, then "
        "with 3650 again and CONFIGURATION incremented"
    )
    assert of_calls(monkeypatch) == gone
    bucket = boto3.resource("s3").create_bucket(Bucket=CALLS)
    never = f"FAIL: is 3650, but files of the archive are deleted never: {deploy}"
    assert of_calls(monkeypatch) == never
    said = template["Resources"]["UsageArchiveBucket"]["Properties"]["LifecycleConfiguration"]
    (forget,) = (rule for rule in said["Rules"] if "ExpirationInDays" in rule)
    for days, message in (
        (35, f"FAIL: is 3650, but files of the archive are deleted after 35 days: {deploy}"),
        (DAYS, "OK: calls are archived before they are masked, and kept for 3650 days"),
    ):
        bucket.LifecycleConfiguration().put(
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": forget["Id"],
                        "Status": "Enabled",
                        "Prefix": "",
                        "Expiration": {"Days": days},
                    }
                ]
            }
        )
        assert of_calls(monkeypatch) == message
