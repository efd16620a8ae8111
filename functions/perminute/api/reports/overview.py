"""The report `overview`: how the credit of an organization stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.values import Count, Instant, Money
from perminute.application.reporting.overview import read_overview
from perminute.domain.credit.recharge import Disabled
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant, instant_text
from perminute.fields import Message, about

if TYPE_CHECKING:
    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.credit.credit_settings import CreditSettings
    from perminute.domain.credit.recharge import RechargeRequest
    from perminute.domain.reporting.overview import PoolUse, RechargeUse


class OverviewQuery(Message, frozen=True, kw_only=True):
    """An overview has no parameters."""


class LotDocument(Message, frozen=True, kw_only=True):
    """Credit that was bought at once and expires at once."""

    purchase_id: str
    remaining: Money
    expires_at: Instant


class RechargeDocument(Message, frozen=True, kw_only=True):
    """A request to buy credit that is not answered yet."""

    recharge_id: str
    amount: Money
    requested_at: Instant
    attempt: Count


class AutoRechargeDocument(Message, frozen=True, kw_only=True):
    """How credit is recharged, and what was requested."""

    trigger_amount: Money
    recharge_amount: Money
    monthly_limit: Money | None
    requested_this_month: Annotated[
        Money, about("The sum requested in the UTC month, less what failed.")
    ]
    waiting: Annotated[list[RechargeDocument], about("Requests that are not answered yet.")]
    stopped_by: Annotated[
        Disabled | None, about("Why nothing is requested although the balance is low.")
    ]


class PoolDocument(Message, frozen=True, kw_only=True):
    """The minute pool of the UTC month, by the licenses of now."""

    month: Annotated[str, Meta(examples=["2026-11"])]
    minutes: Count
    used: Count
    reserved: Annotated[Count, about("Minutes that calls under way have reserved.")]


class LimitsDocument(Message, frozen=True, kw_only=True):
    """The limits of the organization; null: none is set."""

    daily_spend_limit: Money | None = None
    prefix_hourly_spend_limit: Money | None = None
    max_concurrent_calls: int | None = None
    monthly_budget: Annotated[
        Money | None,
        about("Refuses nothing: admins are notified if a month is expected to cost more."),
    ] = None


class PendingDocument(Message, frozen=True, kw_only=True):
    """What may still change calls that were charged."""

    reratings: Annotated[Count, about("Changes of licenses by which calls are to be rated again.")]
    unsettled_from: Annotated[
        Instant | None,
        about("Calls that ended since then may still get other minutes of a pool. Null: none."),
    ]


class OverviewDocument(ReportDocument, frozen=True, kw_only=True):
    """The credit of an organization as it is now."""

    currency: str | None
    balance: Money
    reserved: Annotated[
        Money,
        about("What calls under way may cost, and what calls have used until they are charged."),
    ]
    available: Annotated[Money, about("The balance less what is reserved.")]
    debt: Annotated[Money, about("What calls cost beyond the credit; the next purchase pays it.")]
    lots: Annotated[list[LotDocument], about("In the order in which they pay.")]
    auto_recharge: AutoRechargeDocument | None
    pool: PoolDocument
    spent_today: Annotated[Money, about("What calls that began on this UTC day cost.")]
    calls: Annotated[Count, about("Calls under way with a reservation.")]
    limits: LimitsDocument
    pending: PendingDocument


@report("overview", OverviewQuery, OverviewDocument)
def answer(reader: ReportReader, target: ReportTarget, _: OverviewQuery) -> OverviewDocument:
    """Return balance, lots, minute pool, limits, and what may still change."""
    overview = read_overview(reader, target.organization_id, target.at, target.deadline)
    return OverviewDocument(
        as_of=target.as_of(overview.version),
        currency=overview.currency,
        balance=format_micros(overview.balance_micros),
        reserved=format_micros(overview.reserved_micros),
        available=format_micros(overview.balance_micros - overview.reserved_micros),
        debt=format_micros(overview.debt_micros),
        lots=[
            LotDocument(
                purchase_id=lot.purchase_id,
                remaining=format_micros(lot.remaining_micros),
                expires_at=format_instant(lot.expires_at),
            )
            for lot in overview.lots
        ],
        auto_recharge=overview.recharge and _auto_recharge(overview.recharge),
        pool=_pool(overview.pool),
        spent_today=format_micros(overview.spent_today_micros),
        calls=overview.calls,
        limits=_limits(overview.settings),
        pending=PendingDocument(
            reratings=len(reader.reratings.waiting(target.organization_id)),
            unsettled_from=instant_text(overview.unsettled_from),
        ),
    )


def _auto_recharge(recharge: RechargeUse) -> AutoRechargeDocument:
    settings = recharge.settings
    return AutoRechargeDocument(
        trigger_amount=format_micros(settings.trigger_micros),
        recharge_amount=format_micros(settings.recharge_micros),
        monthly_limit=money_text(settings.monthly_limit_micros),
        requested_this_month=format_micros(recharge.requested_micros),
        waiting=[_waiting(recharge.open)] if recharge.open else [],
        stopped_by=recharge.stopped_by,
    )


def _waiting(request: RechargeRequest) -> RechargeDocument:
    return RechargeDocument(
        recharge_id=request.recharge_id,
        amount=format_micros(request.amount_micros),
        requested_at=format_instant(request.requested_at),
        attempt=request.attempt,
    )


def _pool(pool: PoolUse) -> PoolDocument:
    month, *figures = pool
    return PoolDocument(month=str(month), **dict(zip(pool._fields[1:], figures, strict=True)))


def _limits(settings: CreditSettings | None) -> LimitsDocument:
    if settings is None:
        return LimitsDocument()
    return LimitsDocument(
        daily_spend_limit=money_text(settings.daily_spend_limit_micros),
        prefix_hourly_spend_limit=money_text(settings.prefix_hourly_spend_limit_micros),
        max_concurrent_calls=settings.max_concurrent_calls,
        monthly_budget=money_text(settings.monthly_budget_micros),
    )
