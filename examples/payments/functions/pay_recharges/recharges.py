"""From a `RechargeRequested` notification to the event that reports its outcome.

The rule that all of this follows: an outcome is reported only when the payment service has
confirmed it. `Recharge Failed` makes perminute request the next recharge under a new id, so a
payment that is reported as failed and was made all the same would be made twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from pay_recharges.payments import Order, OutcomeUnknown, Payment, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pay_recharges.payments import PaymentService

REQUESTED = "RechargeRequested"

MAX_REASON_LENGTH = 1024
"""What perminute takes as the reason of a `Recharge Failed`."""


class NotARequest(ValueError):  # noqa: N818 - what the message is not
    """The message is no `RechargeRequested` of perminute."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An event for perminute's event bus. The same payment always gives the same one."""

    detail_type: str
    detail: Mapping[str, str]


def read_order(body: str) -> Order:
    """Read the request from the body of an SQS message, whether SNS delivered it raw or wrapped.

    Raises `NotARequest`, which names what is missing.
    """
    try:
        notification = _notification(json.loads(body))
        if notification["type"] != REQUESTED:
            msg = f"is of type {notification['type']}: check the subscription's filter policy"
            raise NotARequest(msg)
        # The recharge id is the same however often the recharge is requested: each attempt is a
        # notification with an id of its own, which is no key to pay by.
        return Order(
            key=notification["rechargeId"],
            organization_id=notification["organizationId"],
            amount=Decimal(notification["amount"]),
            currency=notification["currency"],
        )
    except KeyError as error:
        msg = f"{error.args[0]} is missing"
        raise NotARequest(msg) from error
    except (AttributeError, TypeError, InvalidOperation, json.JSONDecodeError) as error:
        msg = f"it cannot be read: {error!r}"
        raise NotARequest(msg) from error


def _notification(document: dict[str, Any]) -> dict[str, Any]:
    """Take the notification out of the envelope that SNS puts around it, if there is one."""
    wrapped = document.get("Type") == "Notification"
    notification: dict[str, Any] = json.loads(document["Message"]) if wrapped else document
    return notification


def pay_once(order: Order, service: PaymentService) -> Outcome:
    """Pay an order unless that was done before, and return what to report to perminute.

    Raises `OutcomeUnknown` while the payment service has no outcome: SQS delivers the request
    again, and perminute repeats it every day until an outcome is reported.
    """
    payment = service.find(order.key) or service.pay(order)
    match payment:
        case Payment(status=Status.PAID, booked_at=booked_at) if booked_at is not None:
            return Outcome(
                "Credit Purchased",
                {
                    "organizationId": order.organization_id,
                    "purchaseId": payment.payment_id,
                    "rechargeId": order.key,
                    "amount": f"{payment.amount:f}",
                    "currency": payment.currency,
                    "purchasedAt": booked_at.isoformat(),
                },
            )
        case Payment(status=Status.DECLINED):
            reason = payment.decline_reason or "the payment was declined"
            return Outcome(
                "Recharge Failed",
                {
                    "organizationId": order.organization_id,
                    "rechargeId": order.key,
                    "reason": reason[:MAX_REASON_LENGTH],
                },
            )
        case _:
            msg = f"payment {payment.payment_id} is {payment.status}, and not booked"
            raise OutcomeUnknown(msg)
