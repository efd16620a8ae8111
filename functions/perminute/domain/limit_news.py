"""What is told of limits that are reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.notifications import FraudSuspected, SpendLimitReached
from perminute.domain.spending import LimitName, answered

if TYPE_CHECKING:
    from perminute.domain.legs import Leg
    from perminute.domain.notifications import News
    from perminute.domain.spending import Reached


def limit_news(reached: Reached, leg: Leg, currency: str | None) -> tuple[News, str]:
    """Say that a limit is reached, and by what this is told from other such news of the limit."""
    limit, spent_micros, calls = reached
    if limit.name is LimitName.CONCURRENT_CALLS:
        return SpendLimitReached(limit=limit.name, calls=calls), str(limit.name)
    if limit.name is LimitName.PREFIX_HOURLY_SPEND and limit.key is not None:
        suspected = FraudSuspected(
            prefix=limit.key.subject,
            since=limit.key.since,
            amount_micros=limit.micros,
            spent_micros=spent_micros,
            currency=currency,
        )
        return suspected, f"{limit.key.subject}/{limit.key.since:%Y-%m-%dT%H}/{limit.micros}"
    since = limit.key.since if limit.key else answered(leg)
    period = f"{since:%Y-%m}" if limit.key else f"{since:%Y-%m-%d}"
    user_id = limit.key.subject if limit.key else None
    spend_limit = SpendLimitReached(
        limit=limit.name,
        period=period,
        user_id=user_id,
        amount_micros=limit.micros,
        spent_micros=spent_micros,
        currency=currency,
    )
    return spend_limit, f"{limit.name}/{user_id or ''}/{period}/{limit.micros}"
