"""Write a statement as PDF by typst (https://typst.app/docs/reference/pdf/).

The content comes as JSON, which the template reads as data: no text of others is ever markup. The
PDF is tagged, so that a screen reader finds headings, tables and the text of the chart.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.formats.statements.content import Column, Content

FONT = "Libertinus Serif"
"""A font that comes with typst, so that a PDF looks the same wherever it is made."""

_LONG_WORD = re.compile(r"\S{25,}")
_TEMPLATE = Path(__file__).with_name("statement.typ")


def statement_pdf(content: Content, chart: str | None, at: datetime) -> bytes:
    """Return a statement as of an instant, with a chart in SVG if it has one.

    The same content makes the same bytes. Raises `ImportError` if `typst` is not installed.
    """
    from typst import compile as typeset  # noqa: PLC0415 - 80 MB, which few need

    said = json.dumps({**_plain(content), "chart": chart})
    pdf = typeset(
        _TEMPLATE.read_bytes(),
        format="pdf",
        sys_inputs={"statement": said},
        timestamp=at.replace(microsecond=0),
        ignore_system_fonts=True,
    )
    if not isinstance(pdf, bytes):
        msg = "typst did not answer with one PDF"
        raise TypeError(msg)
    return pdf


def _plain(content: Content) -> dict[str, object]:
    sections = [
        {**section._asdict(), "columns": [_with_breaks(column) for column in section.columns]}
        for section in content.sections
    ]
    figures = [figure._asdict() for figure in content.figures]
    return {**content._asdict(), "sections": sections, "figures": figures}


def _with_breaks(column: Column) -> dict[str, object]:
    # Where a long id has no place to break a line, it may be broken anywhere.
    cells = [_LONG_WORD.sub(lambda word: "\u200b".join(word[0]), cell) for cell in column.cells]
    return column._replace(cells=cells)._asdict()
