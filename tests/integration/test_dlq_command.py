"""`perminute dlq` against a stack: what waits, why, and what is done about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from perminute.adapters.messaging import SQSRejections
from perminute.ports.messaging import Rejection
from perminute_local import dead_letters
from perminute_local.cli import main
from perminute_local.cli.stack import WITH_SOURCE, WITHOUT_SOURCE
from perminute_local.replay.results import drain
from perminute_local.stack import STACK_NAME, resources

if TYPE_CHECKING:
    from perminute_local.stack import Stack, Template

OF_STACK = ["--stack", STACK_NAME]
NUMBER = "+493023125042"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)


def refused(stack: Stack, event_id: str, reason: str) -> None:
    body = json.dumps({"id": event_id, "detail": {"remoteNumber": NUMBER}})
    queue = SQSRejections(lambda: boto3.client("sqs"), stack.queues["CallsDeadLetters"].url)
    queue.store([Rejection(event_id, reason, body)])


def given_up(stack: Stack, event_id: str) -> None:
    url = stack.queues["CallsDeadLetters"].url
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"id": event_id}))


def listed(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, list[dict[str, Any]]]:
    main(["dlq", "list", *OF_STACK, "--json", *more])
    found: dict[str, list[dict[str, Any]]] = json.loads(capsys.readouterr().out)
    return found


def test_an_event_of_an_unknown_source_says_what_to_do(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    url = moto_stack.queues["UnknownEvents"].url
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody='{"id": "t-3"}')
    assert main(["dlq", "list", *OF_STACK]) == 1
    said = "t-3  its source is none that is read: mend the sender, and send it again\n"
    assert said in capsys.readouterr().out


def test_what_waits_is_shown_with_the_reason_and_without_its_content(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(moto_stack, "t-1", "endedAt: lies before answeredAt")
    given_up(moto_stack, "t-2")
    assert main(["dlq", "list", *OF_STACK]) == 1
    shown = capsys.readouterr().out
    assert "CallsDeadLetters: 2\n" in shown
    assert "CreditDeadLetters: nothing\n" in shown
    assert "t-1  endedAt: lies before answeredAt\n" in shown
    assert "t-2  was given up: see the log of its function\n" in shown
    assert NUMBER not in shown
    # It is all still there, and nobody has to wait to look at it.
    letters = listed(capsys, "--queue", "CallsDeadLetters")["CallsDeadLetters"]
    assert {(one["eventId"], one["reason"]) for one in letters} == {
        ("t-1", "endedAt: lies before answeredAt"),
        ("t-2", None),
    }


def test_what_somebody_has_sent_moves_no_cursor_and_makes_no_line(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up(moto_stack, "t-\x1b[2J\nCallsDeadLetters: nothing")
    refused(moto_stack, "t-2", "userId: \u202eadele\r has no country")
    assert main(["dlq", "list", *OF_STACK, "--queue", "CallsDeadLetters"]) == 1
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown.splitlines()) == 3
    assert "  t-\\x1b[2J CallsDeadLetters: nothing  was given up" in shown
    # A program gets it as it was sent.
    assert "t-\x1b[2J\nCallsDeadLetters: nothing" in {
        one["eventId"] for one in listed(capsys)["CallsDeadLetters"]
    }


def test_messages_that_are_hidden_no_longer_are_shown_and_used_once(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of so many that the first are there again before the last was read."""
    monkeypatch.setattr(dead_letters, "HIDDEN_SECONDS", 0)
    for number in range(7):
        given_up(moto_stack, f"t-{number}")
    letters = listed(capsys, "--queue", "CallsDeadLetters")["CallsDeadLetters"]
    assert sorted(one["eventId"] for one in letters) == sorted(f"t-{n}" for n in range(7))
    queue = [*OF_STACK, "--queue", "CallsDeadLetters", "--message", letters[0]["messageId"]]
    assert main(["dlq", "discard", *queue]) == 0


