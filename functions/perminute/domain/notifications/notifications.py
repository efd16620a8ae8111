"""What an organization's admins are told, and when a balance's fall is worth telling.

A notification is decided where the balance moves, from its value before and after a booking, and is
written in the same transaction. So each crossing is told once, and told again only after the
balance was back on the other side; nothing has to remember what was told.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, fields
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from perminute.domain.credit.ledger import LedgerEntry
    from perminute.domain.credit.recharge import Disabled
    from perminute.domain.licensing.licensing import NotEntitled
    from perminute.domain.limits.spending import LimitName
    from perminute.domain.rating.calls import LegType
    from perminute.domain.rating.rate_card import Unpriced
    from perminute.domain.rating.usage import Flag

_NAMES = uuid.UUID("0f8c2f9e-54f6-5d0a-8a57-9c1d3c7b5e42")
"""The namespace of our notification ids: any constant would do, but it must never change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LowBalance:
    """The balance was at or above a threshold and is now below."""

    threshold_micros: int
    balance_micros: int
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceExhausted:
    """The balance was above zero and no longer is: what needs credit stops."""

    balance_micros: int
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeRequested:
    """Somebody is to buy this credit, once, and report it under this id; `attempt` is from 1."""

    recharge_id: str
    amount_micros: int
    balance_micros: int
    currency: str | None
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeSucceeded:
    """The credit of a recharge has arrived; `after_failure`, though it was reported as failed."""

    recharge_id: str
    amount_micros: int
    balance_micros: int
    currency: str | None
    after_failure: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeFailed:
    """The credit of a recharge could not be bought; `never_requested`, one that is not ours."""

    recharge_id: str
    reason: str
    balance_micros: int
    currency: str | None
    never_requested: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RechargeDisabled:
    """Nothing more is asked for, although the balance is below the trigger."""

    reason: Disabled
    balance_micros: int
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditExpiring:
    """A lot with something left expires soon."""

    purchase_id: str
    remaining_micros: int
    expires_at: datetime
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditExpired:
    """A lot expired with something left, which is forfeited.

    Until `late_usage_until` it still pays calls that ended before it expired.
    """

    purchase_id: str
    amount_micros: int
    expires_at: datetime
    late_usage_until: datetime
    balance_micros: int
    currency: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutCalls:
    """What each kind carries that is about a call, or, in a digest, about several of one organizer.

    A digest has no `call_id`; it counts its `calls`, names the first of them (`call_ids`), and adds
    up what they cost. `leg_type`, `number` and `answered_at` are those of a single call.
    """

    call_id: str | None
    organizer_id: str
    leg_type: LegType | None = None
    number: str | None = None
    """The number that sets the price, its last four digits masked; None if it is withheld."""
    answered_at: datetime | None = None
    retail_cost_micros: int | None = None
    """What the rate card says, whoever pays; None if it has no price in the credit's currency."""
    currency: str | None = None
    calls: int | None = None
    call_ids: tuple[str, ...] | None = None
    day: str | None = None
    """The UTC day of the calls of a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNotEntitled(_AboutCalls):
    """A call took place that the organizer's licenses do not cover; nobody paid for it."""

    reason: NotEntitled


@dataclass(frozen=True, slots=True, kw_only=True)
class CallNotRated(_AboutCalls):
    """A call took place that the rate card has no price for; it was given free.

    `rate_currency` is set if the rate card has a rate, but in another currency than the credit's.
    """

    reason: Unpriced
    rate_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFlagged(_AboutCalls):
    """A call took place that its organizer's policies do not allow, or that nobody ended."""

    reason: Flag


@dataclass(frozen=True, slots=True, kw_only=True)
class MinutePoolThreshold:
    """So much of the minutes that subscriptions bring for a month has been used."""

    percent: int
    minutes: int
    used: int
    month: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimitReached:
    """A limit that admins have set is reached: calls that would pass it are refused.

    `period` is the day or the month that the amount is for, and `user_id` whose it is if it is not
    everybody's. Of calls at once, `calls` says how many there are; they have no amount.
    """

    limit: LimitName
    period: str | None = None
    user_id: str | None = None
    calls: int | None = None
    amount_micros: int | None = None
    spent_micros: int | None = None
    reserved_micros: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudSuspected:
    """Calls out to one prefix reach what admins allow for an hour: more is refused."""

    prefix: str
    since: datetime
    amount_micros: int
    spent_micros: int
    reserved_micros: int
    currency: str | None


