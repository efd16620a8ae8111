"""One notification for many calls: the first call of a day is notified of at once, the others once.

Calls of one organizer that are notified of for the same reason on the same UTC day form a group.
The first of them is a notification of its own, and the others together are one more, their digest,
which the daily run sends when the day is over. What a digest says is counted from what is stored
of its calls then: a call that has become something else meanwhile is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.booking import notifications_of_call
from perminute.domain.notifications.notification_rules import cause_of
from perminute.domain.notifications.notifications import (
    CallNotification,
    CallNotRated,
    Notification,
    notification,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from perminute.domain.rating.usage import Usage

MAX_CALLS_NAMED = 10
"""Calls that a digest names: the first of them to be answered."""


class CallGroup(NamedTuple):
    """Which calls one digest is about; `type` is the kind of notification."""

    day: date
    organizer_id: str
    type: str
    reason: str

    @classmethod
    def of(cls, one: Notification) -> CallGroup:
        """Return the group of a call; raises `ValueError` for what no digest is about."""
        if one.counted_on is None or not isinstance(one.body, CallNotification):
            msg = f"{one.type} {one.id} is about no call that a digest could count"
            raise ValueError(msg)
        return cls(one.counted_on, one.body.organizer_id, one.type, one.body.reason.value)


class CallToNotify(NamedTuple):
    """What is to be notified of a call, and the id by which its cause is found in the logs."""

    notification: Notification
    correlation_id: str = ""


class NamedCall(NamedTuple):
    """A call that a digest may name, by when it was answered."""

    at: datetime
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCalls:
    """What is counted of a group until now: each of its calls once.

    `first` is the call that was counted first. As no call is counted twice, its notification tells
    these calls from those of any other digest of the group.
    """

    first: CallToNotify
    calls: int = 0
    retail_cost_micros: int | None = None
    currency: str | None = None
    """That of the account, or if it has none, that of the first cost that was counted."""
    named: tuple[NamedCall, ...] = ()
    step: int = 0
    """How often it was written."""

    @property
    def group(self) -> CallGroup:
        """Which calls these are."""
        return CallGroup.of(self.first.notification)

    def with_call(self, news: CallNotification, at: datetime) -> CountedCalls:
        """Count one more call; its cost only if it is in the currency of the others."""
        cost_micros, currency = self.retail_cost_micros, self.currency or news.currency
        if news.retail_cost_micros is not None and news.currency == currency:
            cost_micros = (cost_micros or 0) + news.retail_cost_micros
        call = NamedCall(news.answered_at or at, news.call_id or "")
        return replace(
            self,
            first=self.first._replace(notification=_without_other_currency(self, news)),
            calls=self.calls + 1,
            retail_cost_micros=cost_micros,
            currency=currency,
            named=tuple(sorted((*self.named, call))[:MAX_CALLS_NAMED]),
        )

    def to_send(self, at: datetime) -> CallToNotify:
        """Return the digest; of a single call, the notification of that call under its own id."""
        first, news = self.first.notification, self.first.notification.body
        if self.calls == 1 or not isinstance(news, CallNotification):
            return self.first._replace(notification=replace(first, counted_on=None))
        digest = news._replace(
            call_id=None,
            leg_type=None,
            number=None,
            answered_at=None,
            retail_cost_micros=self.retail_cost_micros,
            currency=None if self.retail_cost_micros is None else self.currency,
            calls=self.calls,
            call_ids=tuple(call.call_id for call in self.named),
            day=self.group.day.isoformat(),
        )
        return CallToNotify(
            notification(
                digest,
                organization_id=first.organization_id,
                at=at,
                cause=f"digest/{first.id}",
            )
        )


def _without_other_currency(counted: CountedCalls, news: CallNotification) -> Notification:
    """Return the first call; without the currency of its rate if another call has another one."""
    first = counted.first.notification
    if (
        isinstance(news, CallNotRated)
        and isinstance(first.body, CallNotRated)
        and news.rate_currency != first.body.rate_currency
    ):
        return replace(first, body=first.body._replace(rate_currency=None))
    return first


def count(
    counted: Mapping[CallGroup, CountedCalls],
    calls: Iterable[CallToNotify],
    usages: Mapping[str, Usage],
    firsts: Mapping[CallGroup, str],
    currency: str | None,
) -> dict[CallGroup, CountedCalls]:
    """Count calls by their records as they are now; returns the groups that changed.

    `firsts` names by group the call that was notified of at once, which no digest counts.
    """
    changed: dict[CallGroup, CountedCalls] = {}
    for one in calls:
        group = CallGroup.of(one.notification)
        usage = usages.get(one.notification.call_id or "")
        if usage is None or one.notification.call_id == firsts.get(group):
            continue
        news = as_it_is_now(one.notification, usage)
        if news is None:
            continue
        now = one._replace(notification=replace(one.notification, body=news))
        before = changed.get(group) or counted.get(group)
        before = before or CountedCalls(first=now, currency=currency)
        changed[group] = before.with_call(news, one.notification.at)
    return changed


def as_it_is_now(one: Notification, usage: Usage) -> CallNotification | None:
    """Return what there is to be said of a call by now; None if it is no longer this.

    A call may become something else and come back, which is notified of anew: what was said before
    that is out of date.
    """
    for news in notifications_of_call(usage):
        now = notification(
            news,
            organization_id=one.organization_id,
            at=one.at,
            cause=cause_of(news, usage),
        )
        if now.id == one.id and news.reason is getattr(one.body, "reason", None):
            return news
    return None
