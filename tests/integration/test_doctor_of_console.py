"""What `perminute doctor` finds of a stack that serves the console."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws, settings

from perminute_local.console.deployed_page import settings_of
from perminute_local.console.page import page_files
from perminute_local.console_checks import console_findings
from perminute_local.embedded_aws import environment
from perminute_local.findings import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOTO = {
    "AWS_ACCESS_KEY_ID": "moto",
    "AWS_SECRET_ACCESS_KEY": "moto",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "page-of-a-stack"
OUTPUTS = {"ConsoleBucketName": BUCKET}
STATED = {
    "ConsoleDomain": "console.example.com",
    "ConsoleUrl": "https://console.example.com/",
    "ConsoleClientId": "console",
    "JwtIssuer": "https://login.example.com/tenant",
    "JwtOrganizationClaim": "organizationId",
}
PAGE, CERTIFICATE, LINKS = "console page", "console certificate", "console links"


@pytest.fixture
def _aws() -> Iterator[None]:
    with environment(**MOTO), mock_aws():
        yield


@pytest.fixture
def stated(_aws: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The parameters of a stack whose page was uploaded as it is written."""
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    for name, file in page_files(None).items():
        upload(name, file.body)
    upload("console.json", json.dumps(settings_of("s", STATED)).encode())
    monkeypatch.setattr(settings, "ACM_VALIDATION_WAIT", -1)
    acm = boto3.client("acm", "us-east-1")
    certificate = acm.request_certificate(DomainName=STATED["ConsoleDomain"])
    return {**STATED, "ConsoleCertificate": certificate["CertificateArn"]}


def upload(name: str, content: bytes) -> None:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)


def found(parameters: Mapping[str, str]) -> dict[str, tuple[Status, str]]:
    return {one.what: one[0::2] for one in console_findings("s", OUTPUTS, parameters)}


def test_a_stack_without_a_console_is_not_asked_about_it(stated: dict[str, str]) -> None:
    assert found({**stated, "ConsoleDomain": ""}) == {}


def test_a_console_that_is_served_is_ok(stated: dict[str, str]) -> None:
    assert {what: status for what, (status, _) in found(stated).items()} == {
        PAGE: Status.OK,
        CERTIFICATE: Status.OK,
    }


@pytest.mark.parametrize("name", ["index.html", "console.json"])
def test_a_page_that_was_not_uploaded_is_found(stated: dict[str, str], name: str) -> None:
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=name)
    status, message = found(stated)[PAGE]
    assert status is Status.FAIL
    assert message == (
        f"is not in {BUCKET}, so nobody can open it: perminute console --stack s --write FOLDER, "
        "and upload that"
    )


def test_the_page_of_another_version_is_found_by_the_files_that_differ(
    stated: dict[str, str],
) -> None:
    upload("main.js", b"// older")
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="api.js")
    # Which library of charts it names differs by where it was written.
    upload("index.html", b"<!doctype html>")
    status, message = found(stated)[PAGE]
    assert status is Status.WARN
    assert message.startswith("is not that of this version of perminute (api.js, main.js): ")


@pytest.mark.parametrize("content", [b"{}", b"not JSON", b"\xff"])
def test_a_page_that_signs_in_elsewhere_is_found(stated: dict[str, str], content: bytes) -> None:
    upload("console.json", content)
    status, message = found(stated)[PAGE]
    assert status is Status.FAIL
    assert message.startswith("signs in by other settings than those of the stack: ")
    changed = {**stated, "JwtIssuer": "https://other.example.com/"}
    upload("console.json", json.dumps(settings_of("s", changed)).encode())
    assert found(stated)[PAGE][0] is Status.FAIL
    assert found(changed)[PAGE][0] is Status.OK


def test_a_certificate_that_is_gone_or_not_valid_is_found(
    stated: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = stated["ConsoleCertificate"][:-4] + "0000"
    status, message = found({**stated, "ConsoleCertificate": missing})[CERTIFICATE]
    assert (status, message) == (Status.FAIL, f"{missing} does not exist")
    monkeypatch.setattr(settings, "ACM_VALIDATION_WAIT", 3600)
    status, message = found(stated)[CERTIFICATE]
    assert status is Status.FAIL
    assert message == "is PENDING_VALIDATION, so no browser opens the console: see ACM in us-east-1"


def test_what_may_not_be_read_is_a_warning(
    stated: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Any")

    class Forbidden:
        list_objects_v2 = describe_certificate = forbidden

    monkeypatch.setattr(boto3, "client", lambda *_: Forbidden())
    assert found(stated) == {
        PAGE: (Status.WARN, f"cannot be checked, since you may not read {BUCKET}"),
        CERTIFICATE: (Status.WARN, "cannot be checked, since you may not read it"),
    }


def test_e_mails_that_do_not_lead_to_it_are_found(stated: dict[str, str]) -> None:
    for other in ("", "https://elsewhere.example.com/"):
        assert found({**stated, "ConsoleUrl": other})[LINKS] == (
            Status.WARN,
            "e-mails do not lead to it: deploy with ConsoleUrl=https://console.example.com/",
        )