def test_nothing_waits(moto_stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert moto_stack.queues
    assert main(["dlq", "list", *OF_STACK]) == 0
    names = {line.partition(":")[0] for line in capsys.readouterr().out.splitlines()}
    unread = {name for name, queue in moto_stack.queues.items() if queue.dead_letter_url is None}
    assert names == unread


def test_what_is_sent_back_reaches_the_queue_that_it_came_from(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        given_up(moto_stack, f"t-{number}")
    assert main(["dlq", "redrive", *OF_STACK, "--queue", "CallsDeadLetters"]) == 0
    assert capsys.readouterr().out == "12 sent back to CallsQueue\n"
    bodies = [message["Body"] for message in drain(moto_stack.queues["CallsQueue"].url)]
    assert sorted(json.loads(body)["id"] for body in bodies) == sorted(
        f"t-{number}" for number in range(12)
    )
    assert listed(capsys, "--queue", "CallsDeadLetters") == {"CallsDeadLetters": []}


def test_single_messages_are_sent_back_or_discarded_and_the_rest_stays(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        given_up(moto_stack, f"t-{number}")
    ids = {one["eventId"]: one["messageId"] for one in listed(capsys)["CallsDeadLetters"]}
    queue = [*OF_STACK, "--queue", "CallsDeadLetters"]
    assert main(["dlq", "redrive", *queue, "--message", ids["t-0"]]) == 0
    assert main(["dlq", "discard", *queue, "--message", ids["t-1"], "--message", "unknown"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "1 sent back to CallsQueue\n1 discarded\n"
    assert shown.err == "perminute: unknown was not found; somebody may be looking at it\n"
    sent = [json.loads(m["Body"])["id"] for m in drain(moto_stack.queues["CallsQueue"].url)]
    assert sent == ["t-0"]
    assert [one["eventId"] for one in listed(capsys)["CallsDeadLetters"]] == ["t-2"]


def test_all_are_shown_and_discarded_only_with_yes(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        given_up(moto_stack, f"t-{number}")
    queue = [*OF_STACK, "--queue", "CallsDeadLetters", "--all"]
    assert main(["dlq", "discard", *queue]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "CallsDeadLetters: 12"
    assert shown.err.startswith("nothing is deleted; the same command with --yes deletes")
    assert len(listed(capsys)["CallsDeadLetters"]) == 12
    assert main(["dlq", "discard", *queue, "--yes"]) == 0
    assert capsys.readouterr().out == "12 discarded\n"
    assert listed(capsys)["CallsDeadLetters"] == []


def test_what_was_done_is_one_document_with_json(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up(moto_stack, "t-1")
    (letter,) = listed(capsys)["CallsDeadLetters"]
    queue = [*OF_STACK, "--queue", "CallsDeadLetters", "--json"]
    assert main(["dlq", "redrive", *queue]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "done": "sent back to CallsQueue",
        "messages": [letter["messageId"]],
        "notFound": [],
    }
    assert main(["dlq", "discard", *queue, "--message", "unknown"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "done": "discarded",
        "messages": [],
        "notFound": ["unknown"],
    }


def test_the_command_line_knows_every_queue_and_which_has_a_source(template: Template) -> None:
    """Those of call records, too, which not every stack has."""
    queues = dict(resources(template, "AWS::SQS::Queue"))
    unread = {name for name, one in queues.items() if "RedrivePolicy" not in one["Properties"]}
    assert set(WITH_SOURCE) | set(WITHOUT_SOURCE) == unread
    sources = {one.removesuffix("DeadLetters") + "Queue" for one in unread} & set(queues)
    assert {one.removesuffix("DeadLetters") + "Queue" for one in WITH_SOURCE} == sources


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["redrive", *OF_STACK, "--queue", "CallDeadLetters"],
            "--queue: 'CallDeadLetters' is none of CallsDeadLetters, CreditDeadLetters, ",
        ),
        (
            ["redrive", *OF_STACK, "--queue", "UnknownEvents"],
            "--queue: what waits in UnknownEvents came from no queue; docs/runbook.md says",
        ),
        (["list", "--stack", "nobodys"], "the dead letters of nobodys cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_said(
    moto_stack: Stack, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert moto_stack.queues
    assert main(["dlq", *arguments]) == 2
    assert message in capsys.readouterr().err
