"""`perminute statement --format html` and `--format pdf`: a statement to print and to file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from perminute.domain.values.times import parse_instant
from perminute.formats import charts
from perminute.formats.statements import html, pdf
from perminute.formats.statements.content import content_of
from perminute_local.reports.forms import Form
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from perminute_local.reports.source import Answer, Question


def print_statement(question: Question, answer: Answer, form: Form) -> bytes:
    """Return the statement in a form, HTML or PDF.

    HTML has a chart if the packages for PDF are installed. Raises `WrongCall` if PDF needs them.
    """
    content = content_of(question.organization_id, answer)
    if form is Form.HTML:
        chart = None
        with suppress(ImportError):
            chart = charts.of_statement(answer, html.FONT)
        return html.statement_html(content, chart).encode()
    try:
        at = parse_instant(answer["asOf"]["at"])
        return pdf.statement_pdf(content, charts.of_statement(answer, pdf.FONT), at)
    except ImportError as error:
        msg = (
            f"--format pdf needs {error.name}, which is not installed; install what statements "
            "need with: pip install 'perminute[statements]' (in a checkout: '.[statements]')"
        )
        raise WrongCall(msg) from error
