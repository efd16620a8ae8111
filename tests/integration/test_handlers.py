"""Each function's own handler on moto, with the samples of `events/`: repeated, mixed, poisoned."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from builders import ANSWERED
from log_lines import logged

from perminute.adapters.dynamodb.account_items import entry_in
from perminute.application.retry import Deadline
from perminute.domain.errors import MissingSetting
from perminute.observability import logger
from perminute_local.replay.lambda_runtime import Context, LoadedFunction, SQSMessage
from perminute_local.replay.results import QUEUE_NAME, Listener, Rejected, Results, collect, drain
from perminute_local.replay.run import publish_rate_card, table_names
from perminute_local.stack import Function, QueueTrigger, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator


ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
RATES = ROOT / "examples" / "day" / "rates.csv"
POISON = ("[]", "not JSON", '{"id": "x-9", "source": "perminute.telephony"}')


def sample(name: str, event_id: str | None = None, **changed: Any) -> str:
    event = json.loads((EVENTS / f"{name}.v1.json").read_text())
    event["id"] = event_id or event["id"]
    return json.dumps({**event, "detail": {**event["detail"], **changed}})


def function_reading(stack: Stack, queue: str) -> Function:
    (function,) = (
        f
        for f in stack.functions
        if any(isinstance(t, QueueTrigger) and t.queue == queue for t in f.triggers)
    )
    return function


@dataclass
class System:
    stack: Stack
    functions: dict[str, LoadedFunction] = field(default_factory=dict)

    def send(self, queue: str, *bodies: str) -> list[str]:
        """Deliver one batch; gives the bodies that are to come again."""
        name = function_reading(self.stack, queue).name
        messages = [SQSMessage(body) for body in bodies]
        failed = self.loaded(name).invoke(messages, self.stack.queues[queue].arn)
        return [message.body for message in failed]

    def call(self, name: str, event: dict[str, Any]) -> dict[str, Any] | None:
        """Invoke a function by its name; None if it failed."""
        return self.loaded(name).call(event)

    def loaded(self, name: str) -> LoadedFunction:
        if name not in self.functions:
            (function,) = (f for f in self.stack.functions if f.name == name)
            self.functions[name] = LoadedFunction(function)
        return self.functions[name]

    def work_off(self, name: str, queue: str, at: str | None = None) -> list[str]:
        """Have a daily run begin, and all that is queued done; gives the messages."""
        if at is not None:
            assert self.call(name, {"time": at}) == {"batchItemFailures": []}
        sent: list[str] = []
        while bodies := [one["Body"] for one in drain(self.stack.queues[queue].url)]:
            sent += bodies
            assert not self.send(queue, *bodies)
        return sent

    def outbox(self) -> list[dict[str, Any]]:
        """Give the outbox as the table's stream would."""
        return self.stream("outbox#")

    def publish(self) -> None:
        """Have all of the outbox published, and what is written to it meanwhile."""
        known: set[str] = set()
        while records := [one for one in self.outbox() if one["eventID"] not in known]:
            known.update(one["eventID"] for one in records)
            answer = self.call("PublishNotificationsFunction", {"Records": records})
            assert answer == {"batchItemFailures": []}

    def stream(self, *prefixes: str) -> list[dict[str, Any]]:
        """Give records of the credit table as its stream would."""
        rows = boto3.client("dynamodb").scan(TableName=table_names(self.stack).credit)["Items"]
        return [
            {
                "eventID": row["record"]["S"],
                "dynamodb": {
                    "Keys": {name: row[name] for name in ("organizationId", "record")},
                    "NewImage": row,
                    "SequenceNumber": f"{number}",
                    "ApproximateCreationDateTime": ANSWERED.timestamp(),
                },
            }
            for number, row in enumerate(rows)
            if row["record"]["S"].startswith(prefixes)
        ]

    def rerate(self) -> list[str]:
        """Have what waits carried out, a piece of each; gives the messages that come again."""
        waiting = self.stream("rerating#", "pool#")
        assert self.call("QueueReratingsFunction", {"Records": waiting}) == {
            "batchItemFailures": []
        }
        sent = list(drain(self.stack.queues["ReratingsQueue"].url))
        return self.send("ReratingsQueue", *(message["Body"] for message in sent))

    def results(self) -> Results:
        return collect(table_names(self.stack), self.stack, [], lambda _: {})

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
def ready(ready_stack: Stack) -> System:
    return System(ready_stack)


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
            "lots": [{"purchaseId": "po-1001", "amount": "-0.435"}],
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
            "lots": [{"purchaseId": "po-1001", "amount": "250"}],
            "cause": "purchase#po-1001",
            "producer": {"account": "123456789012", "source": "perminute.billing"},
        },
        {
            "organizationId": "contoso",
            "entryId": "000000000002",
            "type": "charge",
            "amount": "-0.435",
            "balanceAfter": "249.565",
            "at": "2026-11-02T09:31:00Z",
            "calls": ["b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"],
            "lots": [{"purchaseId": "po-1001", "amount": "-0.435"}],
            "cause": None,
            "producer": None,
        },
    ]


