"""Statements that are built and deployed: written after the month, told of, and made on demand."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from deployed_stack import DAY, clocked_emulator, replayed

from perminute_local.deployed.deploying import Deployment, deploy
from perminute_local.deployed.emulated_links import Deployed, DeployedFunction, deployed_functions
from perminute_local.embedded_aws import ROLES_ENFORCED
from perminute_local.replay.lambda_runtime import event_of_run
from perminute_local.replay.plan import Disturbance
from perminute_local.replay.results import Listener
from perminute_local.replay.run import read_plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKED_FOR = {"Statements": "true", "NotifyOfStatements": "true"}
WRITING, READING = "RenderStatementsFunction", "ReadReportsFunction"
RUN = datetime(2026, 12, 2, 6, 15, tzinfo=UTC)
CALLS = 24
"""How many of the example day end: enough for both ways in, and for credit to be spent."""


class Stated(NamedTuple):
    """A stack whose month is over and was stated, and what came of it."""

    deployment: Deployment
    functions: dict[str, DeployedFunction]
    ledger: list[dict[str, Any]]
    notifications: list[dict[str, Any]]

    def files(self) -> dict[str, bytes]:
        s3, bucket = boto3.client("s3"), self.deployment.names["StatementsBucket"]
        listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {
            one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()
            for one in listed
        }

    def file(self, form: str) -> bytes:
        return self.files()[f"contoso/2026-11/statement-stated.{form}"]

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.file("json"))
        return document

    def report(self, **asked: str) -> dict[str, Any]:
        """Ask for the statement as a program does, which invokes the function for reports."""
        event = {"operation": "statement", "organizationId": "contoso", "month": "2026-11"}
        answer = self.functions[READING].call({**event, **asked})
        assert answer is not None
        return answer


@pytest.fixture(scope="module")
def stated(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stated]:
    folder = tmp_path_factory.mktemp("day")
    lines = [json.loads(line) for line in (DAY / "events.jsonl").read_text().splitlines()]
    (folder / "events.jsonl").write_text("\n".join(map(json.dumps, some(lines))))
    (folder / "rates.csv").write_bytes((DAY / "rates.csv").read_bytes())
    with clocked_emulator(tmp_path_factory.mktemp("deployed"), ROLES_ENFORCED) as (_, time):
        deployment = deploy(artifact, asked_for=ASKED_FOR)
        plan = read_plan(folder, batch_size=None, disturbance=Disturbance())
        done = replayed(plan, Deployed(deployment, time))
        listener = Listener(deployment.stack.setting("NOTIFICATION_TOPIC_ARN"))
        listener.heard()
        functions = deployed_functions(deployment.stack, deployment.names)
        time.set(RUN)
        # Anew: a stream forgets within a day, so what read it before cannot go on.
        links = Deployed(deployment, time)
        # As the scheduler does; and once more, since it may.
        for _ in range(2):
            begun = event_of_run(deployment.stack.schedules()[WRITING], RUN)
            assert functions[WRITING].call(begun) == {"batchItemFailures": []}
            links.settle()
            for stream in links.streams:
                stream.pump()
        yield Stated(deployment, functions, done["ledger"], listener.heard())


def some(lines: list[Any]) -> Iterator[Any]:
    """The licenses, credit and first calls of an organization; no batches, no requests."""
    events = [one for one in lines if isinstance(one, dict) and isinstance(one.get("detail"), dict)]
    ours = [one for one in events if one["detail"].get("organizationId") == "contoso"]
    calls = [one for one in ours if one["detail-type"] == "Call Ended"]
    last = calls[CALLS - 1]
    yield from (one for one in ours[: ours.index(last) + 1] if not one["id"].startswith("x-"))


def of(document: dict[str, Any]) -> Decimal:
    return Decimal(document["charge"])


def test_the_statement_of_the_month_is_written_in_every_form_and_adds_up(stated: Stated) -> None:
    assert {key.rpartition(".")[2] for key in stated.files()} == {"csv", "html", "json", "pdf"}
    document = stated.document()
    assert (document["month"], document["basis"]) == ("2026-11", "stated")
    assert (document["agrees"], document["differences"]) == (True, [])
    assert document["usage"]["calls"] > CALLS // 2
    assert of(document["usage"]) > 0
    for rows in ("byDay", "byLegType", "byCountry", "byOrganizer"):
        assert sum(map(of, document[rows])) == of(document["usage"]), rows
    moved = Decimal(document["closing"]) - Decimal(document["opening"])
    assert sum(Decimal(one["amount"]) for one in document["entries"]) == moved
    # And with what was booked, by another way.
    booked = [one for one in stated.ledger if one["organizationId"] == "contoso"]
    assert sum(Decimal(one["amount"]) for one in booked) == Decimal(document["closing"])
    lines = list(csv.DictReader(io.StringIO(stated.file("csv").decode("utf-8-sig"))))
    assert sum(Decimal(line["amount"]) for line in lines) == moved
    assert [line["entry"] for line in lines] == [one["entryId"] for one in document["entries"]]


def test_typst_and_vega_of_the_layer_have_made_what_people_read(stated: Stated) -> None:
    pdf, html = stated.file("pdf"), stated.file("html").decode()
    assert pdf.startswith(b"%PDF-")
    assert b"/Figure" in pdf, "the chart, and tagged"
    assert "<svg" in html


def test_its_organization_is_told_once_where_a_link_is_made(stated: Stated) -> None:
    (told,) = [one for one in stated.notifications if one["type"] == "StatementReady"]
    document = stated.document()
    assert (told["organizationId"], told["month"]) == ("contoso", "2026-11")
    assert (told["charge"], told["closing"]) == (document["usage"]["charge"], document["closing"])
    assert "statement of 2026-11 is ready" in told["subject"]
    assert "X-Amz-" not in json.dumps(told)


def test_a_pdf_on_demand_is_made_by_the_other_function_and_linked(stated: Stated) -> None:
    answer = stated.report(format="pdf", basis="stated")
    assert answer["asOf"]["version"] >= stated.document()["asOf"]["version"]
    assert "contoso/2026-11/statement-stated.pdf?X-Amz-" in answer["location"]
    # The same figures, as of now.
    report = stated.report(basis="stated")
    document = stated.document()
    for name in ("opening", "closing", "sums", "usage", "byOrganizer", "lots"):
        assert report[name] == document[name], name
