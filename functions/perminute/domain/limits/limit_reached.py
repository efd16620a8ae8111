"""The notifications of limits that are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.limits.spending import LimitName, ReachedLimit, SpendKind
from perminute.domain.notifications.notifications import FraudSuspected, SpendLimitReached

if TYPE_CHECKING:
    from perminute.domain.notifications.notifications import NotificationBody


def limit_reached(reached: ReachedLimit, currency: str | None) -> tuple[NotificationBody, str]:
    """Return a notification, and what distinguishes it from others of the same limit."""
    (name, micros, key), spent_micros, reserved_micros = reached
    cause = f"{name}/{key.subject}/{key.since:%Y-%m-%dT%H}"
    match key.kind:
        case SpendKind.PREFIX:
            suspected = FraudSuspected(
                prefix=key.subject,
                since=key.since,
                amount_micros=micros,
                spent_micros=spent_micros,
                reserved_micros=reserved_micros,
                currency=currency,
            )
            return suspected, cause
        case SpendKind.DAY:
            period, user_id = f"{key.since:%Y-%m-%d}", None
        case SpendKind.USER:
            period, user_id = f"{key.since:%Y-%m}", key.subject
        case never:
            assert_never(never)
    spend_limit = SpendLimitReached(
        limit=name,
        period=period,
        user_id=user_id,
        amount_micros=micros,
        spent_micros=spent_micros,
        reserved_micros=reserved_micros,
        currency=currency,
    )
    return spend_limit, cause


def concurrent_calls_reached(calls: int) -> tuple[NotificationBody, str]:
    """Return the same for the limit of concurrent calls."""
    name = LimitName.CONCURRENT_CALLS
    return SpendLimitReached(limit=name, calls=calls), name
