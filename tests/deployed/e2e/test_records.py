"""Call records that reach what is built and deployed: dropped files, and signed webhooks."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from deployed_stack import DAY, Running, replayed

from perminute_local import dead_letters
from perminute_local.cli import main
from perminute_local.deployed.emulated_links import WEBHOOKS, Deployed, PostedRequests
from perminute_local.replay.dropped_files import wait_for
from perminute_local.replay.links import RECORDS_QUEUE
from perminute_local.replay.plan import Delivery, Disturbance
from perminute_local.replay.posted_requests import request_of
from perminute_local.replay.run import read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTED, DROPPED = "contoso-0150", "fabrikam-0032"
DEAD_LETTERS = "RecordsDeadLetters"
OF_RECORDS = ["--stack", "perminute-dev", "--queue", DEAD_LETTERS, "--json"]


class Arrived(NamedTuple):
    """A stack that a file was dropped into and a callback was posted to, and what came of them."""

    running: Running
    links: Deployed
    dropped: Delivery
    posted: Delivery
    document: dict[str, Any]

    def stored(self) -> list[str]:
        """All items of calls and of credit."""
        stack, paginator = self.running.deployment.stack, boto3.client("dynamodb").get_paginator
        return sorted(
            repr(sorted(item.items()))
            for table in ("USAGE_TABLE", "CREDIT_TABLE")
            for page in paginator("scan").paginate(TableName=stack.setting(table))
            for item in page["Items"]
        )

    def url_of(self, queue: str) -> str:
        return self.running.deployment.stack.queues[queue].url

    def waiting(self) -> int:
        """Messages of call records that are not processed."""
        answer = boto3.client("sqs").get_queue_attributes(
            QueueUrl=self.url_of(RECORDS_QUEUE), AttributeNames=["All"]
        )
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return sum(int(answer["Attributes"][name]) for name in names)


@pytest.fixture(scope="module")
def arrived(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Arrived:
    folder = tmp_path_factory.mktemp("records")
    for name, content in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    plan = read_plan(folder, batch_size=None, disturbance=Disturbance())
    links = Deployed(running.deployment, running.time)
    document = replayed(plan, links)
    of_records = (one for one in plan.deliveries if one.arrival is not None)
    dropped, posted = sorted(of_records, key=is_posted)
    return Arrived(running, links, dropped, posted, document)


def files() -> Iterator[tuple[str, str]]:
    """The example day before its first call, and a record of two of its systems."""
    lines = (DAY / "events.jsonl").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if '"Call Ended"' in line)
    yield "events.jsonl", "\n".join(line for line in lines[:first] if '"id": "x-' not in line)
    yield from ((name, (DAY / name).read_text()) for name in ("rates.csv", "directory.csv"))
    records = DAY / "records"
    (path,) = records.rglob(f"*_{DROPPED}")
    yield str(path.relative_to(DAY)), path.read_text()
    options, requests = (f"twilio-callback/{name}" for name in ("OPTIONS.json", "requests.jsonl"))
    yield f"records/{options}", (records / options).read_text()
    callbacks = (records / requests).read_text().splitlines()
    yield f"records/{requests}", next(one for one in callbacks if f"CallSid={POSTED}&" in one)


def is_posted(delivery: Delivery) -> bool:
    assert delivery.arrival is not None
    return delivery.arrival.is_posted


def test_a_dropped_file_and_a_posted_callback_become_charges(arrived: Arrived) -> None:
    charged = {one["callId"]: one["outcome"] for one in arrived.document["calls"]}
    assert charged == {POSTED: "charged", DROPPED: "charged"}
    entries = [one for one in arrived.document["ledger"] if one["type"] == "charge"]
    assert sorted(call for one in entries for call in one["calls"]) == [POSTED, DROPPED]
    assert arrived.document["rejected"] == []
    assert [is_posted(one) for one in (arrived.dropped, arrived.posted)] == [False, True]


def test_what_arrives_again_is_read_again_and_changes_nothing(arrived: Arrived) -> None:
    before = arrived.stored()
    assert any(DROPPED in item for item in before)
    for delivery in (arrived.dropped, arrived.posted, arrived.dropped):
        assert arrived.links.deliver_records([delivery], None) == []
    assert arrived.waiting() == 0
    assert arrived.stored() == before


def test_a_callback_that_is_not_signed_is_refused_and_queues_nothing(arrived: Arrived) -> None:
    assert arrived.posted.arrival is not None
    request = request_of(arrived.posted.arrival)
    webhooks = PostedRequests(arrived.running.deployment.names[WEBHOOKS])
    other = request._replace(query=request.query.replace("organizerId=", "organizerId=x"))
    wrong = request._replace(headers={**request.headers, "x-twilio-signature": "AAAA"})
    for forged in (other, wrong, request._replace(headers={}), request._replace(body=b"")):
        status, answer = webhooks.post(forged)
        assert (status, json.loads(answer)["error"]) == (403, "forbidden")
    assert arrived.waiting() == 0
    # The control: as it is signed it is queued.
    assert webhooks.post(request)[0] == 204
    assert arrived.waiting() == 1
    arrived.links.settle()


def test_a_record_that_was_cut_off_is_kept_as_it_is_and_can_be_sent_back(
    arrived: Arrived, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The emulator's clock stands: whoever waits by it waits for ever.
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)
    arrived.running.time.set(datetime.now(UTC))
    assert arrived.dropped.arrival is not None
    cut = arrived.dropped.arrival.content()[:-40].decode()
    bucket = arrived.running.deployment.stack.records_bucket
    boto3.client("s3").put_object(Bucket=bucket, Key="chime-sma/cut.json", Body=cut.encode())
    wait_for(1, arrived.url_of(RECORDS_QUEUE), boto3.client("sqs"))
    arrived.links.settle()
    (letter,) = listed(capsys)
    assert letter["eventId"] == f"s3://{bucket}/chime-sma/cut.json"
    assert letter["reason"].startswith("notACallRecord: is not JSON")
    assert kept(arrived) == cut

    assert main(["dlq", "redrive", *OF_RECORDS]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == "sent back to RecordsQueue"
    assert (arrived.waiting(), listed(capsys)) == (1, [])
    arrived.links.settle()
    # It is no better than before.
    assert [one["reason"] for one in listed(capsys)] == [letter["reason"]]
    assert kept(arrived) == cut


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    main(["dlq", "list", *OF_RECORDS])
    letters: list[dict[str, Any]] = json.loads(capsys.readouterr().out)[DEAD_LETTERS]
    return letters


def kept(arrived: Arrived) -> str:
    """The record in the only dead letter."""
    (message,) = boto3.client("sqs").receive_message(
        QueueUrl=arrived.url_of(DEAD_LETTERS), VisibilityTimeout=0
    )["Messages"]
    content: str = json.loads(message["Body"])["records"]["content"]
    return content
