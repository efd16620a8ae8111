"""A payment service that takes no money, for tests and a first deployment.

It behaves as a real one does when things go wrong: it declines, settles later, fails to answer,
before or after it has taken the money, and forgets idempotency keys after a while.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

from pay_recharges.payments import OutcomeUnknown, Payment, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pay_recharges.payments import Order

_NAMES = uuid.UUID("0b0c7a52-3a3c-5f0e-8f4e-2f5b7d1c9e64")
"""Any constant would do: payment ids are derived from it and the key, so they survive a restart."""


class Behavior(Enum):
    """What the stub does with an order."""

    PAY = auto()
    DECLINE = auto()
    SETTLE_LATER = auto()
    FAIL_BEFORE_PAYING = auto()
    """No answer, and no payment."""
    FAIL_AFTER_PAYING = auto()
    """No answer, although the money was taken."""


class StubPaymentService:
    """`PaymentService` in memory."""

    def __init__(
        self,
        behaviors: Iterable[Behavior] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Treat the first orders by these behaviors, one each, and pay all others."""
        self._behaviors = iter(behaviors)
        self._clock = clock
        self.payments: dict[str, Payment] = {}
        """The last payment of each key: a real service would store the key as metadata."""
        self.accepted: list[Order] = []
        """Every order that a payment was made for."""
        self._remembered: set[str] = set()

    def find(self, key: str) -> Payment | None:
        """Return what was recorded under the key."""
        return self.payments.get(key)

    def pay(self, order: Order) -> Payment:
        """Treat an order by the next behavior; one whose key is known is not paid again."""
        if order.key in self._remembered:
            return self.payments[order.key]
        behavior = next(self._behaviors, Behavior.PAY)
        if behavior is Behavior.FAIL_BEFORE_PAYING:
            raise OutcomeUnknown(order.key)
        self._remembered.add(order.key)
        self.accepted.append(order)
        self.payments[order.key] = Payment(
            payment_id=f"stub-{uuid.uuid5(_NAMES, order.key)}",
            status=Status.PENDING,
            amount=order.amount,
            currency=order.currency,
        )
        if behavior is Behavior.DECLINE:
            self.decline(order.key)
        elif behavior is not Behavior.SETTLE_LATER:
            self.settle(order.key)
        if behavior is Behavior.FAIL_AFTER_PAYING:
            raise OutcomeUnknown(order.key)
        return self.payments[order.key]

    def settle(self, key: str) -> None:
        """Book a payment now."""
        payment = self.payments[key]
        self.payments[key] = replace(payment, status=Status.PAID, booked_at=self._clock())

    def decline(self, key: str) -> None:
        """Decline a payment for good."""
        payment = self.payments[key]
        self.payments[key] = replace(
            payment, status=Status.DECLINED, decline_reason="the card was declined"
        )

    def forget_keys(self) -> None:
        """Accept used keys as new ones, as payment services do after a day or so."""
        self._remembered.clear()
