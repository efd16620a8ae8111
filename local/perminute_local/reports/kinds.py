"""The reports that there are, and how each is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute_local.reports import (
    calls,
    explanation,
    forecast,
    ledger,
    license_advice,
    overview,
    printed,
    statement,
    usage,
    what_if,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from perminute_local.reports.forms import Form
    from perminute_local.reports.source import Answer, Question


class Report(NamedTuple):
    """How a report is written."""

    tables: Callable[[Question, Answer], Iterator[RenderableType]] | None  # None: it is CSV only
    items: str = ""  # the field of the answer with what is a row of a CSV file, if there is one
    columns: Callable[[Answer], Sequence[str]] = tuple  # fields of an item, in their order
    has_pages: bool = False
    print: Callable[[Question, Answer, Form], bytes] | None = None  # as HTML or PDF
    makes_csv: bool = False  # the function writes the file itself, with the parameter `format`


REPORTS = {
    "overview": Report(overview.tables, "lots", lambda _: overview.CSV_COLUMNS),
    "usage": Report(usage.tables, "rows", usage.csv_columns),
    "calls": Report(calls.tables, "calls", lambda _: calls.CSV_COLUMNS, has_pages=True),
    "explanation": Report(explanation.tables, "movements", lambda _: explanation.CSV_COLUMNS),
    "ledger": Report(ledger.tables, "entries", lambda _: ledger.CSV_COLUMNS, has_pages=True),
    "statement": Report(statement.tables, print=printed.print_statement, makes_csv=True),
    "pstn-usage": Report(None, makes_csv=True),
    "forecast": Report(forecast.tables, "path", lambda _: forecast.CSV_COLUMNS),
    "license-advice": Report(
        license_advice.tables, "recommendations", lambda _: license_advice.CSV_COLUMNS
    ),
    "what-if": Report(what_if.tables, "byOrganizer", lambda _: what_if.CSV_COLUMNS),
}
