"""Each function's own handler on moto, with the samples of `events/`: repeated, mixed, poisoned."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from perminute.domain.errors import MissingSetting
from perminute.observability import logger
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.results import Rejected, Results, collect
from perminute_local.replay.run import publish_rate_card, table_names
from perminute_local.stack import Function, Stack

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
RATES = ROOT / "examples" / "day" / "rates.csv"
POISON = ("[]", "not JSON", '{"id": "x-9", "source": "perminute.telephony"}')


def sample(name: str, event_id: str | None = None, **changed: Any) -> str:
    event = json.loads((EVENTS / f"{name}.v1.json").read_text())
    event["id"] = event_id or event["id"]
    return json.dumps({**event, "detail": {**event["detail"], **changed}})


@dataclass
class System:
    stack: Stack
    functions: dict[str, LoadedFunction] = field(default_factory=dict)

    def send(self, queue: str, *bodies: str) -> list[str]:
        """Deliver one batch; gives the bodies that are to come again."""
        if queue not in self.functions:
            (function,) = (f for f in self.stack.functions if f.queue == queue)
            self.functions[queue] = LoadedFunction(function)
        messages = [SQSMessage(body) for body in bodies]
        failed = self.functions[queue].invoke(messages, self.stack.queues[queue].arn)
        return [message.body for message in failed]

    def results(self) -> Results:
        return collect(table_names(self.stack), self.stack, [], {})

    def state(self) -> dict[str, Any]:
        """What is in the tables; the dead letters are left out, and left in their queues."""
        document = self.results().document()
        del document["rejected"]
        return document


@pytest.fixture
def system(moto_stack: Stack) -> System:
    publish_rate_card(RATES.read_bytes(), moto_stack)
    return System(moto_stack)


@pytest.fixture
def ready(system: System) -> System:
    """An organization whose organizer may charge calls to credits."""
    assert not system.send(
        "LicensingQueue",
        sample("organization-changed"),
        sample("user-changed"),
        sample("license-assigned"),
        sample("license-assigned", "e-2", license="communicationsCredits"),
    )
    assert not system.send("CreditQueue", sample("credit-purchased"))
    return system


def test_a_call_is_charged_from_event_to_balance(ready: System) -> None:
    assert not ready.send("CallsQueue", sample("call-ended"))
    document = ready.results().document()
    # 1,728 billable seconds are 29 minutes at 0.015.
    assert document["organizations"]["contoso"]["balance"] == "249.565"
    assert document["calls"] == [
        {
            "organizationId": "contoso",
            "callId": "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21",
            "outcome": "charged",
            "reason": None,
            "billedSeconds": 1740,
            "poolMinutes": 0,
            "prefix": "49",
            "country": "DE",
            "ratePerMinute": "0.015",
            "connectionFee": "0",
            "retailCost": "0.435",
            "charge": "0.435",
            "currency": "USD",
            "flags": [],
        }
    ]
    assert document["ledger"] == [
        {
            "organizationId": "contoso",
            "entryId": "000000000001",
            "type": "purchase",
            "amount": "250",
            "balanceAfter": "250",
            "at": "2026-10-30T12:02:00Z",
            "calls": [],
        },
        {
            "organizationId": "contoso",
            "entryId": "000000000002",
            "type": "charge",
            "amount": "-0.435",
            "balanceAfter": "249.565",
            "at": "2026-11-02T09:31:00Z",
            "calls": ["b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"],
        },
    ]


@pytest.mark.parametrize(
    ("queue", "names"),
    [
        ("CallsQueue", ["call-ended"]),
        (
            "LicensingQueue",
            ["license-assigned", "license-removed", "user-changed", "organization-changed"],
        ),
        ("CreditQueue", ["credits-configured", "credit-purchased", "credit-adjusted"]),
    ],
)
def test_what_is_delivered_again_changes_nothing(
    ready: System, queue: str, names: list[str]
) -> None:
    batch = [sample(name) for name in names]
    assert not ready.send(queue, *batch)
    state = ready.state()
    assert not ready.send(queue, *batch, *batch)
    assert ready.state() == state
    assert ready.results().rejected == []


@pytest.mark.parametrize(
    ("queue", "sound", "conflict", "reason"),
    [
        (
            "CallsQueue",
            sample("call-ended"),
            sample("call-ended", meetingId="other"),
            "callId: conflict: call b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21 of contoso is recorded "
            "with another meetingId; the record stands, send a correction as a credit adjustment",
        ),
        (
            "LicensingQueue",
            sample("license-removed"),
            sample("license-removed", userId="alex"),
            "id: conflict: 8d0f6f0b-6a0a-4f0e-9a1c-8c8d1e2f3a12 is recorded with another userId; "
            "the record stands, send the new facts under an identity of their own",
        ),
        (
            "CreditQueue",
            sample("credit-adjusted"),
            sample("credit-adjusted", amount="-2"),
            "adjustmentId: conflict: goodwill-1 is recorded with another amount; the record "
            "stands, send the new facts under an identity of their own",
        ),
    ],
)
def test_poison_and_conflicts_are_kept_with_their_reason_and_the_rest_takes_effect(
    ready: System, queue: str, sound: str, conflict: str, reason: str
) -> None:
    assert not ready.send(queue, *POISON, sound, conflict)
    kept = ready.results().rejected
    assert kept[-1] == Rejected(json.loads(conflict)["id"], reason)
    assert [rejected.reason.split(" ")[0] for rejected in kept[:-1]] == [
        "event:",
        "event:",
        "time:" if queue == "CallsQueue" else "detail-type:",
    ]
    state = ready.state()
    assert not ready.send(queue, sound)
    assert ready.state() == state


def test_without_a_rate_card_calls_come_again_and_are_charged_once_it_is_there(
    moto_stack: Stack,
) -> None:
    system = System(moto_stack)
    call = sample("call-ended")
    assert system.send("CallsQueue", call, "not JSON") == [call]
    publish_rate_card(RATES.read_bytes(), moto_stack)
    assert not system.send("CallsQueue", call)
    assert [usage.leg.call_id for usage in system.results().usages] == [
        "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"
    ]


def test_a_refusal_that_cannot_be_kept_comes_again(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    dead_letters = ready.stack.queues["CallsDeadLetters"].url
    boto3.client("sqs").delete_queue(QueueUrl=dead_letters)
    assert ready.send("CallsQueue", sample("call-ended"), "not JSON") == ["not JSON"]


def test_a_function_names_the_setting_that_its_environment_lacks(moto_stack: Stack) -> None:
    function = moto_stack.functions[0]
    lacking = Function(
        name=function.name,
        handler=function.handler,
        environment={**function.environment, "USAGE_TABLE": ""},
        queue=function.queue,
        batch_size=1,
    )
    with pytest.raises(MissingSetting, match="environment variable USAGE_TABLE is not set"):
        LoadedFunction(lacking)


def test_no_log_line_holds_a_phone_number(ready: System, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", log)
    logger.setLevel("DEBUG")
    ready.send(
        "CallsQueue",
        sample("call-ended"),
        sample("call-ended", remoteNumber="+493023129999"),
        sample("call-ended", callId="x", remoteNumber="03023125042"),
        '{"id": "+493023125042 is not JSON',
    )
    logger.setLevel("ERROR")
    assert log.getvalue().count("event refused") == 3
    assert "3023125042" not in log.getvalue()
    assert "3023129999" not in log.getvalue()
