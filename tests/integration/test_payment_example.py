"""`examples/payments` between our own functions: what it is asked for, and what it reports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from builders import ANSWERED
from charging import System, sample

from pay_recharges.event_bus import EventBus
from pay_recharges.stub import Behavior, StubPaymentService
from perminute.adapters.dynamodb.outbox_items import documents_in
from perminute.domain.values.times import format_instant
from perminute_local.replay.lambda_runtime import LoadedFunction, SQSMessage
from perminute_local.replay.results import collect, drain
from perminute_local.replay.run import table_names
from perminute_local.stack import STACK_NAME, Function, QueueTrigger, Stack, load_template

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import TargetTypeDef

TODAY = datetime.now(UTC)
"""What moto's bus puts into its events as their time; the others must not lie a day before."""
BOOKED = TODAY - timedelta(minutes=1)
BUS = STACK_NAME
"""As the template names it; moto's CloudFormation gives no usable reference to a bus."""
ARN = "arn:aws:sqs:us-east-1:123456789012:requests"
ORGANIZATION = "contoso"


@dataclass
class Payments:
    """perminute, whose organization wants to be recharged, and the example beside it."""

    system: System
    function: LoadedFunction
    queue_url: str
    monkeypatch: pytest.MonkeyPatch

    def service(self, *behaviors: Behavior) -> StubPaymentService:
        service = StubPaymentService(behaviors, clock=lambda: BOOKED)
        self.monkeypatch.setattr("pay_recharges.handler.payment_service", service)
        return service

    def deliver(self, *bodies: str) -> list[str]:
        """Hand a batch to the example; gives the bodies that are to come again."""
        failed = self.function.invoke([SQSMessage(body) for body in bodies], ARN)
        return [message.body for message in failed]

    def reported(self) -> list[dict[str, Any]]:
        """Take from its queue what has been put on the bus, and have it booked."""
        queue = self.system.stack.queues["CreditQueue"].url
        bodies = [message["Body"] for message in drain(queue)]
        if bodies:
            self.system.send("CreditQueue", *bodies)
        events = [json.loads(body) for body in bodies]
        return [{one["detail-type"]: one["detail"]} for one in events]

    def requests(self) -> list[str]:
        """Have all notifications published, and take from the example's queue what it gets."""
        seen = {"ApproximateCreationDateTime": ANSWERED.timestamp()}
        records = [{"dynamodb": {"NewImage": item, **seen}} for item in self.outbox()]
        functions = {one.name: one for one in self.system.stack.functions}
        publish = self.system.loaded(functions["PublishNotificationsFunction"])
        assert publish.call({"Records": records}) == {"batchItemFailures": []}
        return [message["Body"] for message in drain(self.queue_url)]

    def told(self, kind: str) -> list[dict[str, Any]]:
        documents = [document for item in self.outbox() for document in documents_in(item)]
        return [document for document in documents if document["type"] == kind]

    def outbox(self) -> list[dict[str, Any]]:
        table = table_names(self.system.stack).credit
        items = boto3.client("dynamodb").scan(TableName=table)["Items"]
        return [item for item in items if item["record"]["S"].startswith("outbox#")]

    def recharge_id(self) -> str:
        """Tell which recharge was asked for last."""
        newest = max(self.told("RechargeRequested"), key=lambda one: one["at"])
        recharge_id: str = newest["rechargeId"]
        return recharge_id

    def balance(self) -> str:
        balance: str = self.document()["organizations"][ORGANIZATION]["balance"]
        return balance

    def purchases(self) -> list[str]:
        return [one["amount"] for one in self.document()["ledger"] if one["type"] == "purchase"]

    def document(self) -> dict[str, Any]:
        stack = self.system.stack
        return collect(table_names(stack), stack, [], lambda _: {}).document()


