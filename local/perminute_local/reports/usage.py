"""`perminute usage`: calls, minutes and cost of a period, added up by what the caller names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute_local.reports.layout import (
    Column,
    amount,
    as_of,
    code,
    count,
    days_in_words,
    leg_type,
    minutes,
    money,
    omitted,
    period,
    table_of,
    text,
)
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.source import Answer, Question

KEYS = {
    "day": text("day"),
    "organizerId": text("organizer"),
    "legType": leg_type("call"),
    "country": text("country"),
    "prefix": text("prefix"),
    "outcome": code("outcome"),
}
"""What usage can be grouped by."""
FIGURES = ("calls", "connectedSeconds", "billedSeconds", "poolMinutes", "charge", "retailCost")
"""What is added up, in the order of the columns of a CSV file."""
OTHERS = "otherRetailCosts"
"""Retail costs in other currencies than the credit's, which are never added to those in it."""


def csv_columns(answer: Answer) -> tuple[str, ...]:
    """Return what a row is grouped by, and what is added up."""
    others = [OTHERS] if OTHERS in answer["total"] else []
    return (*answer["groupBy"], *FIGURES, "currency", *others)


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield a line for each group, the total, and what the figures do not say themselves."""
    keys = {name: KEYS[name] for name in answer["groupBy"]}
    heading = f"{question.organization_id}: usage {period(question.parameters)}"
    first = {next(iter(keys)): "total"} if keys else {}
    total = {**dict.fromkeys(keys, ""), **first, **answer["total"]}
    yield table_of(
        heading, {**keys, **figures(answer.get("currency"))}, answer["rows"] if keys else [], total
    )
    yield as_of(answer)
    yield from omitted(answer)
    for currency, cost in answer["total"].get(OTHERS, {}).items():
        yield plain(f"Not added up: retail {amount(cost)} {currency}.")
    if days := answer["mayChange"]:
        yield plain(f"May still change: {days_in_words(days)}.")


def figures(currency: str | None) -> dict[str, Column]:
    """Return the columns of what is added up over calls."""
    return {
        "calls": count("calls"),
        "billedSeconds": minutes("billed min:s"),
        "poolMinutes": count("pool min"),
        "charge": money(f"charged {currency or ''}".strip()),
        "retailCost": money(f"retail {currency or ''}".strip()),
    }
