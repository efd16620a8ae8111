"""`perminute explain`: why a call cost what it did, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from perminute_local.reports.layout import as_of
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.source import Answer, Question

CSV_COLUMNS = ("entryId", "at", "type", "amount", "currency", "cause", "before")
"""What charged and changed the call, a row each."""


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield a line for each sentence."""
    yield plain(f"{question.organization_id}: call {answer['callId']}", style="bold")
    for sentence in answer["sentences"]:
        yield Text("- ").append_text(plain(sentence))
    yield as_of(answer)
