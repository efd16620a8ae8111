"""Organizations to advise on: users, and calls of some months at a few rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.advice.basis import (
    AdviceBasis,
    AdvisedCall,
    CallKind,
    Holding,
    LicensedUser,
    MonthOfCalls,
)
from perminute_local.reports.advice_file import rate_by_the_minute

if TYPE_CHECKING:
    from perminute.domain.advice.advice import Advice

PRICE_MICROS = 4_000_000


def toll(user_id: str, minutes: int, micros: int = 10_000) -> AdvisedCall:
    """A dial-in to a toll number."""
    return AdvisedCall(user_id, CallKind.TOLL, minutes * micros)


def pooled(user_id: str, minutes: int, micros: int = 50_000, fee_micros: int = 0) -> AdvisedCall:
    """A dial-out to Zone A."""
    rate = rate_by_the_minute(micros, fee_micros)
    retail_micros = rate.charge_micros(minutes * 60)
    return AdvisedCall(user_id, CallKind.POOL, retail_micros, minutes, minutes * 60, rate)


def other(user_id: str, micros: int) -> AdvisedCall:
    """A call that credit pays whatever the license is."""
    return AdvisedCall(user_id, CallKind.OTHER, micros)


def basis(
    *months: tuple[AdvisedCall, ...], price_micros: int = PRICE_MICROS, **holdings: str
) -> AdviceBasis:
    """Users by what they hold, and calls of months."""
    users = {user_id: LicensedUser(Holding(held)) for user_id, held in holdings.items()}
    return AdviceBasis(price_micros, users, tuple(map(MonthOfCalls, months)))


def changed_users(advice: Advice) -> dict[str, str]:
    """What is recommended to each user."""
    return {one.user_id: one.after.value for one in advice.recommendations}


def remarks(advice: Advice) -> list[tuple[str, str | None]]:
    """The remarks, and about whom they are."""
    return [(one.kind.value, one.user_id) for one in advice.remarks]