@pytest.fixture(params=["raw", "wrapped"])
def payments(
    request: pytest.FixtureRequest, moto_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> Payments:
    """250 USD were bought and 220 taken: less than the trigger of 50 is left."""
    route_billing(moto_stack)
    queue_url = subscribe(moto_stack, raw=request.param == "raw")
    function = Function(
        name="PayRechargesFunction",
        handler="pay_recharges.handler.handler",
        environment={"EVENT_BUS_NAME": BUS, "PAYMENT_SERVICE": "stub"},
        timeout_seconds=50,
        triggers=(QueueTrigger(queue="RequestsQueue", batch_size=1),),
    )
    system = System(moto_stack)
    bought_at = format_instant(TODAY - timedelta(hours=1))
    for body in (
        sample("credits-configured"),
        sample("credit-purchased", purchasedAt=bought_at),
        sample("credit-adjusted", amount="-220"),
    ):
        system.send("CreditQueue", json.dumps({**json.loads(body), "time": bought_at}))
    return Payments(system, LoadedFunction(function), queue_url, monkeypatch)


def subscribe(stack: Stack, *, raw: bool) -> str:
    """Subscribe a queue as the example's template does."""
    template = load_template(Path(__file__).parents[2] / "examples" / "payments" / "template.yaml")
    subscription = template["Resources"]["RequestsSubscription"]["Properties"]
    url: str = boto3.client("sqs").create_queue(QueueName="requests")["QueueUrl"]
    boto3.client("sns").subscribe(
        TopicArn=stack.setting("NOTIFICATION_TOPIC_ARN"),
        Protocol=subscription["Protocol"],
        Endpoint=ARN,
        Attributes={
            "RawMessageDelivery": json.dumps(raw),
            "FilterPolicy": json.dumps(subscription["FilterPolicy"]),
        },
    )
    return url


def route_billing(stack: Stack) -> None:
    """Moto cannot make the rules of the template, but it has some."""
    events = boto3.client("events")
    pattern = json.dumps({"source": ["perminute.billing"]})
    events.put_rule(Name="billing", EventBusName=BUS, EventPattern=pattern)
    queue = stack.queues["CreditQueue"].arn
    target: TargetTypeDef = {"Id": "CreditQueue", "Arn": queue}
    events.put_targets(Rule="billing", EventBusName=BUS, Targets=[target])


def test_a_recharge_is_paid_and_booked(payments: Payments) -> None:
    service = payments.service()
    requests = payments.requests()
    recharge_id = payments.recharge_id()
    assert payments.deliver(*requests) == []
    assert payments.reported() == [
        {
            "Credit Purchased": {
                "organizationId": ORGANIZATION,
                "purchaseId": service.payments[recharge_id].payment_id,
                "rechargeId": recharge_id,
                "amount": "200",
                "currency": "USD",
                "purchasedAt": BOOKED.isoformat(),
            }
        }
    ]
    assert payments.balance() == "230"
    assert [one["rechargeId"] for one in payments.told("RechargeSucceeded")] == [recharge_id]


def test_a_request_that_is_delivered_again_buys_nothing_more(payments: Payments) -> None:
    service = payments.service()
    (request,) = payments.requests()
    assert payments.deliver(request, request) == []
    assert len(payments.reported()) == 2
    # A day later, as another attempt: it is a notification of its own under the same recharge id.
    (asked,) = payments.told("RechargeRequested")
    service.forget_keys()
    attempt = json.dumps({**asked, "id": "another", "attempt": 2})
    assert payments.deliver(attempt) == []
    assert len(payments.reported()) == 1
    assert len(service.accepted) == 1
    assert payments.purchases() == ["250", "200"]
    assert payments.balance() == "230"


def test_a_time_out_after_the_payment_reports_no_failure_and_pays_no_second_time(
    payments: Payments,
) -> None:
    service = payments.service(Behavior.FAIL_AFTER_PAYING)
    requests = payments.requests()
    again = payments.deliver(*requests)
    assert again == requests
    assert payments.reported() == []
    assert payments.deliver(*again) == []
    assert [list(one) for one in payments.reported()] == [["Credit Purchased"]]
    assert len(service.accepted) == 1
    assert payments.purchases() == ["250", "200"]


def test_a_time_out_before_the_payment_is_paid_by_the_next_delivery(payments: Payments) -> None:
    payments.service(Behavior.FAIL_BEFORE_PAYING)
    again = payments.deliver(*payments.requests())
    assert payments.reported() == []
    assert payments.deliver(*again) == []
    assert [list(one) for one in payments.reported()] == [["Credit Purchased"]]
    assert payments.balance() == "230"


def test_a_payment_that_settles_late_is_reported_when_it_has(payments: Payments) -> None:
    service = payments.service(Behavior.SETTLE_LATER)
    requests = payments.requests()
    assert payments.deliver(*requests) == requests
    assert payments.deliver(*requests) == requests
    assert payments.reported() == []
    service.settle(payments.recharge_id())
    assert payments.deliver(*requests) == []
    assert [list(one) for one in payments.reported()] == [["Credit Purchased"]]
    assert payments.balance() == "230"


def test_a_payment_that_is_declined_late_is_reported_when_it_is(payments: Payments) -> None:
    service = payments.service(Behavior.SETTLE_LATER)
    requests = payments.requests()
    assert payments.deliver(*requests) == requests
    service.decline(payments.recharge_id())
    assert payments.deliver(*requests) == []
    assert [list(one) for one in payments.reported()] == [["Recharge Failed"]]


def test_a_decline_is_reported_with_its_reason_and_asks_under_a_new_id(payments: Payments) -> None:
    payments.service(Behavior.DECLINE)
    requests = payments.requests()
    recharge_id = payments.recharge_id()
    assert payments.deliver(*requests) == []
    # Delivered once more it is reported once more, in the same words: that is no conflict.
    assert payments.deliver(*requests) == []
    failed = {
        "organizationId": ORGANIZATION,
        "rechargeId": recharge_id,
        "reason": "the card was declined",
    }
    assert payments.reported() == [{"Recharge Failed": failed}] * 2
    assert [one["reason"] for one in payments.told("RechargeFailed")] == ["the card was declined"]
    assert payments.document()["rejected"] == []
    asked = {one["rechargeId"] for one in payments.told("RechargeRequested")}
    assert len(asked) == 2
    assert payments.deliver(*payments.requests()) == []
    payments.reported()
    assert payments.balance() == "230"


def test_what_the_bus_does_not_take_comes_again(
    payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = payments.service()
    requests = payments.requests()
    with monkeypatch.context() as broken:
        broken.setattr("pay_recharges.handler.event_bus", EventBus(FullBus(), BUS))
        assert payments.deliver(*requests) == requests
    assert payments.deliver(*requests) == []
    assert [list(one) for one in payments.reported()] == [["Credit Purchased"]]
    assert len(service.accepted) == 1


class FullBus:
    """EventBridge answers 200, and says in the answer that it took nothing."""

    def put_events(self, **_: Any) -> Any:
        entry = {"ErrorCode": "ThrottlingException", "ErrorMessage": "try again"}
        return {"FailedEntryCount": 1, "Entries": [entry]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("not JSON", "it cannot be read"),
        ("[]", "it cannot be read"),
        ('{"type": "LowBalance"}', "is of type LowBalance: check the subscription's filter policy"),
        ('{"type": "RechargeRequested"}', "rechargeId is missing"),
    ],
)
def test_what_is_no_request_is_kept_and_its_neighbor_is_paid(
    payments: Payments, body: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    payments.service()
    assert payments.deliver(body, *payments.requests()) == [body]
    assert why in caplog.text
    payments.reported()
    assert payments.balance() == "230"