CallNotification = CallNotEntitled | CallNotRated | CallFlagged
"""What is about a call, or in a digest about several."""

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
    """One piece of news for the admins of an organization; `id` is the same for every copy."""

    id: str
    organization_id: str
    at: datetime
    news: NotificationBody
    counted_on: date | None = None
    """The UTC day of a call that is published only if it is the first of that day in its group, and
    that a digest counts if it is not: see `digests`. None: it is published in any case."""

    @property
    def type(self) -> str:
        """The kind of news, by the name that it is published under."""
        return type(self.news).__name__

    @property
    def call_id(self) -> str | None:
        """The one call that it is about; None if it is about none, or about several."""
        return self.news.call_id if isinstance(self.news, CallNotification) else None


def notification(
    news: NotificationBody,
    *,
    organization_id: str,
    at: datetime,
    cause: str | int,
    counted_on: date | None = None,
) -> Notification:
    """Name the news by what it is about: deciding it again gives the same id.

    `cause` tells it from other news of its type: an entry, a recharge, a lot, a call.
    """
    name = "\n".join([organization_id, type(news).__name__, str(cause)])
    return Notification(str(uuid.uuid5(_NAMES, name)), organization_id, at, news, counted_on)


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
    """Divide the notifications of one transaction into as few records as are sure to be taken.

    With names like real ones some 250 fit one record, with the longest that are allowed 75. How
    many there are must be known before they are written out, since each is an item of the
    transaction's transaction. A record of calls that a digest may count is of one day.
    """
    divided: list[list[Notification]] = []
    left = 0
    # Sorting is stable: what belongs together stays in its order.
    for one in sorted(notifications, key=lambda some: some.counted_on or date.min):
        size = bytes_at_most(one)
        if not divided or size > left or not _belongs_to(divided[-1], one):
            divided.append([])
            left = MAX_BYTES_PER_RECORD
        divided[-1].append(one)
        left -= size
    return [tuple(some) for some in divided]


def _belongs_to(record: Sequence[Notification], one: Notification) -> bool:
    if record[0].counted_on != one.counted_on:
        return False
    return one.counted_on is None or len(record) < MAX_CALLS_PER_RECORD


def bytes_at_most(one: Notification) -> int:
    """Count how many bytes a notification takes in the outbox at most; in UTF-8, as JSON."""
    values = [one.organization_id, *(getattr(one.news, field.name) for field in fields(one.news))]
    return _FIELDS_BYTES + len(json.dumps(values, ensure_ascii=False, default=str).encode())


class BalanceNow(NamedTuple):
    """A balance of an organization at an instant, in micro-units, and the entry that made it so."""

    organization_id: str
    micros: int
    at: datetime
    entry_id: str


def crossings(
    entries: Sequence[LedgerEntry],
    before_micros: int,
    thresholds_micros: Sequence[int],
    currency: str | None,
    stands: BalanceNow | None = None,
) -> Iterator[Notification]:
    """Decide every threshold that the entries of one booking together take the balance below.

    The highest comes first. A threshold that one entry passes and another one of the same booking
    takes back was never passed. Each notification states the instant and the balance of the last
    entry that passed its threshold, so what happened long ago keeps its time. Where bookings have
    waited to be decided together, `stands` is how they leave the balance, which is stated then.
    """
    after = stands or (_after(entries[-1]) if entries else None)
    if after is None:
        return
    tell = partial(notification, organization_id=after.organization_id)
    for threshold_micros in sorted(set(thresholds_micros), reverse=True):
        if after.micros < threshold_micros <= before_micros:
            passed = stands or _last_below(entries, threshold_micros)
            low = LowBalance(
                threshold_micros=threshold_micros,
                balance_micros=passed.micros,
                currency=currency,
            )
            yield tell(low, at=passed.at, cause=f"{passed.entry_id}/{threshold_micros}")
    if after.micros <= 0 < before_micros:
        # Micro-units are whole: no longer above zero is below one of them.
        passed = stands or _last_below(entries, 1)
        exhausted = BalanceExhausted(balance_micros=passed.micros, currency=currency)
        yield tell(exhausted, at=passed.at, cause=passed.entry_id)


def _last_below(entries: Sequence[LedgerEntry], threshold_micros: int) -> BalanceNow:
    """Return what the last entry made that took the balance below a threshold."""
    passing = (
        entry
        for entry in reversed(entries)
        if entry.balance_after_micros
        < threshold_micros
        <= entry.balance_after_micros - entry.amount_micros
    )
    return _after(next(passing, entries[-1]))


def _after(entry: LedgerEntry) -> BalanceNow:
    return BalanceNow(entry.organization_id, entry.balance_after_micros, entry.at, entry.entry_id)
