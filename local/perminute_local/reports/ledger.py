"""`perminute ledger`: what moved the balance, entry by entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.money import format_micros, read_micros
from perminute_local.reports.layout import as_of, count, instant, money, period, table_of, text
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from perminute_local.reports.layout import Row
    from perminute_local.reports.source import Answer, Question

CSV_COLUMNS = (
    "entryId",
    "at",
    "type",
    "amount",
    "balanceAfter",
    "currency",
    "cause",
    "description",
    "lots",
    "calls",
)
COLUMNS = {
    "entryId": text("entry"),
    "at": instant("at (UTC)"),
    "type": text("type"),
    "amount": money("amount"),
    "balanceAfter": money("balance"),
    "count": count("calls"),
    "paid": text("lots", folds=True),
    "description": text("what", folds=True),
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield a line for each entry, and the sum of those that are shown."""
    entries = [
        {**entry, "count": len(entry["calls"]), "paid": _lots(entry["lots"])}
        for entry in answer["entries"]
    ]
    heading = f"{question.organization_id}: ledger {period(question.parameters)}, the last first"
    header = f"amount {answer['currency'] or ''}".strip()
    columns = {**COLUMNS, "amount": money(header)}
    yield table_of(heading, columns, entries, None if answer["next"] else _total(entries))
    yield as_of(answer)
    if answer["next"]:
        yield plain(f"These are the last {len(entries)}: --limit N shows more, --csv writes all.")


def _total(entries: Sequence[Row]) -> Row:
    moved = format_micros(sum(read_micros(entry["amount"]) for entry in entries))
    calls = sum(entry["count"] for entry in entries)
    total = dict.fromkeys(COLUMNS, "")
    return {**total, "entryId": "total", "amount": moved, "count": calls}


def _lots(lots: list[dict[str, str]]) -> str:
    return ", ".join(f"{lot['purchaseId']} {lot['amount']}" for lot in lots)
