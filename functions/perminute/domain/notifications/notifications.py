"""What an organization's admins are notified of, by kind.

The names of the kinds and of their fields, in camelCase, are those of the published documents
(docs/notifications.md). `notification_rules` says when admins are notified.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.credit.recharge import Disabled
    from perminute.domain.licensing.licensing import NotEntitled
    from perminute.domain.limits.spending import LimitName
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import Unpriced
    from perminute.domain.rating.usage_record import Flag

_NAMES = uuid.UUID("0f8c2f9e-54f6-5d0a-8a57-9c1d3c7b5e42")
"""The namespace of our notification ids: any constant would do, but it must never change."""


class LowBalance(NamedTuple):
    """The balance was at or above a threshold and is now below."""

    threshold_micros: int
    balance_micros: int
    currency: str | None


class BalanceExhausted(NamedTuple):
    """The balance was above zero and no longer is: calls that need credit are refused."""

    balance_micros: int
    currency: str | None


class RechargeRequested(NamedTuple):
    """The billing system is asked to buy this credit, once, and to report it under this id."""

    recharge_id: str
    amount_micros: int
    balance_micros: int
    currency: str | None
    attempt: int = 1


class RechargeSucceeded(NamedTuple):
    """The credit of a recharge has arrived."""

    recharge_id: str
    amount_micros: int
    balance_micros: int
    currency: str | None
    # Whether it was reported as failed before.
    after_failure: bool | None = None


class RechargeFailed(NamedTuple):
    """The credit of a recharge could not be bought."""

    recharge_id: str
    reason: str
    balance_micros: int
    currency: str | None
    never_requested: bool | None = None


class RechargeDisabled(NamedTuple):
    """No credit is requested any more, although the balance is below the trigger."""

    reason: Disabled
    balance_micros: int
    currency: str | None


class CreditExpiring(NamedTuple):
    """A lot with something left expires soon."""

    purchase_id: str
    remaining_micros: int
    expires_at: datetime
    currency: str | None


class CreditExpired(NamedTuple):
    """A lot expired with something left, which is forfeited."""

    purchase_id: str
    amount_micros: int
    expires_at: datetime
    # Until then the lot still pays calls that ended before it expired.
    late_usage_until: datetime
    balance_micros: int
    currency: str | None


class _AboutCalls(NamedTuple):
    """One call, or in a digest several calls of one organizer for one reason."""

    # None in a digest.
    call_id: str | None
    organizer_id: str
    reason: NotEntitled | Unpriced | Flag
    # Of a single call; the number sets the price, and its last four digits are masked.
    leg_type: LegType | None = None
    number: str | None = None
    answered_at: datetime | None = None
    # By the rate card, whoever pays; None if it has no price in the currency of the credit.
    retail_cost_micros: int | None = None
    currency: str | None = None
    # Of a digest: how many calls, the first of them, and their UTC day.
    calls: int | None = None
    call_ids: tuple[str, ...] | None = None
    day: str | None = None
    # The only currency in which the rate card has a price, if that is not the credit's.
    rate_currency: str | None = None


class CallNotEntitled(_AboutCalls):
    """A call took place that the organizer's licenses do not cover; nobody paid for it."""


class CallNotRated(_AboutCalls):
    """A call took place that the rate card has no price for; it was free of charge."""


class CallFlagged(_AboutCalls):
    """A call took place that its organizer's policies do not allow, or without a Call Ended."""


class MinutePoolThreshold(NamedTuple):
    """So many percent of a month's pool minutes have been used."""

    percent: int
    minutes: int
    used: int
    month: str


class SpendLimitReached(NamedTuple):
    """A limit that admins have set is reached: calls that would exceed it are refused."""

    limit: LimitName
    # The day or the month that the amount is for.
    period: str | None = None
    # Set if the limit is that of one user.
    user_id: str | None = None
    # How many concurrent calls there are; their limit has no amount.
    calls: int | None = None
    amount_micros: int | None = None
    spent_micros: int | None = None
    reserved_micros: int | None = None
    currency: str | None = None


class FraudSuspected(NamedTuple):
    """Calls out to one prefix reached what admins allow for an hour: further ones are refused."""

    prefix: str
    since: datetime
    amount_micros: int
    spent_micros: int
    reserved_micros: int
    currency: str | None


CallNotification = CallNotEntitled | CallNotRated | CallFlagged

NotificationBody = (
    LowBalance
    | BalanceExhausted
    | RechargeRequested
    | RechargeSucceeded
    | RechargeFailed
    | RechargeDisabled
    | CreditExpiring
    | CreditExpired
    | CallNotification
    | MinutePoolThreshold
    | SpendLimitReached
    | FraudSuspected
)


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification for the admins of an organization."""

    # The same for every copy.
    id: str
    organization_id: str
    at: datetime
    body: NotificationBody
    # The UTC day of a call that is published only if it is the first of that day in its group, and
    # that a digest counts if it is not: see `digests`. None: it is published in any case.
    counted_on: date | None = None

    @property
    def type(self) -> str:
        """The kind of notification, by the name that it is published under."""
        return type(self.body).__name__

    @property
    def call_id(self) -> str | None:
        """The one call that it is about; None if it is about none, or about several."""
        return self.body.call_id if isinstance(self.body, CallNotification) else None


def notification(
    body: NotificationBody,
    *,
    organization_id: str,
    at: datetime,
    cause: str | int,
    counted_on: date | None = None,
) -> Notification:
    """Name a notification by what it is about: deciding it again gives the same id.

    `cause` distinguishes it from others of its type: an entry, a recharge, a lot, a call.
    """
    name = "\n".join([organization_id, type(body).__name__, str(cause)])
    return Notification(str(uuid.uuid5(_NAMES, name)), organization_id, at, body, counted_on)


MAX_BYTES_PER_RECORD = 380_000
"""What the notifications of one outbox record may take: an item may have 409,600 bytes, and the ids
of the events that it was written for take 26,000 of them at most."""

MAX_CALLS_PER_RECORD = 90
"""Calls of one record that a digest may count: each may be of a group of its own, and all are
counted in one transaction."""

_FIELDS_BYTES = 1_200
"""What the names of the fields, the id, the `correlationId` and the instants of a notification take
at most, as JSON."""


def in_records(notifications: Sequence[Notification]) -> list[tuple[Notification, ...]]:
    """Divide the notifications of one transaction into as few outbox records as are sure to fit.

    With names like real ones some 250 fit one record, with the longest that are allowed 75. How
    many there are must be known before they are written out, since each is an item of the
    transaction. A record of calls that a digest may count is of one day.
    """
    records: list[list[Notification]] = []
    left = 0
    # Sorting is stable: notifications of one day stay in their order.
    for each in sorted(notifications, key=lambda each: each.counted_on or date.min):
        size = bytes_at_most(each)
        if not records or size > left or not _belongs_to(records[-1], each):
            records.append([])
            left = MAX_BYTES_PER_RECORD
        records[-1].append(each)
        left -= size
    return [tuple(record) for record in records]


def _belongs_to(record: Sequence[Notification], added: Notification) -> bool:
    if record[0].counted_on != added.counted_on:
        return False
    return added.counted_on is None or len(record) < MAX_CALLS_PER_RECORD


def bytes_at_most(notification: Notification) -> int:
    """Count how many bytes a notification takes in the outbox at most; in UTF-8, as JSON."""
    values = [notification.organization_id, *notification.body]
    return _FIELDS_BYTES + len(json.dumps(values, ensure_ascii=False, default=str).encode())
