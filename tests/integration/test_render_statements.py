"""Statements as files, by the function that writes them and the one that is asked, on moto."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.client import BaseClient
from charging import ROOT, System, sample
from log_lines import logged

from perminute.adapters.dynamodb.credit_store import DynamoDBCreditStore
from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.domain.errors import Unavailable
from perminute_local.embedded_aws import environment
from perminute_local.replay.lambda_runtime import Context, load_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute_local.stack import Stack

BUCKET = "statements-of-a-test"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:render:live"
FORMS = ("csv", "html", "json", "pdf")
AFTER = {"time": "2026-12-02T06:15:00Z"}
OF_NOVEMBER = {f"contoso/2026-11/statement-stated.{form}" for form in FORMS}
ASKED = json.loads((ROOT / "events" / "read-report.http.v1.json").read_text())


class Deployed:
    """Both functions of a stack that has statements, of which one organization has some."""

    def __init__(self, stack: Stack, notify: str = "false") -> None:
        self.system = System(stack)
        self.system.send("CallsQueue", sample("call-ended"))
        self.s3, self.sqs = boto3.client("s3"), boto3.client("sqs")
        self.s3.create_bucket(Bucket=BUCKET)
        self.queue = self.sqs.create_queue(QueueName="statements")["QueueUrl"]
        serving = stack.serving(ASKED["routeKey"])
        self._environment = {
            **serving.environment,
            "STATEMENTS_BUCKET": BUCKET,
            "NOTIFY_OF_STATEMENTS": notify,
            "WORK_QUEUE_URL": self.queue,
            "DEAD_LETTER_QUEUE_URL": stack.queues["CallsDeadLetters"].url,
            "STATEMENTS_FUNCTION": FUNCTION,
            "POWERTOOLS_LOG_LEVEL": "INFO",
        }
        self._writing = load_module("render_statements.handler", self._environment).handler
        self._reading = load_module("read_reports.handler", self._environment).handler

    def write(self, event: Any) -> Any:
        return self._call(self._writing, event)

    def _call(self, handler: Any, event: Any) -> Any:
        context = Context(function_name="f", invoked_function_arn=FUNCTION)
        with environment(**self._environment):
            return handler(event, context)

    def run(self, event: dict[str, str]) -> list[str]:
        """Begin a run and do its work; returns the bodies that come again."""
        self.write(event)
        again = []
        while received := self.sqs.receive_message(QueueUrl=self.queue).get("Messages"):
            for message in received:
                record = {
                    "messageId": message["MessageId"],
                    "body": message["Body"],
                    "receiptHandle": "r",
                    "attributes": {"SentTimestamp": "1764655000000"},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:statements",
                }
                if self.write({"Records": [record]})["batchItemFailures"]:
                    again.append(message["Body"])
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return again

    def files(self) -> dict[str, bytes]:
        listed = self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return {
            stored["Key"]: self.s3.get_object(Bucket=BUCKET, Key=stored["Key"])["Body"].read()
            for stored in listed
        }

    def notified(self) -> list[dict[str, Any]]:
        """Return the notifications of statements that wait in the outbox."""
        table = self._environment["CREDIT_TABLE"]
        items = boto3.client("dynamodb").scan(TableName=table)["Items"]
        documents = [
            document
            for item in items
            if item["record"]["S"].startswith("outbox#")
            for document in documents_in(item)
        ]
        return [one for one in documents if one["type"] == "StatementReady"]

    def ask(self, **query: str) -> dict[str, Any]:
        path = {"organizationId": "contoso", "report": "statement"}
        event = {**ASKED, "pathParameters": path, "queryStringParameters": query}
        with self.invoking():
            answer: dict[str, Any] = self._call(self._reading, event)
        return answer

    @contextmanager
    def invoking(self) -> Iterator[None]:
        """Have the one function invoke the other: moto would ask Docker for it."""
        make = vars(BaseClient)["_make_api_call"]

        def called(client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
            if operation != "Invoke":
                return make(client, operation, request)
            assert request["FunctionName"] == FUNCTION
            answer = self.write(json.loads(request["Payload"]))
            return {"Payload": BytesIO(json.dumps(answer).encode())}

        with patch.object(BaseClient, "_make_api_call", called):
            yield


@pytest.fixture
def deployed(ready_stack: Stack) -> Deployed:
    return Deployed(ready_stack)


def test_after_a_month_each_organization_that_moved_credit_has_its_statement(
    deployed: Deployed,
) -> None:
    with logged() as lines:
        assert deployed.run(AFTER) == []
    files = deployed.files()
    assert set(files) == OF_NOVEMBER
    said = json.loads(files["contoso/2026-11/statement-stated.json"])
    assert (said["basis"], said["agrees"], said["asOf"]["at"]) == ("stated", True, AFTER["time"])
    assert [entry["type"] for entry in said["entries"]] == ["charge"]
    assert files["contoso/2026-11/statement-stated.pdf"].startswith(b"%PDF-")
    assert b"<svg" in files["contoso/2026-11/statement-stated.html"]
    assert files["contoso/2026-11/statement-stated.csv"].count(b"\r\n") == 2
    (written,) = [line for line in lines if line["message"] == "statements written"]
    assert (written["statements"], written["months"]) == (1, ["2026-11"])
    # Again: the same, in the place of the same.
    deployed.run(AFTER)
    assert deployed.files() == files
    stored = deployed.s3.head_object(Bucket=BUCKET, Key="contoso/2026-11/statement-stated.pdf")
    assert stored["ContentType"] == "application/pdf"
    assert stored["ContentDisposition"] == 'attachment; filename="statement-2026-11.pdf"'


def test_that_a_statement_is_there_is_notified_of_once_if_that_is_wanted(
    ready_stack: Stack,
) -> None:
    deployed = Deployed(ready_stack, notify="true")
    with logged() as lines:
        # The second run of the month writes the same statement, and those of quiet months none.
        for time in (AFTER["time"], AFTER["time"], "2026-12-04T06:15:00Z", "2027-01-02T06:15:00Z"):
            assert deployed.run({"time": time}) == []
    (sent,) = deployed.notified()
    said = json.loads(deployed.files()["contoso/2026-11/statement-stated.json"])
    assert (sent["organizationId"], sent["at"], sent["month"]) == (
        "contoso",
        AFTER["time"],
        "2026-11",
    )
    assert (sent["charge"], sent["closing"]) == (said["usage"]["charge"], said["closing"])
    assert (sent["statedAt"], sent["currency"]) == (said["statedAt"], "USD")
    assert not any("X-Amz-" in json.dumps(one) for one in (sent, *lines))
    written = [line for line in lines if line["message"] == "statements written"]
    assert [line["notified"] for line in written] == [1, 0, 0, 0]


def test_who_is_not_to_be_notified_of_statements_is_not(deployed: Deployed) -> None:
    deployed.run(AFTER)
    assert deployed.notified() == []
    assert set(deployed.files()) == OF_NOVEMBER


def test_a_statement_of_which_nobody_could_be_notified_comes_again(ready_stack: Stack) -> None:
    deployed = Deployed(ready_stack, notify="true")
    with patch.object(DynamoDBCreditStore, "commit", side_effect=Unavailable("no answer")):
        (body,) = deployed.run(AFTER)
    assert json.loads(body)["organizationId"] == "contoso"
    assert deployed.notified() == []
    assert set(deployed.files()) == OF_NOVEMBER
    deployed.run(AFTER)
    assert len(deployed.notified()) == 1


def test_a_statement_that_cannot_be_written_comes_again_and_a_month_without_one_has_none(
    deployed: Deployed,
) -> None:
    deployed.s3.delete_bucket(Bucket=BUCKET)
    assert deployed.run({"time": "2026-08-02T06:15:00Z"}) == []
    with logged() as lines:
        (body,) = deployed.run(AFTER)
    assert json.loads(body)["organizationId"] == "contoso"
    (failed,) = [line for line in lines if line["message"] == "statement not written"]
    assert failed["organizationId"] == "contoso"
    assert "cannot be written" in failed["reason"]
    answer = deployed.ask(month="2026-11", format="pdf")
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["error"] == "unavailable"


def test_who_asks_for_a_pdf_is_sent_to_it_by_a_link_that_expires(deployed: Deployed) -> None:
    with logged() as lines:
        answer = deployed.ask(month="2026-11", format="pdf")
    assert (answer["statusCode"], answer["body"]) == (303, "")
    assert answer["headers"]["cache-control"] == "no-store"
    place = urlsplit(answer["headers"]["location"])
    assert place.path.endswith("contoso/2026-11/statement-now.pdf")
    assert parse_qs(place.query)["X-Amz-Expires"] == ["900"]
    assert json.loads(answer["headers"]["perminute-as-of"])["version"] == 3
    assert set(deployed.files()) == {"contoso/2026-11/statement-now.pdf"}
    # Whoever has the link may read the statement.
    assert place.query not in json.dumps(lines)
    event = {"operation": "renderStatement", "organizationId": "contoso", "month": "2026-11"}
    for changed, message in (
        ({"month": "2026-13"}, 'month: "2026-13" must be a month such as 2026-11'),
        ({"organizationId": None}, "organizationId: must not be null"),
        ({"operation": "statement"}, "operation: must be renderStatement"),
    ):
        refused = deployed.write({**event, **changed})
        assert refused == {"error": "invalid", "message": message}
