"""How an organization keeps its credit, as its admin configured it (CONTRACT §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.recharge import AutoRecharge


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditSettings:
    """What the organization's admin configured, and the event that said so.

    Of two settings the one configured later holds, whichever arrives first. `auto_recharge` is
    None where it is not configured or switched off, and so are limits that are not set.
    """

    configured_at: datetime
    event_id: str
    currency: str
    low_balance_thresholds_micros: tuple[int, ...] = ()
    auto_recharge: AutoRecharge | None = None
    daily_spend_limit_micros: int | None = None
    prefix_hourly_spend_limit_micros: int | None = None
    max_concurrent_calls: int | None = None
