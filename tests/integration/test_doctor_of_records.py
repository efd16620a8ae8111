"""What `perminute doctor` finds of a stack that receives call records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import pytest
from receiving import RECEIVING

from perminute.adapters.s3_directories import S3Directories
from perminute.domain.reference.directory import Directory
from perminute_local.findings import Status
from perminute_local.record_checks import record_findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute_local.stack import Stack

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of nobody
WEBHOOKS = {"twilio": {"AC00000000000000000000000000000000": [TOKEN]}}
GRAPH = [
    {
        "tenant": "11111111-2222-3333-4444-555555555555",
        "clientId": "66666666-7777-8888-9999-000000000000",
        "clientSecret": TOKEN,
        "cloud": "global",
    }
]
OURS, CHIME = "records-of-ours", RECEIVING["ChimeBucket"]


@pytest.fixture
def received(moto_stack: Stack) -> dict[str, str]:
    """Outputs of a stack that receives records, whose buckets report nothing yet."""
    for bucket in (OURS, CHIME):
        boto3.client("s3").create_bucket(Bucket=bucket)
    return {
        "RecordsQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/records",
        "RecordsBucketName": OURS,
        "RateCardBucketName": moto_stack.setting("RATE_CARD_BUCKET"),
    }


def found(outputs: Mapping[str, str], **parameters: str) -> dict[str, tuple[Status, str]]:
    return {one.what: one[0::2] for one in record_findings(outputs, parameters)}


def secret(content: object) -> str:
    """Make a secret, and return its ARN."""
    text = content if isinstance(content, str) else json.dumps(content)
    client = boto3.client("secretsmanager")
    arn: str = client.create_secret(Name=f"secret-{len(text)}", SecretString=text)["ARN"]
    return arn


def test_a_stack_that_receives_none_is_not_asked_about_them(received: dict[str, str]) -> None:
    del received["RecordsQueueUrl"]
    assert found(received, **RECEIVING) == {}


def test_without_a_directory_no_record_is_read(received: dict[str, str]) -> None:
    status, message = found(received)["directory"]
    assert status is Status.FAIL
    assert "perminute directory publish" in message


@pytest.mark.parametrize(
    ("parameter", "content", "status", "said"),
    [
        ("WebhookSecret", WEBHOOKS, Status.OK, "well-formed"),
        ("WebhookSecret", {"twilio": {"AC1": ""}}, Status.FAIL, "twilio.AC1"),
        ("WebhookSecret", TOKEN, Status.FAIL, "must be JSON"),
        ("GraphSecret", GRAPH, Status.OK, "well-formed"),
        ("GraphSecret", [{**GRAPH[0], "clientId": TOKEN}], Status.FAIL, "[0].clientId"),
    ],
)
def test_a_secret_is_checked_and_not_shown(
    received: dict[str, str], parameter: str, content: object, status: Status, said: str
) -> None:
    health, message = found(received, **{parameter: secret(content)})[parameter]
    assert (health, said in message, TOKEN in message) == (status, True, False)


def test_a_secret_that_is_gone_is_found(received: dict[str, str]) -> None:
    gone = found(received, WebhookSecret=RECEIVING["WebhookSecret"])["WebhookSecret"]
    assert gone == (
        Status.FAIL,
        "does not exist, or is being deleted (ResourceNotFoundException)",
    )


class Reporting:
    """S3, one of whose buckets has EventBridge notifications; moto forgets an empty element."""

    def get_bucket_notification_configuration(self, Bucket: str) -> dict[str, object]:  # noqa: N803 - AWS's name
        return {"EventBridgeConfiguration": {}} if Bucket == CHIME else {}


def test_a_bucket_that_reports_nothing_is_found(
    received: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = found(received, ChimeBucket=CHIME)
    assert {silent[name][0] for name in ("RecordsBucket", "ChimeBucket")} == {Status.FAIL}
    monkeypatch.setattr(S3Directories, "current", lambda _: Directory([]))
    monkeypatch.setattr(boto3, "client", lambda _: Reporting())
    told = found(received, ChimeBucket=CHIME)
    assert told["ChimeBucket"] == (Status.OK, f"{CHIME} reports new records")
    assert told["RecordsBucket"] == silent["RecordsBucket"]
    assert told["directory"] == (Status.OK, "0 rows are in force")


def test_a_bucket_that_is_not_there_is_found(received: dict[str, str]) -> None:
    assert found(received, ChimeBucket="nobody-has-it")["ChimeBucket"] == (
        Status.FAIL,
        "nobody-has-it does not exist",
    )
