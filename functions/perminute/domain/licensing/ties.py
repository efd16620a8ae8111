"""Which of two statements holds that were issued at one instant and contradict each other.

EventBridge stamps events with whole seconds, and producers of two events in one second often know
no finer time. The order of arrival is chance, so it decides nothing: the cautious value holds, with
which nobody spends money without an admin's act (docs/events.md, "Which of two holds"). The order
of each attribute, and of settings, stands here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.licensing.timelines import FactValue

SMALLER_HOLDS = frozenset({"poolMinutesPerLicense", "monthlySpendLimit", "tollFreeDialInAllowed"})
"""Attributes of which the smaller value is the cautious one; false is smaller than true."""

SMALLER_HOLDS_OF_EACH = ("license:", "purchased:")
"""What the names of attributes begin with that there are of each product: held, and how many."""

LARGER_HOLDS = frozenset({"poolMinutesUsed"})
"""Attributes of which the larger value is the cautious one: the more of a pool has been used in
another system, the smaller is what is left of it."""

FIRST_HOLDS: Mapping[str, tuple[str, ...]] = {
    "dialOutPolicy": ("none", "sameCountry", "zoneA", "anyDestination"),
    "licensingProgram": ("other", "volume"),
    "communicationsCreditsLicense": ("perUser", "organization"),
}
"""Attributes with few values, in the order in which they hold, the cautious one first."""

NEITHER_IS_CAUTIOUS = frozenset({"country", "name", "poolBasis"})
"""Attributes of which no value spares more than another: the identity of the event decides."""


def caution(attribute: str, value: FactValue) -> int:
    """Return how cautious the value of an attribute is: of two, the greater one holds."""
    if attribute in SMALLER_HOLDS or attribute.startswith(SMALLER_HOLDS_OF_EACH):
        return -int(value)
    if attribute in LARGER_HOLDS:
        return int(value)
    if attribute in FIRST_HOLDS:
        return -FIRST_HOLDS[attribute].index(str(value))
    return 0


SettingsCaution = tuple[bool, tuple[tuple[bool, int], ...]]


def caution_of_settings(settings: CreditSettings) -> SettingsCaution:
    """Return how cautious settings are: of two, the greater holds.

    First those that buy nothing by themselves, then those with the lower limit, one limit after
    another; a limit that is not set is higher than any.
    """
    recharge = settings.auto_recharge
    limits = (
        settings.daily_spend_limit_micros,
        settings.prefix_hourly_spend_limit_micros,
        settings.max_concurrent_calls,
        recharge and recharge.recharge_micros,
    )
    lower_is_greater = tuple((limit is not None, -(limit or 0)) for limit in limits)
    return recharge is None, lower_is_greater


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Two statements of which neither was issued later, and which of them holds.

    `what` is the attribute of a user or of the organization, or the settings of its credit. The
    statements are named by the ids or the `changeId` of their events.
    """

    organization_id: str
    user_id: str | None = None
    what: str
    issued_at: datetime
    holds: str
    yields: str
