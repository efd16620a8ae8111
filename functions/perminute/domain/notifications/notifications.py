"""What an organization's admins are notified of, by kind.

The names of the kinds and of their fields, in camelCase, are those of the published documents
(docs/notifications.md). `notification_rules` says when admins are notified.
"""

from __future__ import annotations

import json
import uuid
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from perminute.domain.comparison.difference_kinds import DifferenceKind
    from perminute.domain.credit.recharge import Disabled
    from perminute.domain.forecast.figures import Band, Confidence, RunsOut
    from perminute.domain.licensing.licensing import NotEntitled
    from perminute.domain.limits.spending import LimitName
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import Unpriced
    from perminute.domain.rating.usage_record import Flag

_NAMES = uuid.UUID("0f8c2f9e-54f6-5d0a-8a57-9c1d3c7b5e42")
"""The namespace of notification ids: any constant would do, but it must never change."""


class LowBalance(NamedTuple):
    """The balance fell below a threshold."""

    threshold_micros: int
    balance_micros: int
    currency: str | None
    recharge_id: str | None = None  # of the recharge that is requested and not answered


class BalanceExhausted(NamedTuple):
    """The balance fell to zero or below: calls that need credit are refused."""

    balance_micros: int
    currency: str | None
    recharge_id: str | None = None  # of the recharge that is requested and not answered


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
    after_failure: bool | None = None  # it was reported as failed before


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
    late_usage_until: datetime  # until then the lot pays calls that ended before it expired
    balance_micros: int
    currency: str | None


class _AboutCalls(NamedTuple):
    """One call, or in a digest several calls of one organizer for one reason."""

    call_id: str | None  # None in a digest, as are leg type, number and time
    organizer_id: str
    reason: NotEntitled | Unpriced | Flag
    leg_type: LegType | None = None
    number: str | None = None  # it sets the price; its last four digits are masked
    answered_at: datetime | None = None
    # By the rate card, paid or not; None if it has no price in the currency of the credit.
    retail_cost_micros: int | None = None
    currency: str | None = None
    calls: int | None = None  # how many, in a digest
    call_ids: tuple[str, ...] | None = None  # the first of them
    day: str | None = None  # their UTC day
    # The only currency in which the rate card has a price, if that is not the credit's.
    rate_currency: str | None = None


class CallNotEntitled(_AboutCalls):
    """A call took place that the organizer's licenses do not cover; nobody paid for it."""


class CallNotRated(_AboutCalls):
    """A call took place that the rate card has no price for; it was free of charge."""


class CallFlagged(_AboutCalls):
    """A call took place that its organizer's policies do not allow, or without a Call Ended."""


class MinutePoolThreshold(NamedTuple):
    """A percentage of a month's pool minutes has been used."""

    percent: int
    minutes: int
    used: int
    month: str


class SpendLimitReached(NamedTuple):
    """A limit that admins have set is reached: calls that would exceed it are refused."""

    limit: LimitName
    period: str | None = None  # the day or the month that the amount is for
    user_id: str | None = None  # if the limit is that of one user
    calls: int | None = None  # how many concurrent calls there are; their limit has no amount
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


class DifferingCalls(NamedTuple):
    """In how many calls records differ in one way, and what we have more of; negative: less."""

    kind: DifferenceKind
    calls: int
    seconds: int
    cost_micros: int


class RecordsDiffer(NamedTuple):
    """An operator's records of the calls that ended on a day differ from those we have charged."""

    source: str
    day: str  # UTC
    kinds: tuple[DifferingCalls, ...]  # those of which there is a call
    currency: str | None  # of the costs; those in another one are not added up


class RunOutForecast(NamedTuple):
    """The credit is expected to run out within days."""

    runs_out: RunsOut
    balance_micros: int
    currency: str | None
    confidence: Confidence


class MonthCostForecast(NamedTuple):
    """The calls of a month are expected to cost more than its budget."""

    period: str  # the UTC month
    month: Band
    monthly_budget_micros: int
    spent_micros: int  # of it, until now
    currency: str | None
    confidence: Confidence


class StatementReady(NamedTuple):
    """The statement of a month is there, as files."""

    month: str  # UTC
    charge_micros: int  # what the calls cost that ended in it
    closing_micros: int  # the balance after it
    stated_at: datetime  # what is received by then may still change it
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
    | RecordsDiffer
    | RunOutForecast
    | MonthCostForecast
    | StatementReady
)


class Notification(NamedTuple):
    """One notification for the admins of an organization."""

    id: str  # the same for every copy
    organization_id: str
    at: datetime
    body: NotificationBody
    # The UTC day of a call, which is published only if it is the first of its group on that day,
    # and else counted by a digest (`digests`). None: it is published in any case.
    counted_on: date | None = None

    @property
    def type(self) -> str:
        """The kind of notification, by its published name."""
        return type(self.body).__name__

    @property
    def call_id(self) -> str | None:
        """The call that it is about; None if it is about none, or about several."""
        return self.body.call_id if isinstance(self.body, CallNotification) else None


def notification(
    body: NotificationBody,
    *,
    organization_id: str,
    at: datetime,
    cause: str | int,
    counted_on: date | None = None,
) -> Notification:
    """Return a notification with an id that is the same if it is decided again.

    `cause` distinguishes it from others of its type: an entry, a recharge, a lot, a call.
    """
    name = "\n".join([organization_id, type(body).__name__, str(cause)])
    return Notification(str(uuid.uuid5(_NAMES, name)), organization_id, at, body, counted_on)


MAX_BYTES_PER_RECORD = 380_000
"""Of the notifications of one outbox record: of the 409,600 bytes of an item, the ids of the
events behind it take 26,000 at most."""

MAX_CALLS_PER_RECORD = 90
"""Calls of one record that a digest may count: one transaction counts all, each in its group."""

_FIELDS_BYTES = 1_200
"""The most that field names, id, `correlationId` and instants of a notification take as JSON."""


def in_records(notifications: Sequence[Notification]) -> list[tuple[Notification, ...]]:
    """Divide the notifications of one transaction into records that are sure to fit an item.

    Usually some 250 fit one record, with the longest names 75. Calls that a digest may count are in
    records of one day.
    """
    records: list[list[Notification]] = []
    left = 0
    # Sorting is stable: notifications of one day stay in their order.
    for added in sorted(notifications, key=lambda known: known.counted_on or date.min):
        size = bytes_at_most(added)
        if not records or size > left or not _belongs_to(records[-1], added):
            records.append([])
            left = MAX_BYTES_PER_RECORD
        records[-1].append(added)
        left -= size
    return [tuple(record) for record in records]


def _belongs_to(record: Sequence[Notification], added: Notification) -> bool:
    if record[0].counted_on != added.counted_on:
        return False
    return added.counted_on is None or len(record) < MAX_CALLS_PER_RECORD


def bytes_at_most(notification: Notification) -> int:
    """Return how many bytes a notification takes in the outbox at most; in UTF-8, as JSON."""
    values = [notification.organization_id, *notification.body]
    return _FIELDS_BYTES + len(json.dumps(values, ensure_ascii=False, default=str).encode())
