"""A statement to print: what others sent is text in it, and nothing else."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_answers import detailed
from report_stack import stack_that

from perminute.domain.values.printable import one_line
from perminute.formats.charts import cost_by_day, svg_of
from perminute.formats.statements import content as content_module
from perminute.formats.statements.content import content_of
from perminute_local.cli import main
from perminute_local.reports.forms import Form
from perminute_local.reports.printed import print_statement
from perminute_local.reports.source import Question
from perminute_local.wrong_call import WrongCall

if TYPE_CHECKING:
    from pathlib import Path

STATEMENT = ["statement", "--stack", "s", "--organization", "contoso", "--month", "2026-11"]


class Parts(HTMLParser):
    """The elements of a page with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def printed(answer: dict[str, Any], form: Form = Form.HTML) -> bytes:
    question = Question("statement", "contoso", {"month": "2026-11"})
    return print_statement(question, answer, form)


def page_with(text: str) -> Parts:
    # Without days there is no chart, which takes a second and contains no text of others.
    return Parts(printed({**detailed(text), "byDay": []}).decode())


ELEMENTS = page_with("adele").elements


def test_a_statement_is_a_page_of_tables_with_the_figures_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = stack_that(monkeypatch, lambda _: {**detailed("Zoë"), "agrees": True, "byDay": []})
    assert main([*STATEMENT, "--format", "html", "--output", str(tmp_path / "page.html")]) == 0
    assert [stack.asked[0][name] for name in ("operation", "details")] == ["statement", True]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    written = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written.startswith("<!DOCTYPE html>")
    shown = [text for text in Parts(written).texts if text.strip()]
    first = shown.index("Balance before November 1")
    assert shown[first : first + 10] == [
        *("Balance before November 1", "100.00", "Purchases", "1,000.00"),
        *("Charged for calls", "12.00", "Expired and adjusted", "\N{MINUS SIGN}1.50"),
        *("Balance so far", "1,086.50"),
    ]
    assert shown.count("Zoë") == 3


@settings(max_examples=30)
@given(text=st.text(min_size=1, max_size=30))
@example(text="<script>alert(1)</script>")
@example(text="</title></table><img src=x onerror=alert(1)>")
@example(text='"><style>*{display:none}</style>')
@example(text="&lt;b&gt; $title ${title}")
@example(text="adele\u202egpj.exe\u2066\x1b[2J\r\n\ud800")
def test_whatever_others_sent_is_text_of_the_page(text: str) -> None:
    parts = page_with(text)
    assert parts.elements == ELEMENTS
    shown = one_line(text)
    assert [one.strip() for one in parts.texts].count(shown.strip()) >= 3
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in parts.elements}
    assert "".join(parts.texts).replace("\n", "").isprintable()


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    (policy,) = [
        dict(attributes)["content"]
        for tag, attributes in page_with("adele").elements
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attributes
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


@pytest.mark.parametrize(
    ("at", "figure", "line"),
    [
        ("2026-11-30T23:59:59Z", "Balance so far", "Balance so far"),
        ("2026-12-01T00:00:00Z", "Balance after November 30", "Balance after the month"),
    ],
)
def test_a_month_that_is_not_over_has_no_balance_after_it(at: str, figure: str, line: str) -> None:
    answer = {**detailed("adele"), "asOf": {"at": at, "version": 3}}
    content = content_of("contoso", answer)
    assert content.figures[-1].label == figure
    assert content.sections[0].columns[0].cells[-1] == line


def test_amounts_are_rounded_as_their_currency_is_and_exact_beside_it() -> None:
    content = content_of("contoso", {**detailed("adele"), "closing": "1086.504999", "debt": "-2.5"})
    credit = content.sections[0]
    assert [(column.header, column.cells[-1]) for column in credit.columns] == [
        ("Movements", "Balance so far"),
        ("USD", "1,086.50"),
        ("exactly", "1,086.504999"),
    ]
    assert "The debt fell by 2.50" in " ".join(content.remarks)
    yen = content_of("contoso", {**detailed("adele"), "currency": "JPY"})
    assert [figure.amount for figure in yen.figures] == [
        "100",
        "1,000",
        "12",
        "\N{MINUS SIGN}2",
        "1,087",
    ]


def test_what_has_no_decimals_beyond_its_currency_is_written_once() -> None:
    whole = {**detailed("adele"), "closing": "1086.5"}
    assert [column.header for column in content_of("contoso", whole).sections[0].columns] == [
        "Movements",
        "USD",
    ]


def test_more_entries_than_are_printed_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "MAX_ENTRIES", 2)
    answer = detailed("adele")
    *_, entries = content_of("contoso", {**answer, "entries": answer["entries"] * 3}).sections
    assert len(entries.columns[0].cells) == 2
    assert entries.remark == "And 1 more, which the CSV file of this statement has."


def test_a_pdf_is_tagged_and_the_same_each_time() -> None:
    hostile = '#panic("x") $ *bold* ' + "a" * 250
    first, again = (printed({**detailed(hostile), "byDay": []}, Form.PDF) for _ in range(2))
    assert first == again
    assert first.startswith(b"%PDF-")
    assert b"/StructTreeRoot" in first
    assert b"/Lang" in first


def test_a_pdf_has_the_chart_that_the_console_shows() -> None:
    answer = detailed("adele")
    chart = svg_of(cost_by_day("2026-11", answer["byDay"]), "serif")
    assert chart.count('aria-roledescription="bar"') == 1
    assert "1,000" in chart
    without = printed({**answer, "byDay": []}, Form.PDF)
    assert printed(answer, Form.PDF).count(b"/Figure") == without.count(b"/Figure") + 1


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "typst", None)
    answer = {**detailed("adele"), "byDay": []}
    with pytest.raises(WrongCall, match=r"needs typst, .*pip install 'perminute\[statements\]'"):
        printed(answer, Form.PDF)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    assert b"<figure>" not in printed(detailed("adele"))
    stack_that(monkeypatch, lambda _: answer)
    kept = tmp_path / "kept.pdf"
    kept.write_bytes(b"before")
    assert main([*STATEMENT, "--format", "pdf", "--output", str(kept)]) == 2
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        ("kept.pdf", b"before")
    ]


def test_a_pdf_is_not_written_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main([*STATEMENT, "--format", "pdf"]) == 2
    assert "--format pdf needs --output FILE" in capsys.readouterr().err
