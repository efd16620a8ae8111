"""Reports computed from figures in a file, without a stack: `perminute forecast --input FILE`.

`license-advice` has its own figures (`advice_file`).

A file has one JSON object. Amounts are text, such as "0.026".
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, TypeAlias

from msgspec import to_builtins

from perminute.api.reports.documents import AsOf
from perminute.api.reports.forecast import ForecastQuery, HorizonDays, document_of
from perminute.domain.credit.lots import Lot
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.errors import Refused
from perminute.domain.forecast.forecast import MAX_HORIZON_DAYS, SpentSoFar, forecast
from perminute.domain.forecast.run_out import Credit
from perminute.domain.forecast.spend_model import SpendHistory
from perminute.domain.values.printable import counted
from perminute.domain.values.times import format_instant
from perminute.fields import LAST_YEAR, Amount, Currency, Instant, Message, PositiveAmount
from perminute.parsing import parse, text_type
from perminute_local.reports.advice_file import GivenAdvice, advised
from perminute_local.user_input import date_or_instant, read_text
from perminute_local.wrong_call import WrongCall, WrongFile

if TYPE_CHECKING:
    from pathlib import Path

    from perminute_local.reports.source import Answer, Question


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        msg = "must be a date such as 2026-11-02"
        raise ValueError(msg) from None


def _read_date_or_instant(text: str) -> datetime:
    try:
        at = date_or_instant(text)
    except ValueError:
        msg = "must be a date or a time such as 2026-11-02 or 2026-11-02T09:00:00Z"
        raise ValueError(msg) from None
    # Days ahead of it are counted.
    if at.year > LAST_YEAR:
        msg = f"must lie in the year {LAST_YEAR} at the latest"
        raise ValueError(msg)
    return at


if TYPE_CHECKING:
    _Day: TypeAlias = date
    _DayOrInstant: TypeAlias = datetime
else:
    _Day = text_type(_read_day, example="2026-11-02")
    _DayOrInstant = text_type(_read_date_or_instant, example="2026-11-02")


class _GivenLot(Message, frozen=True, kw_only=True):
    remaining: PositiveAmount
    expires_at: Instant


class _GivenRecharge(Message, frozen=True, kw_only=True):
    trigger_amount: Amount
    recharge_amount: PositiveAmount
    monthly_limit: Amount | None = None
    enabled: bool = True


class GivenForecast(Message, frozen=True, kw_only=True):
    """What a forecast is computed from."""

    first_day: _Day
    as_of: _DayOrInstant
    daily: tuple[Amount, ...]  # up to the day before `as_of`
    lots: tuple[_GivenLot, ...] = ()  # as they pay
    debt: Amount = 0
    auto_recharge: _GivenRecharge | None = None
    month_spent: Amount = 0  # in the month of `as_of`, before its day
    spent_today: Amount = 0
    currency: Currency | None = None
    horizon_days: HorizonDays = ForecastQuery().horizon_days


class GivenFigures:
    """Answers a question from the figures of a file instead of a stack."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, question: Question) -> Answer:
        """Return the answer. Raises `WrongFile`, which names the field, and `WrongCall`."""
        try:
            content = read_text(self._path)
            if question.report == "license-advice":
                return advised(parse(content, GivenAdvice, called="figures"), question)
            given = parse(content, GivenForecast, called="figures")
            horizon_days = question.parameters.get("horizonDays") or given.horizon_days
            return _forecast(given, int(str(horizon_days)))
        except Refused as refused:
            msg = f"{self._path}: {refused}"
            raise WrongFile(msg) from refused


def _forecast(given: GivenForecast, horizon_days: int) -> Answer:
    if horizon_days > MAX_HORIZON_DAYS:
        msg = f"--horizon-days: must be at most {MAX_HORIZON_DAYS}"
        raise WrongCall(msg)
    _check_days(given)
    found = forecast(
        SpendHistory(given.first_day, given.daily),
        _credit(given),
        SpentSoFar(given.month_spent, given.spent_today),
        at=given.as_of,
        horizon_days=horizon_days,
    )
    at = format_instant(given.as_of)
    answer: Answer = to_builtins(document_of(AsOf(at=at, version=0), given.currency, found))
    # No account was read.
    answer["asOf"]["version"] = None
    return answer


def _check_days(given: GivenForecast) -> None:
    today = given.as_of.astimezone(UTC).date()
    if (today - given.first_day).days != len(given.daily):
        raise Refused(
            "daily",
            f"has {counted(len(given.daily), 'day')} from {given.first_day} on; the last one must "
            f"be the day before asOf, {today}",
        )


def _credit(given: GivenForecast) -> Credit:
    auto = given.auto_recharge
    return Credit(
        lots=tuple(
            Lot(
                lot_id=f"{number}",
                purchase_id=f"{number}",
                purchased_at=min(given.as_of, lot.expires_at),
                expires_at=lot.expires_at,
                remaining_micros=lot.remaining,
            )
            for number, lot in enumerate(given.lots)
        ),
        debt_micros=given.debt,
        auto_recharge=AutoRecharge(auto.trigger_amount, auto.recharge_amount, auto.monthly_limit)
        if auto is not None and auto.enabled
        else None,
    )
