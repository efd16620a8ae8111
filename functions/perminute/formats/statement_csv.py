"""Write the entries of a statement as rows of a CSV file, one for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant
from perminute.formats.ledger_texts import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perminute.domain.reporting.statement import Statement
    from perminute.formats.csv_output import Cell

COLUMNS = (
    "entry",
    "at",
    "type",
    "cause",
    "description",
    "calls",  # how many it charged or corrected
    "amount",
    "balance",
    "currency",
    "lots",
    "earlierMonth",  # what of it belongs to calls of other months
)


def statement_rows(statement: Statement, currency: str | None) -> Iterator[tuple[Cell, ...]]:
    """Yield the cells of each entry, in the order of `COLUMNS`."""
    for entry, calls in statement.entries:
        yield (
            entry.entry_id,
            format_instant(entry.at),
            entry.type,
            entry.cause,
            describe(entry),
            calls,
            format_micros(entry.amount_micros),
            format_micros(entry.balance_after_micros),
            currency,
            _listed((share.purchase_id, share.amount_micros) for share in entry.lots),
            _listed((str(month), micros) for month, micros in entry.other_months),
        )


def _listed(amounts: Iterable[tuple[str, int]]) -> str:
    return "; ".join(f"{name} {format_micros(micros)}" for name, micros in amounts)
