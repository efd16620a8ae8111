"""A statement as a page to print: what others sent is text in it, and nothing else."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from report_answers import statement
from report_stack import stack_that

from perminute.domain.values.printable import one_line
from perminute_local.cli import main
from perminute_local.reports.source import Question
from perminute_local.reports.statement import page

if TYPE_CHECKING:
    import pytest

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


def page_with(text: str) -> Parts:
    return Parts(page(Question("statement", text, {"month": "2026-11"}), statement(text)))


def test_a_statement_is_a_page_of_tables(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    stack = stack_that(monkeypatch, lambda _: {**statement("Zoë"), "agrees": True})
    assert main([*STATEMENT, "--format", "html"]) == 0
    assert "format" not in stack.asked[0]
    written = capfdbinary.readouterr().out.decode("utf-8")
    assert written.startswith("<!DOCTYPE html>")
    shown = [text for text in Parts(written).texts if text.strip()]
    assert "contoso: statement of 2026-11, as it is now" in shown
    after = shown.index("balance after the month")
    assert shown[after : after + 2] == ["balance after the month", "1,086.50"]
    assert shown.count("Zoë") == 3


@given(text=st.text(min_size=1, max_size=30))
@example(text="<script>alert(1)</script>")
@example(text="</title></table><img src=x onerror=alert(1)>")
@example(text='"><style>*{display:none}</style>')
@example(text="&lt;b&gt; $title ${title}")
@example(text="adele\u202egpj.exe\u2066\x1b[2J\r\n\ud800")
def test_whatever_others_sent_is_text_of_the_page(text: str) -> None:
    parts = page_with(text)
    assert parts.elements == page_with("adele").elements
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
