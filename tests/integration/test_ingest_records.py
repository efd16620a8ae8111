"""The function that reads call records on moto, with the samples of its messages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from moto import mock_aws

from perminute.adapters.s3_directories import POINTER_KEY, DirectoryPointer
from perminute_local.bench.imports import SETTINGS
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import QUIET, Context, load_module

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
EXAMPLES, SAMPLES = ROOT / "examples" / "call-records", ROOT / "events" / "records"
DIRECTORIES, RECORDS = "rate-cards", "perminute-dev-records"
CONTEXT = Context(function_name="IngestRecordsFunction", invoked_function_arn="arn")


class Deployed(NamedTuple):
    """The handler, and what is behind it."""

    handler: Any
    s3: Any
    sqs: Any
    urls: dict[str, str]

    def ingest(self, sample: str) -> list[dict[str, str]]:
        """Invoke the function with a sample; return what failed."""
        event = json.loads((SAMPLES / "sqs" / f"{sample}.v1.json").read_text())
        failed: list[dict[str, str]] = self.handler(event, CONTEXT)["batchItemFailures"]
        return failed

    def drop(self, name: str = "chime-voice-connector/records.jsonl") -> None:
        stored = json.loads((SAMPLES / "object.v1.json").read_text())["detail"]["object"]
        body = (EXAMPLES / name).read_bytes()
        self.s3.put_object(Bucket=RECORDS, Key=stored["key"], Body=body)

    def calls(self) -> list[dict[str, Any]]:
        bodies = [json.loads(one["Body"]) for one in self._messages("calls")]
        return [call for body in bodies for call in body["detail"]["calls"]]

    def kept(self) -> Counter[str]:
        """Return the reasons for which records are kept."""
        letters = self._messages("kept")
        reasons = [one["MessageAttributes"]["reason"]["StringValue"] for one in letters]
        return Counter(reason.partition(": ")[0] for reason in reasons)

    def _messages(self, queue: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        url = self.urls[queue]
        while got := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += got
            for one in got:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return found


@pytest.fixture
def deployed() -> Iterator[Deployed]:
    with environment(**SETTINGS, **QUIET), mock_aws():
        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        urls = {
            name: sqs.create_queue(QueueName=name)["QueueUrl"]
            for name in ("calls", "records", "kept")
        }
        for bucket in (DIRECTORIES, RECORDS):
            s3.create_bucket(Bucket=bucket)
        variables = {
            **SETTINGS,
            **QUIET,
            "RATE_CARD_BUCKET": DIRECTORIES,
            "CALLS_QUEUE_URL": urls["calls"],
            "QUEUE_URL": urls["records"],
            "DEAD_LETTER_QUEUE_URL": urls["kept"],
        }
        handler = load_module("ingest_records.handler", variables).handler
        yield Deployed(handler, s3, sqs, urls)


@pytest.fixture
def ready(deployed: Deployed) -> Deployed:
    """With the directory of the examples in force."""
    content = (EXAMPLES / "directory.csv").read_bytes()
    pointer = DirectoryPointer.of("2026-11", content)
    for key, body in ((pointer.csv.key, content), (POINTER_KEY, pointer.content())):
        deployed.s3.put_object(Bucket=DIRECTORIES, Key=key, Body=body)
    return deployed


def expected(source: str) -> list[dict[str, Any]]:
    lines = (EXAMPLES / source / "expected.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_dropped_object_is_read_as_the_command_reads_it(ready: Deployed) -> None:
    ready.drop()
    assert ready.ingest("object") == []
    records = expected("chime-voice-connector")
    assert ready.calls() == [one["callEnded"] for one in records if "callEnded" in one]
    problems = Counter(one["problem"] for one in records if "problem" in one)
    kept = ready.kept()
    # What is damaged is skipped by the command, which shows it, and kept by the function.
    assert {**kept, "notACallRecord": 0} == {**problems, "notACallRecord": 0}
    assert kept["notACallRecord"] <= sum(one.get("skipped") == "notACallRecord" for one in records)


def test_a_part_is_read_and_nothing_else_of_its_object(ready: Deployed) -> None:
    ready.drop()
    assert ready.ingest("part") == []
    first, second, *_ = expected("chime-voice-connector")
    assert ready.calls() == [first["callEnded"], second["callEnded"]]
    assert ready.kept() == {}


def test_records_that_were_kept_are_read_again(ready: Deployed) -> None:
    assert ready.ingest("records") == []
    assert ready.calls() == [expected("asterisk-csv")[0]["callEnded"]]


def test_an_object_that_has_vanished_or_was_replaced_is_kept_and_not_tried_again(
    ready: Deployed,
) -> None:
    assert ready.ingest("object") == []
    ready.drop("chime-sma/records.jsonl")
    assert ready.ingest("part") == []
    assert ready.kept() == {"object": 2}
    assert ready.calls() == []


def test_without_a_directory_records_wait_in_their_queue(deployed: Deployed) -> None:
    failed = deployed.ingest("records")
    assert len(failed) == 1
    assert (deployed.calls(), deployed.kept()) == ([], {})