PAGE = (EVENTS / "README.md").read_text()
IN_ORDER = re.findall(r"^[0-9]+\. \[[a-z-]+\]\(([a-z-]+)\.v1\.json\)", PAGE, re.MULTILINE)


def test_the_page_puts_every_sample_of_an_event_in_order() -> None:
    samples = {path.name for path in EVENTS.glob("*.json") if "detail-type" in path.read_text()}
    assert sorted(f"{name}.v1.json" for name in IN_ORDER) == sorted(samples)


NEEDS_A_CURRENCY = "credit-adjusted"
BACKWARDS = [*filter(NEEDS_A_CURRENCY.__ne__, reversed(IN_ORDER)), NEEDS_A_CURRENCY]


@pytest.mark.parametrize("names", [IN_ORDER, BACKWARDS], ids=["as on the page", "backwards"])
def test_the_samples_end_in_a_charged_call(names: list[str], system: System) -> None:
    for name in names:
        event = json.loads((EVENTS / "sqs" / f"{name}.v1.json").read_text())
        queue = event["Records"][0]["eventSourceARN"].rpartition("-")[2]
        function = function_reading(system.stack, queue).name
        assert system.call(function, event) == {"batchItemFailures": []}
    assert system.rerate() == []
    document = system.results().document()
    app, call = document["calls"]
    assert (app["outcome"], app["reason"]) == ("free", "appJoin")
    assert (call["outcome"], call["charge"]) == ("charged", "0.435")
    assert f"are ${call['charge']}" in PAGE
    assert f"The balance is ${document['organizations']['contoso']['balance']} then" in PAGE
    assert document["rejected"] == []


def test_a_call_in_another_currency_has_a_price_unless_credit_has_to_pay_it(
    ready: System,
) -> None:
    to_italy = {"remoteNumber": "+39061234567"}
    entitled = sample("call-ended", callId="entitled", **to_italy)
    stranger = sample("call-ended", callId="stranger", organizerId="nobody", **to_italy)
    assert not ready.send("CallsQueue", entitled, stranger)
    document = ready.results().document()
    assert document["organizations"]["contoso"]["balance"] == "250"
    names = ("outcome", "reason", "billedSeconds", "ratePerMinute", "connectionFee", "retailCost")
    calls = {
        call["callId"]: tuple(call[name] for name in (*names, "charge", "currency"))
        for call in document["calls"]
    }
    assert calls == {
        "entitled": ("unrated", "currencyMismatch", 0, None, None, None, "0", "EUR"),
        "stranger": ("notEntitled", "noLicense", 1740, "0.05", "0", "1.45", "0", "EUR"),
    }


