"""What this function needs of a payment service; replace `stub.py` by an adapter for yours."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal


class OutcomeUnknown(Exception):  # noqa: N818 - it is not known whether anything failed
    """The money may or may not have been taken: it must be asked again, and never be guessed."""


class Status(StrEnum):
    """What has become of a payment."""

    PAID = "paid"
    DECLINED = "declined"
    """For good: this payment will never be made."""
    PENDING = "pending"
    """Accepted, but not booked yet: a bank transfer, or a card that its owner must confirm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be paid. The payment service must never pay two orders of the same `key`."""

    key: str
    organization_id: str
    """Whose means of payment is used. Your adapter knows the customer who belongs to it."""
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as the payment service has recorded it."""

    payment_id: str
    status: Status
    amount: Decimal
    """What was taken: it counts, and not what was requested."""
    currency: str
    booked_at: datetime | None = None
    """When it was paid, by the clock of the payment service, in UTC."""
    decline_reason: str = ""
    """Sent to the organization's admins."""


class PaymentService(Protocol):
    """A payment service. Both methods raise `OutcomeUnknown` if it does not answer in time."""

    def find(self, key: str) -> Payment | None:
        """Return the payment of this key; None if the service has recorded none.

        Many payment services forget an idempotency key after a day, and perminute requests an
        unanswered recharge again after 24 hours. So an adapter also stores the key with the
        payment itself, as metadata or as the order number, and looks it up there.
        """
        ...

    def pay(self, order: Order) -> Payment:
        """Pay an order, with its key as idempotency key.

        Returns the payment that exists already if the key was used before.
        """
        ...
