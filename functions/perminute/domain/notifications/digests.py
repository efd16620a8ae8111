"""One notification for many calls: the first call of a day is notified of at once, the others once.

Calls of one organizer that are notified of for the same reason on the same UTC day form a group.
The first is a notification of its own. The daily run sends one more, the digest, about the others
when the day is over, by their records as they are then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.charging import notifications_of_call
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

    from perminute.domain.rating.usage_record import Usage

MAX_CALLS_NAMED = 10
"""Calls that a digest names: the first of them to be answered."""


class CallGroup(NamedTuple):
    """Which calls one digest is about."""

    day: date
    organizer_id: str
    type: str  # of notification
    reason: str

    @classmethod
    def of(cls, call: Notification) -> CallGroup:
        """Return the group of a call; raises `ValueError` if no digest could count it."""
        if call.counted_on is None or not isinstance(call.body, CallNotification):
            msg = f"{call.type} {call.id} is about no call that a digest could count"
            raise ValueError(msg)
        return cls(call.counted_on, call.body.organizer_id, call.type, call.body.reason.value)


class CallToNotify(NamedTuple):
    """A notification of a call, and the id by which its cause is found in the logs."""

    notification: Notification
    correlation_id: str = ""


class NamedCall(NamedTuple):
    """A call that a digest may name, by when it was answered."""

    at: datetime
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCalls:
    """The calls of a group that are counted until now, each once."""

    # The call that was counted first distinguishes this digest from any other of the group.
    first: CallToNotify
    calls: int = 0
    retail_cost_micros: int | None = None
    currency: str | None = None  # of the account, or if it has none, of the first cost counted
    named: tuple[NamedCall, ...] = ()
    step: int = 0  # how often this was written

    @property
    def group(self) -> CallGroup:
        """Which calls these are."""
        return CallGroup.of(self.first.notification)

    def with_call(self, body: CallNotification, at: datetime) -> CountedCalls:
        """Count one more call, and add its retail cost if it is in the same currency."""
        cost_micros, currency = self.retail_cost_micros, self.currency or body.currency
        if body.retail_cost_micros is not None and body.currency == currency:
            cost_micros = (cost_micros or 0) + body.retail_cost_micros
        first = self.first.notification
        if isinstance(first.body, CallNotRated) and body.rate_currency != first.body.rate_currency:
            # The rates are in several currencies, so none is stated.
            first = first._replace(body=first.body._replace(rate_currency=None))
        call = NamedCall(body.answered_at or at, body.call_id or "")
        return replace(
            self,
            first=self.first._replace(notification=first),
            calls=self.calls + 1,
            retail_cost_micros=cost_micros,
            currency=currency,
            named=tuple(sorted((*self.named, call))[:MAX_CALLS_NAMED]),
        )

    def to_send(self, at: datetime) -> CallToNotify:
        """Return the digest; of a single call, the notification of that call under its own id."""
        first, body = self.first.notification, self.first.notification.body
        if self.calls == 1 or not isinstance(body, CallNotification):
            return self.first._replace(notification=first._replace(counted_on=None))
        digest = body._replace(
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
        organization_id, cause = first.organization_id, f"digest/{first.id}"
        return CallToNotify(
            notification(digest, organization_id=organization_id, at=at, cause=cause)
        )


def count(
    counted: Mapping[CallGroup, CountedCalls],
    calls: Iterable[CallToNotify],
    usages: Mapping[str, Usage],
    firsts: Mapping[CallGroup, str],
    currency: str | None,
) -> dict[CallGroup, CountedCalls]:
    """Count calls by their records as they are now; return the groups that changed.

    These are the groups of `counted` as well: by the organizers that the records have.

    `firsts` names the first call of each group, which no digest counts.
    """
    changed: dict[CallGroup, CountedCalls] = {}
    for call in calls:
        decided = call.notification
        group = CallGroup.of(decided)
        usage = usages.get(decided.call_id or "")
        if usage is None or decided.call_id == firsts.get(group):
            continue
        body = as_it_is_now(decided, usage)
        if body is not None:
            # An organizer who was erased since then is counted under the pseudonym.
            group = group._replace(organizer_id=body.organizer_id)
            first = call._replace(notification=decided._replace(body=body))
            before = changed.get(group) or counted.get(group)
            before = before or CountedCalls(first=first, currency=currency)
            changed[group] = before.with_call(body, decided.at)
    return changed


def as_it_is_now(decided: Notification, usage: Usage) -> CallNotification | None:
    """Return a notification's body by the call's record; None if it is out of date."""
    for body in notifications_of_call(usage):
        organization_id, cause = decided.organization_id, cause_of(body, usage)
        # The id of a call that was notified of again is another one.
        now = notification(body, organization_id=organization_id, at=decided.at, cause=cause)
        if now.id == decided.id and body.reason is getattr(decided.body, "reason", None):
            return body
    return None
