"""Write a report as a page of HTML, to be read in a browser and printed on A4.

It has no script, loads nothing, and what others sent is text in it: escaped, and in one line.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from perminute.domain.values.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from perminute_local.reports.layout import Column, Section


def page_of(
    title: str, lines: Iterable[str], sections: Iterable[Section], notes: Iterable[str]
) -> str:
    """Return a page: a title, lines below it, tables, and what is to be known of them."""
    template = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=_text(title),
        lines=_paragraphs(lines),
        sections="\n".join(map(_table, sections)),
        notes=_paragraphs(notes),
    )


def _table(section: Section) -> str:
    heading, columns, rows, total = section
    shown = [*rows, total] if total is not None else rows
    cells = [column.write([row.get(name) for row in shown]) for name, column in columns.items()]
    written = [_row("td", row, columns) for row in zip(*cells, strict=True)]
    header = _row("th", [column.header for column in columns.values()], columns)
    foot = f"<tfoot>{written.pop()}</tfoot>" if total is not None else ""
    body = "\n".join(written)
    return (
        f'<div class="table"><table><caption>{_text(heading)}</caption>\n'
        f"<thead>{header}</thead>\n<tbody>\n{body}\n</tbody>\n{foot}</table></div>"
    )


def _row(tag: str, cells: Iterable[str], columns: Mapping[str, Column]) -> str:
    return f"<tr>{''.join(_cells(tag, cells, columns))}</tr>"


def _cells(tag: str, cells: Iterable[str], columns: Mapping[str, Column]) -> Iterator[str]:
    for cell, column in zip(cells, columns.values(), strict=True):
        kind = ' class="number"' if column.justify == "right" else ""
        scope = ' scope="col"' if tag == "th" else ""
        yield f"<{tag}{scope}{kind}>{_text(cell)}</{tag}>"


def _paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(f"<p>{_text(line)}</p>" for line in lines)


def _text(value: str) -> str:
    return escape(one_line(value))