@pytest.mark.parametrize(
    ("queue", "names"),
    [
        ("CallsQueue", ["call-ended", "calls-ended"]),
        (
            "LicensingQueue",
            [
                "license-assigned",
                "license-removed",
                "licenses-purchased",
                "user-changed",
                "organization-changed",
            ],
        ),
        (
            "CreditQueue",
            ["credits-configured", "credit-purchased", "credit-adjusted", "recharge-failed"],
        ),
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
        "time:",
    ]
    state = ready.state()
    assert not ready.send(queue, sound)
    assert ready.state() == state


def test_each_call_of_an_event_is_charged_or_refused_by_itself(ready: System) -> None:
    conflict = {**json.loads(sample("call-ended"))["detail"], "meetingId": "other"}
    event = json.loads(sample("calls-ended"))
    event["detail"]["calls"] += [conflict, {"organizationId": "contoso"}]
    assert not ready.send("CallsQueue", json.dumps(event))
    results = ready.results()
    assert [usage.outcome for usage in results.usages] == ["free", "charged"]
    reasons = {rejected.event_id: rejected.reason for rejected in results.rejected}
    assert set(reasons) == {f"{event['id']}#2", f"{event['id']}#3"}
    assert reasons[f"{event['id']}#2"].startswith("callId: conflict: ")
    assert reasons[f"{event['id']}#3"].startswith("callId: is required; ")
    assert not ready.send("CallsQueue", json.dumps(event))
    assert list(ready.results().usages) == list(results.usages)


def test_calls_of_several_organizations_are_queued_again_and_charged_then(ready: System) -> None:
    event = json.loads(sample("calls-ended"))
    event["detail"]["calls"] += [{**event["detail"]["calls"][0], "organizationId": "tailspin"}]
    assert not ready.send("CallsQueue", json.dumps(event))
    assert list(ready.results().usages) == []
    queued = [message["Body"] for message in drain(ready.stack.queues["CallsQueue"].url)]
    assert len(queued) == 2
    assert not ready.send("CallsQueue", *queued)
    assert [usage.outcome for usage in ready.results().usages] == ["free", "charged", "notEntitled"]


def test_without_a_rate_card_calls_come_again_and_are_charged_once_it_is_there(
    moto_stack: Stack,
) -> None:
    system = System(moto_stack)
    call = sample("call-ended")
    assert system.send("CallsQueue", call, "not JSON") == [call]
    publish_rate_card(RATES.read_bytes(), moto_stack)
    assert not system.send("CallsQueue", call)
    assert [usage.call.call_id for usage in system.results().usages] == [
        "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21"
    ]


def test_a_refusal_that_cannot_be_kept_comes_again(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    dead_letters = ready.stack.queues["CallsDeadLetters"].url
    boto3.client("sqs").delete_queue(QueueUrl=dead_letters)
    assert ready.send("CallsQueue", sample("call-ended"), "not JSON") == ["not JSON"]


def test_credit_expires_by_the_daily_run_of_that_day_and_is_booked_once(ready: System) -> None:
    for at in ("2027-09-30T00:05:00Z", *["2027-10-31T00:05:00Z"] * 2):
        ready.work_off("ExpireCreditFunction", "ExpiriesQueue", at)
    document = ready.results().document()
    assert document["organizations"]["contoso"]["lots"] == []
    assert [(e["type"], e["amount"], e["at"], e["cause"]) for e in document["ledger"]] == [
        ("purchase", "250", "2026-10-30T12:02:00Z", "purchase#po-1001"),
        ("expiry", "-250", "2027-10-30T12:02:00Z", "lot#000000000001"),
    ]


def test_an_account_that_somebody_damaged_is_its_own_trouble(ready: System) -> None:
    boto3.client("dynamodb").put_item(
        TableName=table_names(ready.stack).credit,
        Item={
            "organizationId": {"S": "damaged"},
            "record": {"S": "account"},
            "version": {"N": "1"},
            "lots": {"S": '[["1", "po-1", "yesterday", "tomorrow", 5, false]]'},
            "listedAs": {"S": "account"},
            "dueAt": {"S": "2026-01-01T00:00:00Z"},
        },
    )
    theirs = sample("call-ended", organizationId="damaged")
    assert ready.send("CallsQueue", theirs, sample("call-ended")) == [theirs]
    ready.call("ExpireCreditFunction", {"time": "2027-10-31T00:05:00Z"})
    url = ready.stack.queues["ExpiriesQueue"].url
    assert not ready.send("ExpiriesQueue", *(message["Body"] for message in drain(url)))
    bodies = [message["Body"] for message in drain(url)]
    log = io.StringIO()
    with redirect_log(log):
        (again,) = ready.send("ExpiriesQueue", *bodies)
    assert (len(bodies), json.loads(again)["organizationId"]) == (2, "damaged")
    assert "the account of damaged holds something that cannot be read" in log.getvalue()
    rows = boto3.client("dynamodb").scan(TableName=table_names(ready.stack).credit)["Items"]
    assert {entry.type for item in rows if (entry := entry_in(item))} == {
        "purchase",
        "charge",
        "expiry",
    }


def test_a_daily_run_without_its_time_fails_instead_of_guessing(
    ready: System, capsys: pytest.CaptureFixture[str]
) -> None:
    for event in ({}, {"time": "today"}, {"time": None}):
        assert ready.call("ExpireCreditFunction", event) is None
        assert "Refused: time: " in capsys.readouterr().err


def test_a_daily_run_queues_who_is_due_and_brings_each_up_to_date(ready: System) -> None:
    assert ready.work_off("ExpireCreditFunction", "ExpiriesQueue", "2026-11-03T00:05:00Z") == [
        '{"at": "2026-11-03T00:05:00Z", "listed": 0, "after": null}'
    ]
    assert ready.work_off("ExpireCreditFunction", "ExpiriesQueue", "2027-11-03T00:05:00Z") == [
        '{"at": "2027-11-03T00:05:00Z", "listed": 0, "after": null}',
        '{"at": "2027-11-03T00:05:00Z", "organizationId": "contoso"}',
    ]
    assert ready.state()["organizations"]["contoso"]["balance"] == "0"


def damage(stack: Stack, name: str) -> None:
    """Put an account there that nobody can read."""
    boto3.client("dynamodb").put_item(
        TableName=table_names(stack).credit,
        Item={
            "organizationId": {"S": name},
            "record": {"S": "account"},
            "balanceMicros": {"N": "1.5"},
        },
    )


def take_a_cent(stack: Stack) -> None:
    boto3.client("dynamodb").update_item(
        TableName=table_names(stack).credit,
        Key={"organizationId": {"S": "contoso"}, "record": {"S": "account"}},
        UpdateExpression="ADD balanceMicros :cent",
        ExpressionAttributeValues={":cent": {"N": "-10000"}},
    )


def test_an_account_that_cannot_be_brought_up_to_date_comes_again_and_no_other(
    ready: System,
) -> None:
    damage(ready.stack, "damaged")
    bodies = [
        json.dumps({"at": "2027-11-03T00:05:00Z", "organizationId": name})
        for name in ("damaged", "contoso")
    ]
    assert ready.send("ExpiriesQueue", *bodies, "[]") == bodies[:1]
    boto3.client("dynamodb").delete_item(
        TableName=table_names(ready.stack).credit,
        Key={"organizationId": {"S": "damaged"}, "record": {"S": "account"}},
    )
    results = ready.results()
    assert results.document()["organizations"]["contoso"]["balance"] == "0"
    (rejected,) = results.rejected
    assert rejected.reason == "body: must be a JSON object"


def test_a_daily_run_without_its_queue_does_not_begin(ready: System) -> None:
    for queue in ("ExpiriesQueue", "ReconciliationsQueue"):
        boto3.client("sqs").delete_queue(QueueUrl=ready.stack.queues[queue].url)
    for name in ("ExpireCreditFunction", "ReconcileBooksFunction"):
        assert ready.call(name, {"time": "2026-11-03T00:05:00Z"}) is None


def reconcile(system: System, day: int) -> str:
    """Have the books checked by night; gives what is logged."""
    log = io.StringIO()
    with redirect_log(log):
        at = f"2026-11-{day:02}T01:35:00Z"
        system.work_off("ReconcileBooksFunction", "ReconciliationsQueue", at)
    return log.getvalue()


def test_the_nightly_check_reports_a_cent_that_somebody_took(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    sound = '"organizations":1,"whole":1,"entries":2,"calls":1,"differences":0'
    assert sound in reconcile(ready, 3)
    take_a_cent(ready.stack)
    state = ready.state()
    log = reconcile(ready, 4)
    assert '"differences":2' in log
    assert "the balance is 249.555, but the entries add up to 249.565" in log
    assert '"entries":["000000000002"]' in log
    assert ready.state() == state
    # What was told once is not told again for the same night, and is the night after.
    assert '"differences":2' not in reconcile(ready, 4)
    assert '"differences":2' in reconcile(ready, 5)


def test_the_night_after_reads_what_is_new_and_no_more(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    reconcile(ready, 3)
    assert '"whole":0,"entries":0,"calls":0,"differences":0' in reconcile(ready, 4)
    ready.send("CallsQueue", sample("call-ended", callId="another"))
    assert '"whole":0,"entries":1,"calls":2,"differences":0' in reconcile(ready, 5)


def test_long_books_go_on_in_a_further_message(
    ready: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ready.send("CallsQueue", sample("call-ended", callId=f"c-{number}"))
    ready.call("ReconcileBooksFunction", {"time": "2026-11-03T01:35:00Z"})
    # Time has run out as soon as a piece was read: the clock is asked before the message, before
    # the piece, and after it.
    clocks = (Deadline(at=3, clock=partial(next, count(1))) for _ in count())
    monkeypatch.setattr(Deadline, "in_milliseconds", lambda _: next(clocks))
    with logged() as lines:
        sent = ready.work_off("ReconcileBooksFunction", "ReconciliationsQueue")
    # Four entries, then three calls, each in an invocation of its own; then there is no more.
    parts = [line for line in lines if line["message"] == "books read in part"]
    assert [(part["entries"], part["calls"]) for part in parts] == [
        *[(entries, 0) for entries in (1, 2, 3, 4)],
        *[(4, calls) for calls in (1, 2, 3)],
    ]
    *going_on, done = [line for line in lines if line["message"] == "books reconciled"]
    assert (done["organizations"], done["entries"], done["calls"]) == (1, 4, 3)
    assert not any(line["organizations"] for line in going_on)
    assert len(set(sent[1:])) == 1


def test_a_difference_is_reported_even_if_other_books_cannot_be_read(ready: System) -> None:
    damage(ready.stack, "damaged")
    take_a_cent(ready.stack)
    bodies = [
        json.dumps({"at": "2026-11-04T01:35:00Z", "organizationId": name})
        for name in ("damaged", "contoso")
    ]
    log = io.StringIO()
    with redirect_log(log):
        assert ready.send("ReconciliationsQueue", *bodies) == bodies[:1]
    assert "the balance is 249.99" in log.getvalue()


@contextmanager
def redirect_log(stream: io.StringIO) -> Iterator[None]:
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before, level = handler.setStream(stream), logger.log_level
    logger.setLevel("DEBUG")
    try:
        yield
    finally:
        handler.setStream(before or sys.stderr)
        # Tests in the same process read what is logged at other levels.
        logger.setLevel(level)


def test_what_was_committed_to_the_outbox_goes_out(ready: System) -> None:
    listener = Listener(ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    ready.send("CallsQueue", sample("call-ended", organizerId="nobody"))
    ready.send("CallsQueue", sample("call-ended", organizerId="nobody"))
    ready.send("CreditQueue", sample("recharge-failed"))
    ready.publish()
    assert [(n["type"], n.get("callId"), n["reason"]) for n in listener.heard()] == [
        ("CallNotEntitled", "b6c1a0f4-7a3e-4a5f-8f0a-1f6a0c7b9d21", "noLicense"),
        ("RechargeFailed", None, "the card has expired"),
    ]


def test_other_calls_of_a_day_go_out_in_one_digest_when_it_is_over(ready: System) -> None:
    listener = Listener(ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    calls = [sample("call-ended", organizerId="nobody", callId=f"c-{n}") for n in range(4)]
    ready.send("CallsQueue", *calls)
    ready.publish()
    (first,) = listener.heard()
    ready.work_off("ExpireCreditFunction", "ExpiriesQueue", at="2026-11-03T00:05:00Z")
    ready.publish()
    again, digest = sorted(listener.heard(), key=lambda one: one.get("calls", 1))
    assert again == first, "published once more under its id, for the stream showed it again"
    assert (digest["callId"], digest["calls"], digest["day"]) == (None, 3, "2026-11-02")
    assert [first["callId"], *digest["callIds"]] == ["c-0", "c-1", "c-2", "c-3"]


def test_a_month_that_is_to_cost_more_than_its_budget_is_notified_of_once(ready: System) -> None:
    listener = Listener(ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    budget = sample("credits-configured", monthlyBudget="5", lowBalanceThresholds=[])
    assert not ready.send("CreditQueue", budget)
    ended = [f"2026-11-{day:02}T09:31:00Z" for day in range(2, 10)]
    calls = [
        sample("call-ended", callId=at, answeredAt=at, endedAt=at, billableSeconds=1_800)
        for at in ended
    ]
    timed = [
        json.dumps({**json.loads(call), "time": at}) for call, at in zip(calls, ended, strict=True)
    ]
    assert not ready.send("CallsQueue", *timed)
    for day in ("10", "10", "11"):
        ready.work_off("ExpireCreditFunction", "ExpiriesQueue", at=f"2026-11-{day}T00:05:00Z")
    ready.publish()
    (notified,) = listener.heard()
    assert (notified["type"], notified["period"]) == ("MonthCostForecast", "2026-11")
    assert (notified["monthlyBudget"], notified["spent"]) == ("5", "3.6")
    assert float(notified["month"]["expected"]) > 5
    assert notified["text"].splitlines()[3].endswith("the console (perminute console).")


def test_no_notification_has_a_whole_phone_number(ready: System) -> None:
    listener = Listener(ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    toll = {"legType": "tollDialIn", "serviceNumber": "+14255550100", "callId": "c-2"}
    dialed_out = sample("call-ended", organizerId="nobody")
    ready.send("CallsQueue", dialed_out, sample("call-ended", organizerId="alex", **toll))
    ready.publish()
    heard = listener.heard()
    assert {one["number"] for one in heard} == {"+49302312****", "+1425555****"}
    assert all(one["number"] in one["text"] for one in heard)
    for number in ("3023125042", "4255550100"):
        assert number not in json.dumps(heard)


def test_subscribers_can_filter_by_type_and_organization(ready: System) -> None:
    Listener(ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    ready.send("CreditQueue", sample("recharge-failed"))
    ready.call("PublishNotificationsFunction", {"Records": ready.outbox()})
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE_NAME)["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    values = {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
    assert values == {
        "type": "RechargeFailed",
        "organizationId": "contoso",
        "correlationId": json.loads(sample("recharge-failed"))["id"],
    }


BEAT = {
    "eventName": "MODIFY",
    "dynamodb": {
        "Keys": {"organizationId": {"S": "#heartbeat"}, "record": {"S": "heartbeat"}},
        "SequenceNumber": "0",
    },
}


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("PublishNotificationsFunction", "publish_notifications.handler.report_published"),
        ("QueueReratingsFunction", "queue_reratings.handler.report_queued"),
    ],
)
def test_a_heartbeat_of_the_stream_is_passed_over_and_not_counted(
    ready: System, monkeypatch: pytest.MonkeyPatch, name: str, report: str
) -> None:
    ready.call(name, {"Records": []})
    counted: list[object] = []
    # A metric has its price by the hours that have data.
    monkeypatch.setattr(report, counted.append)
    assert ready.call(name, {"Records": [BEAT, BEAT]}) == {"batchItemFailures": []}
    assert counted == []
    assert ready.results().rejected == []


def test_a_heartbeat_keeps_no_other_record_waiting(ready: System) -> None:
    ready.send("CreditQueue", sample("recharge-failed"))
    boto3.client("sns").delete_topic(TopicArn=ready.stack.setting("NOTIFICATION_TOPIC_ARN"))
    answer = ready.call("PublishNotificationsFunction", {"Records": [BEAT, *ready.outbox()]})
    first = ready.outbox()[0]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}


def test_without_the_topic_the_outbox_comes_again_from_the_first_record(ready: System) -> None:
    ready.send("CreditQueue", sample("recharge-failed"))
    ready.send("CreditQueue", sample("recharge-failed", rechargeId="another"))
    topic = ready.stack.setting("NOTIFICATION_TOPIC_ARN")
    boto3.client("sns").delete_topic(TopicArn=topic)
    records = ready.outbox()
    assert len(records) == 2
    answer = ready.call("PublishNotificationsFunction", {"Records": records})
    first = records[0]["dynamodb"]["SequenceNumber"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}


def test_a_poison_record_is_kept_and_does_not_hold_up_its_shard(ready: System) -> None:
    ready.send("CreditQueue", sample("recharge-failed"))
    poison = {"eventID": "poison", "dynamodb": {"SequenceNumber": "0"}}
    answer = ready.call("PublishNotificationsFunction", {"Records": [poison, *ready.outbox()]})
    assert answer == {"batchItemFailures": []}
    assert [rejected.event_id for rejected in ready.results().rejected] == ["poison"]


def test_a_license_that_was_lost_before_the_call_gives_its_charge_back(ready: System) -> None:
    assert not ready.rerate()
    ready.send("CallsQueue", sample("call-ended"))
    since = "2026-11-01T00:00:00Z"
    assert not ready.send("LicensingQueue", sample("license-removed", effectiveAt=since))
    assert not ready.rerate()
    state = ready.state()
    (call,) = state["calls"]
    assert (call["outcome"], call["reason"], call["charge"], call["flags"], call["lots"]) == (
        "notEntitled",
        "noLicense",
        "0",
        ["rerated"],
        [],
    )
    assert state["organizations"]["contoso"]["balance"] == "250"
    assert state["ledger"][-1] == {
        "organizationId": "contoso",
        "entryId": "000000000003",
        "type": "adjustment",
        "amount": "0.435",
        "balanceAfter": "250",
        "at": "2026-11-15T08:00:02Z",
        "calls": [call["callId"]],
        "lots": [{"purchaseId": "po-1001", "amount": "0.435"}],
        "cause": "rerating#event#8d0f6f0b-6a0a-4f0e-9a1c-8c8d1e2f3a12",
        "producer": None,
    }
    assert ready.stream("rerating#") == []
    ready.rerate()
    assert ready.state() == state


def test_a_subscription_that_was_held_all_along_draws_on_the_pool(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    assert not ready.send(
        "LicensingQueue",
        sample("licenses-purchased"),
        sample("license-assigned", "late", license="SPE_E5"),
    )
    while ready.stream("rerating#") or any(
        "unsettled" in one["dynamodb"]["NewImage"] for one in ready.stream("pool#")
    ):
        assert not ready.rerate()
    state = ready.state()
    (call,) = state["calls"]
    assert (call["outcome"], call["poolMinutes"], call["charge"]) == ("pooled", 29, "0")
    assert state["organizations"]["contoso"]["minutePools"] == {
        "2026-11": {"minutes": 6_900, "used": 29}
    }


def test_what_cannot_be_rated_anew_comes_again_and_does_not_stop_the_others(
    ready: System,
) -> None:
    """The usage table was restored without the call."""
    ready.send("CallsQueue", sample("call-ended"))
    ready.send("LicensingQueue", sample("license-removed", effectiveAt="2026-11-01T00:00:00Z"))
    ready.send("LicensingQueue", sample("license-assigned", "o-1", organizationId="fabrikam"))
    table, dynamodb = ready.stack.setting("USAGE_TABLE"), boto3.client("dynamodb")
    (usage,) = dynamodb.scan(TableName=table)["Items"]
    key = {name: usage[name] for name in ("organizationId", "callId")}
    dynamodb.delete_item(TableName=table, Key=key)
    assert ready.rerate() == ['{"organizationId": "contoso"}']
    left = {
        record["dynamodb"]["Keys"]["organizationId"]["S"] for record in ready.stream("rerating")
    }
    assert left == {"contoso"}
    dynamodb.put_item(TableName=table, Item=usage)
    assert not ready.rerate()
    assert ready.state()["calls"][0]["outcome"] == "notEntitled"


def test_calls_are_rated_anew_though_the_bucket_has_lost_their_card(ready: System) -> None:
    ready.send("CallsQueue", sample("call-ended"))
    ready.send("LicensingQueue", sample("license-removed", effectiveAt="2026-11-01T00:00:00Z"))
    bucket, s3 = ready.stack.setting("RATE_CARD_BUCKET"), boto3.client("s3")
    for one in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])
    assert not ready.rerate()
    assert ready.state()["calls"][0]["outcome"] == "notEntitled"


def test_without_the_queue_the_stream_comes_again(ready: System) -> None:
    url = ready.stack.queues["ReratingsQueue"].url
    boto3.client("sqs").delete_queue(QueueUrl=url)
    assert ready.call("QueueReratingsFunction", {"Records": ready.stream("rerating#")}) is None


def test_the_evening_run_wakes_who_still_has_something_waiting(ready: System) -> None:
    """Even if every message that told of it was lost."""
    url = ready.stack.queues["ReratingsQueue"].url
    ready.call("QueueReratingsFunction", {"time": "2026-11-02T23:35:00Z"})
    assert [message["Body"] for message in drain(url)] == ['{"organizationId": "contoso"}']
    assert not ready.rerate()
    ready.call("QueueReratingsFunction", {"time": "2026-11-03T23:35:00Z"})
    assert list(drain(url)) == []


def test_what_wakes_nobody_is_kept(ready: System) -> None:
    strange = {"eventID": "strange", "dynamodb": {"SequenceNumber": "1"}}
    answer = ready.call("QueueReratingsFunction", {"Records": [strange]})
    assert answer == {"batchItemFailures": []}
    assert not ready.send("ReratingsQueue", "[]", '{"organizationId": 7}')
    rejected = ready.results().rejected
    assert {one.reason.partition(":")[0] for one in rejected} == {
        "the record cannot be read",
        "organizationId",
    }
    assert len(rejected) == 3


def test_an_event_of_next_year_is_kept_and_forfeits_nothing(ready: System) -> None:
    ahead = {**json.loads(sample("call-ended")), "time": "2036-11-02T09:31:00Z"}
    assert not ready.send("CallsQueue", json.dumps(ahead))
    (rejected,) = ready.results().rejected
    assert rejected.reason.startswith("time: lies more than 1 day after the event arrived")
    assert ready.state()["organizations"]["contoso"]["balance"] == "250"


def test_a_function_is_told_the_time_that_the_template_gives_it(ready: System) -> None:
    longest = {f.name for f in ready.stack.functions if f.timeout_seconds == 300}
    assert longest == {
        "ExpireCreditFunction",
        "ReconcileBooksFunction",
        "QueueReratingsFunction",
    }
    for function in ready.stack.functions:
        context = Context(
            function_name=function.name,
            invoked_function_arn="arn",
            timeout_seconds=function.timeout_seconds,
        )
        assert context.get_remaining_time_in_millis() == 1000 * function.timeout_seconds


def test_a_function_names_the_setting_that_its_environment_lacks(moto_stack: Stack) -> None:
    function = moto_stack.functions[0]
    lacking = function._replace(environment={**function.environment, "USAGE_TABLE": ""})
    with pytest.raises(MissingSetting, match="environment variable USAGE_TABLE is not set"):
        LoadedFunction(lacking)


def test_no_log_line_holds_a_phone_number(ready: System) -> None:
    log = io.StringIO()
    with redirect_log(log):
        ready.send(
            "CallsQueue",
            sample("call-ended"),
            sample("call-ended", remoteNumber="+493023129999"),
            sample("call-ended", callId="x", remoteNumber="03023125042"),
            '{"id": "+493023125042 is not JSON',
        )
    assert log.getvalue().count("event refused") == 3
    assert "3023125042" not in log.getvalue()
    assert "3023129999" not in log.getvalue()
