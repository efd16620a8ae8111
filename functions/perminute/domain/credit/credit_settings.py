"""The settings of an organization's credit, as its admin configured them (docs/events.md)."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.recharge import AutoRecharge

LATE_USAGE_HOURS = 72
"""How late usage may arrive by default (our decision): operators report up to two days late."""

LATE_USAGE = timedelta(hours=LATE_USAGE_HOURS)

MAX_GRANT_SECONDS = 1_800
"""The longest grant by default (our decision): suspected fraud, a lowered limit and a lost license
take effect when the bridge asks again."""

SettingsCaution = tuple[bool, tuple[tuple[bool, int], ...]]


class FailureHandling(StrEnum):
    """What bridges do with calls if no answer arrives (RFC 8506 §5.7)."""

    CLOSED = "closed"
    OPEN = "open"


class CreditSettings(NamedTuple):
    """What the organization's admin configured, and by which event."""

    configured_at: datetime
    event_id: str  # the `changeId` of the event if it has one
    currency: str
    has_change_id: bool = False
    low_balance_thresholds_micros: tuple[int, ...] = ()
    auto_recharge: AutoRecharge | None = None  # None if not configured or switched off
    daily_spend_limit_micros: int | None = None
    prefix_hourly_spend_limit_micros: int | None = None
    max_concurrent_calls: int | None = None
    max_grant_seconds: int = MAX_GRANT_SECONDS
    failure_handling: FailureHandling = FailureHandling.CLOSED
    late_usage_hours: int = LATE_USAGE_HOURS
    # What a month may be expected to cost before admins are notified; no call is refused for it.
    monthly_budget_micros: int | None = None

    @property
    def late_usage(self) -> timedelta:
        """How late usage may be reported."""
        return timedelta(hours=self.late_usage_hours)

    @property
    def order(self) -> tuple[datetime, SettingsCaution, str, bool]:
        """The last settings by this order are in force, whatever the order of arrival."""
        return self.configured_at, self._caution, self.event_id, self.has_change_id

    @property
    def _caution(self) -> SettingsCaution:
        # The last are the most cautious: without auto-recharge, then with the lowest limits. A
        # limit that is not set is the highest.
        recharge = self.auto_recharge
        limits = (
            self.daily_spend_limit_micros,
            self.prefix_hourly_spend_limit_micros,
            self.max_concurrent_calls,
            recharge and recharge.recharge_micros,
        )
        return recharge is None, tuple((limit is not None, -(limit or 0)) for limit in limits)

    def is_earlier_copy_of(self, other: CreditSettings | None) -> bool:
        """Whether both are of one event, of which this copy was issued earlier."""
        if other is None or not (self.has_change_id and other.has_change_id):
            return False
        return self.event_id == other.event_id and self.configured_at < other.configured_at

    def ties_with(self, other: CreditSettings | None) -> bool:
        """Whether these settings are others that were issued at the same instant."""
        is_same_time = other is not None and other.configured_at == self.configured_at
        return is_same_time and not self.is_same_as(other)

    def is_same_as(self, other: CreditSettings | None) -> bool:
        """Whether both configure the same, by whichever event."""
        return other is not None and self == other._replace(
            configured_at=self.configured_at,
            event_id=self.event_id,
            has_change_id=self.has_change_id,
        )
