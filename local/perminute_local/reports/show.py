"""Ask for a report and write it, as a table for people or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute_local.reports import usage
from perminute_local.reports.forms import Form
from perminute_local.tables import write_tables
from perminute_local.terminal import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from perminute_local.reports.source import Answer, Question, Reports

TABLES: dict[str, Callable[[Question, Answer], Iterator[RenderableType]]] = {
    "usage": usage.tables,
}
"""What writes each report for people."""


def show(reports: Reports, question: Question, form: Form) -> int:
    """Write a report; returns the exit code."""
    answer = reports.ask(question)
    if form is Form.JSON:
        write_json(answer)
    else:
        write_tables(TABLES[question.report](question, answer))
    return 0
