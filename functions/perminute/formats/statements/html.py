"""Write a statement as a page of HTML, to be read in a browser and printed on A4.

It is one file, has no script and loads nothing; what others sent is text in it: escaped, in one
line.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from perminute.formats.statements.content import Column, Content, Section

FONT = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
"""The font of the page, also of its chart."""

_TEMPLATE = Path(__file__).with_name("page.html")


def statement_html(content: Content, chart: str | None) -> str:
    """Return a statement, with a chart in SVG if it has one, which is ours and contains no text."""
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(
        organization=escape(content.organization),
        title=escape(content.title),
        lines=_paragraphs(content.lines),
        warnings="\n".join(
            f'<p role="alert">{escape(warning)}</p>' for warning in content.warnings
        ),
        figures="\n".join(_figures(content)),
        chart="" if chart is None else _chart(content.chart_label, chart),
        sections="\n".join(map(_section, content.sections)),
        remarks=_paragraphs(content.remarks),
    )


def _figures(content: Content) -> Iterator[str]:
    for label, amount, is_negative in content.figures:
        kind = ' class="negative"' if is_negative else ""
        yield f"<div><dt>{escape(label)}</dt><dd{kind}>{escape(amount)}</dd></div>"


def _chart(label: str, svg: str) -> str:
    name = escape(label)
    picture = f'<div role="img" aria-label="{name}">{svg}</div>'
    return f"<figure><figcaption>{name}</figcaption>\n{picture}</figure>"


def _section(section: Section) -> str:
    columns = section.columns
    rows = [
        _row("td", row, columns) for row in zip(*(shown.cells for shown in columns), strict=True)
    ]
    header = _row("th", [column.header for column in columns], columns)
    foot = f"<tfoot>{rows.pop()}</tfoot>" if section.has_total else ""
    body = "\n".join(rows)
    remark = f"<p>{escape(section.remark)}</p>" if section.remark else ""
    return (
        f'<div class="table"><table><caption>{escape(section.heading)}</caption>\n'
        f"<thead>{header}</thead>\n<tbody>\n{body}\n</tbody>\n{foot}</table>{remark}</div>"
    )


def _row(tag: str, cells: Iterable[str], columns: Sequence[Column]) -> str:
    return f"<tr>{''.join(_cells(tag, cells, columns))}</tr>"


def _cells(tag: str, cells: Iterable[str], columns: Sequence[Column]) -> Iterator[str]:
    scope = ' scope="col"' if tag == "th" else ""
    for cell, column in zip(cells, columns, strict=True):
        names = [name for name in ("number", "faint", "wide") if getattr(column, f"is_{name}")]
        kind = f' class="{" ".join(names)}"' if names else ""
        yield f"<{tag}{scope}{kind}>{escape(cell)}</{tag}>"


def _paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)
