"""The credit of an organization as it stands at an instant, and what may still change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.recharge import MAX_FAILURES, Disabled
from perminute.domain.limits.spending import SpendCounters, day_of
from perminute.domain.values.times import month_start

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.lots import Lots
    from perminute.domain.credit.recharge import AutoRecharge, RechargeRequest
    from perminute.domain.licensing.licensing import Licensing
    from perminute.domain.pools.pools import MinutePool, Month


class PoolUse(NamedTuple):
    """The minute pool of a month by the licenses at an instant."""

    month: Month
    minutes: int
    used: int  # those used in another system before are included
    reserved: int


class RechargeUse(NamedTuple):
    """How credit is recharged, and what was requested."""

    settings: AutoRecharge
    requested_micros: int  # in the UTC month, less what failed
    open: RechargeRequest | None
    stopped_by: Disabled | None  # why nothing is requested although the balance is below


class Overview(NamedTuple):
    """The credit of an organization; amounts in micro-units of its currency."""

    version: int
    currency: str | None
    balance_micros: int
    reserved_micros: int
    debt_micros: int
    lots: Lots
    recharge: RechargeUse | None
    pool: PoolUse
    spent_today_micros: int
    calls: int
    settings: CreditSettings | None
    unsettled_from: datetime | None


def overview(
    account: Account, pool: MinutePool, licensing: Licensing, at: datetime, further: Lots = ()
) -> Overview:
    """Return balance, lots and pool at an instant, even if expiries up to it are not booked yet.

    `further` are all further lots of the account.
    """
    return Overview(
        version=account.version,
        currency=account.currency,
        balance_micros=account.balance_at(at, further),
        reserved_micros=account.reserved.amount_at(at),
        debt_micros=account.debt_micros,
        lots=tuple(lot for lot in (*account.lots, *further) if lot.expires_at > at),
        recharge=_recharge(account, at),
        pool=PoolUse(
            month=pool.month,
            minutes=licensing.pool_minutes(at),
            used=pool.used + licensing.pool_minutes_used(at),
            reserved=pool.held.amount_at(at),
        ),
        spent_today_micros=SpendCounters(account.days, {})[day_of(at)].spent_micros,
        calls=account.reserved.calls_at(at),
        settings=account.settings,
        unsettled_from=_unsettled_from(account, pool),
    )


def _recharge(account: Account, at: datetime) -> RechargeUse | None:
    settings, state = account.settings and account.settings.auto_recharge, account.recharge
    if settings is None:
        return None
    has_failed = state.failures >= MAX_FAILURES
    return RechargeUse(
        settings=settings,
        requested_micros=state.month_micros if state.month == month_start(at) else 0,
        open=state.open,
        stopped_by=Disabled.THREE_FAILURES if has_failed else state.stopped_by,
    )


def _unsettled_from(account: Account, pool: MinutePool) -> datetime | None:
    """Return the instant from which calls that have ended may still get other pool minutes."""
    months = account.provisional.months if account.provisional else ()
    # Only one pool was read: of another, calls since the start of its month may change.
    instants = (
        pool.unsettled.position.ended_at if pool.unsettled and month == pool.month else month.start
        for month in months
    )
    return min(instants, default=None)
