"""Forecasts: admins are notified once while one is true, and of what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from perminute.domain.values.money import format_micros, parse_micros
from perminute.domain.values.times import parse_instant
from perminute_local.simulation.invariants.invariant import invariant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute_local.simulation.invariants.invariant import Broken

_RUN_OUT, _MONTH = "RunOutForecast", "MonthCostForecast"
_WEEK = timedelta(days=7)


@dataclass
class Forecasts:
    """Of which forecasts the admins of all organizations were notified, and are not again yet."""

    notified: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """By organization and type: the month, or no text; None if it may be notified of."""

    def record(self, account: Account, documents: Sequence[Mapping[str, Any]]) -> Iterator[Broken]:
        """Check what a transaction notifies of, and what the account that it leaves knows of it."""
        who, forecast = account.organization_id, account.forecast
        known = {
            _RUN_OUT: "" if forecast.runs_out else None,
            _MONTH: str(forecast.over_budget) if forecast.over_budget else None,
        }
        for document in documents:
            kind = document["type"]
            if kind in known:
                yield from _once(document, self.notified.get((who, kind)), known[kind])
                yield from _true(account, document)
        self.notified |= {(who, kind): period for kind, period in known.items()}


@invariant
def _once(document: Mapping[str, Any], before: str | None, after: str | None) -> Iterator[str]:
    """A forecast is notified of once while it is true."""
    period = document.get("period", "")
    if before == period:
        yield f"{document['organizationId']} is notified again: {document}"
    if after != period:
        yield f"{document['organizationId']} does not know that it was notified: {document}"


@invariant
def _true(account: Account, document: Mapping[str, Any]) -> Iterator[str]:
    """A forecast that is notified of concerns the next days or exceeds the budget."""
    who, at = account.organization_id, parse_instant(document["at"])
    if document["type"] == _RUN_OUT:
        day = date.fromisoformat(document["runsOut"]["expected"])
        if not at.date() <= day <= at.date() + _WEEK:
            yield f"the credit of {who} runs out on {day}, of which it is notified on {at}"
        if document["balance"] != format_micros(account.balance_micros):
            yield f"{who} has {format_micros(account.balance_micros)}: {document}"
        return
    settings = account.settings
    budget_micros = settings.monthly_budget_micros if settings else None
    expected_micros = parse_micros(document["month"]["expected"])
    is_over = budget_micros is not None and expected_micros > budget_micros
    if not is_over or document["period"] != f"{at:%Y-%m}":
        yield f"{who} has a budget of {budget_micros}: {document}"
