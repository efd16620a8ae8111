"""The Lambda function: requests from SQS in, outcomes on the event bus out (template.yaml)."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from pay_recharges.event_bus import EventBus
from pay_recharges.recharges import pay_once, read_order
from pay_recharges.stub import StubPaymentService

if TYPE_CHECKING:
    from pay_recharges.payments import PaymentService

logger = logging.getLogger(__name__)
# Lambda's own log handler writes JSON by the template's LoggingConfig.
logger.setLevel(logging.INFO)


def _payment_service(name: str) -> PaymentService:
    """Return the payment service that the template names: put yours here."""
    if name == "stub":
        return StubPaymentService()
    msg = f"PAYMENT_SERVICE is {name!r}; this example brings only 'stub', which takes no money"
    raise ValueError(msg)


payment_service = _payment_service(os.environ["PAYMENT_SERVICE"])
# A request that hangs must end well before the function does (template.yaml: Timeout).
event_bus = EventBus(
    boto3.client("events", config=Config(connect_timeout=2, read_timeout=5)),
    os.environ["EVENT_BUS_NAME"],
)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's
    """Settle a batch. Returns the messages that SQS is to deliver again."""
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            order = read_order(record["body"])
            outcome = pay_once(order, payment_service)
            event_bus.report(outcome)
            logger.info("%s reported for recharge %s", outcome.detail_type, order.key)
        # Whatever went wrong, this message comes again, and the others of its batch do not suffer.
        # After its last delivery SQS moves it to the dead-letter queue, which has an alarm.
        except Exception:
            logger.exception("message %s is not settled", record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}
