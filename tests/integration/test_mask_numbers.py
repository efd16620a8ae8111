"""The nightly masking of phone numbers on moto: its handler, its queue and what is stored."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from charging import System, make_ready, sample
from log_lines import logged
from moto import mock_aws

from perminute.formats.archived_calls import read_lines
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import QUIET, LoadedFunction, SQSMessage
from perminute_local.replay.run import table_names
from perminute_local.stack import BACKING_TYPES, Template, create_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

MOTO = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


@pytest.fixture
def system(template: Template) -> Iterator[System]:
    with environment(**MOTO, **QUIET), mock_aws():
        types = BACKING_TYPES - {"AWS::Events::Rule"}
        chosen = {"NumbersKeptDays": "30", "UsageArchiveDays": "3650"}
        stack = create_stack(template, types, chosen)
        make_ready(stack)
        yield System(stack)


def records(system: System) -> list[dict[str, Any]]:
    items = boto3.client("dynamodb").scan(TableName=table_names(system.stack).usage)["Items"]
    return [json.loads(item["record"]["S"]) for item in items]


def archived(system: System) -> list[dict[str, Any]]:
    files = boto3.resource("s3").Bucket(system.stack.setting("USAGE_ARCHIVE_BUCKET")).objects.all()
    contents = [gzip.decompress(file.get()["Body"].read()) for file in files]
    return [line for content in contents for line in read_lines(content)]


def run(system: System, at: str, failing: int = 0) -> str:
    """Have a night begin, and its messages carried out; returns what came last."""
    (function,) = (one for one in system.stack.functions if one.name == "MaskNumbersFunction")
    masking = LoadedFunction(function)
    assert masking.call({"time": at}) == {"batchItemFailures": []}
    sqs, queue = boto3.client("sqs"), system.stack.queues["MaskingsQueue"]
    last, failed = "", 0
    while messages := sqs.receive_message(QueueUrl=queue.url).get("Messages", []):
        for message in messages:
            last = message["Body"]
            failed += len(masking.invoke([SQSMessage(last)], queue.arn))
            sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
    assert failed == failing
    return last


def test_numbers_are_masked_after_the_days_that_the_template_says(system: System) -> None:
    system.send("CallsQueue", sample("call-ended"))
    (kept,) = records(system)
    assert kept["remoteNumber"] == "+493023125042"
    before = system.balance()
    run(system, "2026-12-01T03:05:00Z")
    assert records(system) == [kept]
    assert archived(system) == []
    organization = json.loads(sample("call-ended"))["detail"]["organizationId"]
    with logged() as lines:
        assert json.loads(run(system, "2026-12-03T03:05:00Z"))["organizationId"] == organization
    done = next(line for line in reversed(lines) if line["message"] == "numbers masked")
    assert [done[name] for name in ("organizations", "calls", "changed", "failed")] == [1, 1, 0, 0]
    (masked,) = records(system)
    assert masked == {**kept, "remoteNumber": "+49**********"}
    (line,) = archived(system)
    reported = json.loads(sample("call-ended"))["detail"]
    differing = {name for name in reported if reported[name] != line.get(name)}
    # Instants have no more digits than they need.
    assert differing == {"schemaVersion", "answeredAt"}
    assert (line["outcome"], line["charge"]) == ("charged", "0.435")
    # The same event once more, and another one of the same id.
    system.send("CallsQueue", sample("call-ended"))
    system.send("CallsQueue", sample("call-ended", remoteNumber="+493023125043"))
    assert records(system) == [masked]
    assert system.balance() == before
    sqs, url = boto3.client("sqs"), system.stack.queues["CallsDeadLetters"].url
    (refused,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    reason = refused["MessageAttributes"]["reason"]["StringValue"]
    assert "is recorded with another remoteNumber;" in reason
    run(system, "2026-12-04T03:05:00Z")
    assert archived(system) == [line]


def test_what_the_bucket_does_not_take_stays_as_it_is_and_is_reported(system: System) -> None:
    system.send("CallsQueue", sample("call-ended"))
    before = records(system)
    bucket = system.stack.setting("USAGE_ARCHIVE_BUCKET")
    boto3.client("s3").delete_bucket(Bucket=bucket)
    with logged() as lines:
        run(system, "2026-12-03T03:05:00Z", failing=1)
    (failed,) = [line for line in lines if line["message"] == "numbers not masked"]
    assert f"s3://{bucket}/" in failed["reason"]
    assert records(system) == before
