"""A statement as files: PDF, HTML, CSV and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import json, to_builtins

from perminute.api.reports.documents import AsOf
from perminute.api.reports.statement import report_differences, statement_document
from perminute.domain.errors import Unavailable
from perminute.domain.values.times import format_instant
from perminute.formats import charts
from perminute.formats.csv_output import csv_text
from perminute.formats.statement_csv import COLUMNS, statement_rows
from perminute.formats.statements import html, pdf
from perminute.formats.statements.content import content_of
from perminute.ports.statements import StatementFile

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from perminute.api.reports.statement import StatementDocument
    from perminute.domain.credit.accounts import Account
    from perminute.domain.reporting.statement import Statement

CONTENT_TYPES = {
    "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}


def statement_files(
    account: Account, statement: Statement, at: datetime, forms: Collection[str]
) -> list[StatementFile]:
    """Return a statement in these forms; a difference is logged and counted.

    Raises `Unavailable` if it cannot be drawn or typeset, so that only this organization waits.
    """
    report_differences(account.organization_id, statement)
    as_of = AsOf(at=format_instant(at), version=account.version)
    document = statement_document(as_of, account.currency, statement, with_details=True)
    try:
        return [
            StatementFile(
                form, CONTENT_TYPES[form], _content(form, account, statement, document, at)
            )
            for form in forms
        ]
    except (RuntimeError, ValueError) as error:
        # What typst and vl-convert raise.
        msg = f"the statement of {statement.month} cannot be written: {error}"
        raise Unavailable(msg) from error


def _content(
    form: str, account: Account, statement: Statement, document: StatementDocument, at: datetime
) -> bytes:
    match form:
        case "csv":
            return csv_text(COLUMNS, statement_rows(statement, account.currency)).encode()
        case "json":
            return json.format(json.encode(document), indent=2)
    said = to_builtins(document)
    content = content_of(account.organization_id, said)
    if form == "html":
        return html.statement_html(content, charts.of_statement(said, html.FONT)).encode()
    return pdf.statement_pdf(content, charts.of_statement(said, pdf.FONT), at)
