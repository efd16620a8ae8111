"""`forecast`: what the month will cost, and when the credit runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from perminute.api.reports.documents import ReportDocument
from perminute.api.reports.endpoint import report
from perminute.api.values import Instant, Money
from perminute.application.reporting.forecast import read_forecast
from perminute.domain.forecast.figures import Confidence
from perminute.domain.forecast.forecast import HORIZON_DAYS, MAX_HORIZON_DAYS, Forecast
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.fields import Message, about

if TYPE_CHECKING:
    from datetime import date

    from perminute.api.reports.documents import AsOf
    from perminute.api.reports.endpoint import ReportTarget
    from perminute.application.reporting.reader import ReportReader
    from perminute.domain.credit.recharge import RechargeRequest
    from perminute.domain.forecast.figures import Band
    from perminute.domain.forecast.forecast import NotEnoughData

Day = Annotated[str, Meta(description="A UTC date.", examples=["2026-11-02"])]
HorizonDays = Annotated[int, Meta(ge=1, le=MAX_HORIZON_DAYS)]


class ForecastQuery(Message, frozen=True, kw_only=True):
    """How far to look ahead."""

    horizon_days: HorizonDays = HORIZON_DAYS


class BandDocument(Message, frozen=True, kw_only=True):
    """An amount that lies between `low` and `high` in 8 cases of 10."""

    low: Money
    expected: Money
    high: Money


class RunsOutDocument(Message, frozen=True, kw_only=True):
    """The day on which no credit is left; null if after the horizon, or if not known."""

    earliest: Day | None = None
    expected: Day | None = None
    latest: Day | None = None


class RechargesDocument(Message, frozen=True, kw_only=True):
    """How many recharges are requested within the horizon."""

    expected: int
    high: Annotated[int, about("If much is spent.")]


class UnansweredRechargeDocument(Message, frozen=True, kw_only=True):
    """A recharge whose outcome nobody has reported in time."""

    recharge_id: str
    amount: Money
    requested_at: Instant


class DayBalanceDocument(Message, frozen=True, kw_only=True):
    """The balance at the end of a day; it continues below zero, as if no call were refused."""

    day: Day
    low: Money
    expected: Money
    high: Money


class BasisDocument(Message, frozen=True, kw_only=True):
    """The history from which the forecast is computed."""

    days: Annotated[
        int, about("The number of days, at most 84, from the first with cost up to yesterday.")
    ]
    active_days: Annotated[int, about("How many of these days have a cost.")]
    level: Annotated[Money | None, about("What a day costs on average.")] = None
    weekday: Annotated[
        tuple[float, ...] | None, about("The factor of each weekday, from Monday on.")
    ] = None


class ForecastDocument(ReportDocument, frozen=True, kw_only=True):
    """A forecast; with too little history, everything except `basis` is null."""

    status: Literal["ok", "notEnoughData"]
    currency: str | None
    basis: BasisDocument
    confidence: Confidence | None = None
    month: Annotated[BandDocument | None, about("The UTC month, with what was spent.")] = None
    runs_out: RunsOutDocument = RunsOutDocument()
    recharges: RechargesDocument | None = None
    unanswered_recharge: Annotated[
        UnansweredRechargeDocument | UnsetType,
        about("If there is one: it is not counted on, and while it is open no other is requested."),
    ] = UNSET
    recharge_days: Annotated[tuple[Day, ...], about("The days of the expected recharges.")] = ()
    forfeited: Annotated[
        BandDocument | None,
        about("What expires unused: if little, the expected amount, or much is spent."),
    ] = None
    path: tuple[DayBalanceDocument, ...] = ()


@report("forecast", ForecastQuery, ForecastDocument)
def answer(reader: ReportReader, target: ReportTarget, query: ForecastQuery) -> ForecastDocument:
    """Return what the month will cost, and when the credit runs out."""
    account, found = read_forecast(
        reader,
        target.organization_id,
        target.at,
        target.deadline,
        horizon_days=query.horizon_days,
    )
    return document_of(target.as_of(account.version), account.currency, found)


def document_of(
    as_of: AsOf, currency: str | None, found: Forecast | NotEnoughData
) -> ForecastDocument:
    """Write a forecast."""
    if not isinstance(found, Forecast):
        return ForecastDocument(
            as_of=as_of, status="notEnoughData", currency=currency, basis=_basis(found)
        )
    runs_out = found.runs_out
    return ForecastDocument(
        as_of=as_of,
        status="ok",
        currency=currency,
        basis=_basis(found),
        confidence=found.confidence,
        month=_band(found.month),
        runs_out=RunsOutDocument(
            earliest=_day(runs_out.earliest),
            expected=_day(runs_out.expected),
            latest=_day(runs_out.latest),
        ),
        recharges=RechargesDocument(expected=len(found.recharged), high=found.recharges_if_high),
        unanswered_recharge=_unanswered(found.unanswered),
        recharge_days=tuple(day.isoformat() for day in found.recharged),
        forfeited=_band(found.forfeited),
        path=tuple(
            DayBalanceDocument(day=day.isoformat(), **_amounts(band)) for day, band in found.path
        ),
    )


def _basis(found: Forecast | NotEnoughData) -> BasisDocument:
    history = found.history
    days, active_days = len(history.daily_micros), history.active_days
    if not isinstance(found, Forecast):
        return BasisDocument(days=days, active_days=active_days)
    level, factors, *_ = found.model
    return BasisDocument(
        days=days,
        active_days=active_days,
        level=format_micros(round(level)),
        weekday=tuple(round(factor, 4) for factor in factors),
    )


def _unanswered(request: RechargeRequest | None) -> UnansweredRechargeDocument | UnsetType:
    if request is None:
        return UNSET
    return UnansweredRechargeDocument(
        recharge_id=request.recharge_id,
        amount=format_micros(request.amount_micros),
        requested_at=format_instant(request.requested_at),
    )


def _band(band: Band) -> BandDocument:
    return BandDocument(**_amounts(band))


def _amounts(band: Band) -> dict[str, Money]:
    return {name: format_micros(micros) for name, micros in band._asdict().items()}


def _day(day: date | None) -> Day | None:
    return None if day is None else day.isoformat()
