"""What license advice is based on: licenses, and the calls of some months (docs/domain.md §8).

Two kinds of calls cost another amount with another license of their organizer: a toll dial-in is
included in a subscription, and a dial-out to Zone A draws on the minute pool. All others are paid
from credit by either license.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from perminute.domain.rating.rate_card import Rate

MINUTES_PER_LICENSE = 60
"""What each subscription adds to the pool of a month (docs/domain.md §4.1)."""


class Holding(StrEnum):
    """Which of the licenses that decide who pays a user holds."""

    PAY_PER_MINUTE = "payPerMinute"
    SUBSCRIPTION = "subscription"  # sold alone
    BUNDLE = "bundle"  # the subscription as a part of a suite, which is never given back
    BOTH = "both"  # pay-per-minute and the subscription that is sold alone
    NONE = "none"

    @property
    def is_bought(self) -> bool:
        """Whether it includes a subscription that is sold alone."""
        return self in {Holding.SUBSCRIPTION, Holding.BOTH}


class LicensedUser(NamedTuple):
    """A user's licenses, and what limits a change of them."""

    holding: Holding
    # Neither the program of the organization nor the user's country rules it out.
    can_pay_per_minute: bool = True
    is_contracted: bool = False  # the subscription is paid until its renewal, used or not
    holds_credits: bool = True  # the communications credits license
    # Beside a bundle: a subscription that is sold alone, or pay-per-minute.
    has_spare: bool = False
    has_unused: bool = False


class CallKind(StrEnum):
    """How the cost of a call depends on the organizer's license."""

    TOLL = "toll"  # a subscription includes it
    POOL = "pool"  # a subscription has it draw on the pool
    OTHER = "other"  # nothing


class AdvisedCall(NamedTuple):
    """A call, and what it costs if credit pays for all of it."""

    user_id: str
    kind: CallKind
    retail_micros: int  # 0 if it cannot be priced
    minutes: int = 0  # those that it draws on the pool; 0 unless it may
    billed_seconds: int = 0
    rate: Rate | None = None  # None if it cannot be priced
    is_unrated: bool = False

    def paid_by_pool_micros(self, minutes: int) -> int:
        """How much less it costs if the pool pays its first minutes."""
        if self.rate is None or minutes >= self.minutes:
            return self.retail_micros
        left_micros = self.rate.charge_micros(self.billed_seconds, minutes * SECONDS_PER_MINUTE)
        return self.retail_micros - left_micros


class MonthOfCalls(NamedTuple):
    """The calls that were answered in a UTC month, in the order in which they ended."""

    calls: tuple[AdvisedCall, ...]
    minutes_used_before: int = 0  # of the pool, in another system


class AdviceBasis(NamedTuple):
    """All that license advice is based on; the same licenses count for all months."""

    price_micros: int  # of a subscription that is sold alone, for a month
    users: Mapping[str, LicensedUser]
    months: tuple[MonthOfCalls, ...]
    minutes_per_license: int = MINUTES_PER_LICENSE
    # Purchased and not assigned: subscriptions that are sold alone, and licenses of suites.
    spare: int = 0
    spare_bundles: int = 0
    counts_spare: bool = True  # whether those count for the pool
    minimum_saving_micros: int = 0  # what a change must save in a month to be recommended
