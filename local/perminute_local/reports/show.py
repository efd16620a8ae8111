"""Ask for a report and write it: for people as tables or to print, as CSV or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from perminute.formats.csv_output import write_csv
from perminute_local.reports.folder import replayed_reports
from perminute_local.reports.forms import PRINTED, Form
from perminute_local.reports.kinds import REPORTS
from perminute_local.reports.layout import as_of
from perminute_local.reports.pages import read_listing, read_parts
from perminute_local.reports.source import StackReports, in_words_of_options
from perminute_local.tables import write_tables
from perminute_local.terminal import remark, write_json, write_large_json

if TYPE_CHECKING:
    from perminute_local.reports.forms import Source
    from perminute_local.reports.kinds import Report
    from perminute_local.reports.source import Answer, Question, Reports


SHOWN = 50
"""Calls that a table has, unless the user names another number."""


def show_from(source: Source, question: Question, form: Form, *, at_most: int | None = None) -> int:
    """Write a report from where its figures are; returns the exit code."""
    if source.figures is not None:
        # Imported for this alone: it takes as long as the functions to start.
        from perminute_local.reports.figures_file import GivenFigures  # noqa: PLC0415

        return show(GivenFigures(source.figures), question, form, at_most=at_most)
    if source.folder is not None:
        with replayed_reports(source.folder) as reports:
            return show(reports, question, form, at_most=at_most)
    return show(StackReports(str(source.stack)), question, form, at_most=at_most)


def show(reports: Reports, question: Question, form: Form, *, at_most: int | None = None) -> int:
    """Write a report; returns the exit code.

    It is 1 if what the report is about is not known, or the report says that it does not agree
    with what is recorded. Of a listing all items are written, or `at_most` so many.
    """
    report = REPORTS[question.report]
    answer = _read(reports, question, report, form, at_most)
    if "error" in answer:
        return _not_found(question, answer, form)
    if form is Form.JSON:
        write_large_json(answer)
    elif form is Form.CSV or report.tables is None:
        _write_csv(report, answer)
        remark(as_of(answer).plain)
    elif form in PRINTED and report.print is not None:
        sys.stdout.buffer.write(report.print(question, answer, form))
    else:
        write_tables(report.tables(question, _with_lists(answer)))
    return 0 if answer.get("agrees", True) is True else 1


def _read(
    reports: Reports, question: Question, report: Report, form: Form, at_most: int | None
) -> Answer:
    if report.has_pages:
        if form is Form.TEXT and question.report == "calls":
            at_most = at_most or SHOWN
        answer, items = read_listing(reports, question, report.items, at_most=at_most)
        return {**answer, report.items: iter(items)}
    if report.tables is None:
        answer, parts = read_parts(reports, question)
        return {**answer, "csv": "".join(parts) if form is Form.JSON else iter(parts)}
    if report.makes_csv and form is Form.CSV:
        question = question.with_parameters(format="csv")
    if form in PRINTED:
        question = question.with_parameters(details=True)
    return reports.ask(question)


def _with_lists(answer: Answer) -> Answer:
    return {name: list(one) if isinstance(one, Iterator) else one for name, one in answer.items()}


def _not_found(question: Question, answer: Answer, form: Form) -> int:
    remark(f"perminute: {in_words_of_options(answer['message'], question)}")
    if form is Form.JSON:
        write_json(answer)
    return 1


def _write_csv(report: Report, answer: Answer) -> None:
    with _utf_8() as stream:
        if report.makes_csv:
            stream.writelines(answer["csv"])
        else:
            names = report.columns(answer)
            # The currency of all amounts, unless an item has one of its own.
            of_all = {"currency": answer.get("charge", answer).get("currency")}
            items = ({**of_all, **item} for item in answer[report.items])
            rows = ([_cell(item.get(name)) for name in names] for item in items)
            write_csv(stream, names, rows)


@contextmanager
def _utf_8() -> Iterator[TextIOWrapper]:
    # Standard output in UTF-8 and with the line ends of the text, whatever the console has.
    stream = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=True)
    try:
        yield stream
    finally:
        stream.detach()


def _cell(value: Any) -> str | int | None:  # noqa: ANN401 - whatever a field contains
    match value:
        case list():
            return "; ".join(_part(one) for one in value)
        case dict():
            return "; ".join(f"{name} {one}" for name, one in value.items())
        case None | int() | str():
            return value
    return str(value)


def _part(value: Any) -> str:  # noqa: ANN401 - what a list contains
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
