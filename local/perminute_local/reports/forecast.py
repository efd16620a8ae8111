"""`perminute forecast`: what the month will cost, and when the credit runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.printable import counted
from perminute_local.reports.layout import amount, as_of, money, table_of, text, time_of
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.layout import Row
    from perminute_local.reports.source import Answer, Question

CSV_COLUMNS = ("day", "low", "expected", "high", "currency")
_BANDS = {"month": "cost of this month (UTC)", "forfeited": "credit that will expire"}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield what is expected, with a band that is right in 8 cases of 10."""
    heading = f"{question.organization_id}: forecast"
    if answer["status"] == "ok":
        currency = answer["currency"] or ""
        columns = {
            "what": text("forecast"),
            **{name: money(f"{name} {currency}".strip()) for name in ("low", "expected", "high")},
        }
        rows = [{"what": words, **answer[name]} for name, words in _BANDS.items()]
        yield table_of(heading, columns, rows)
        yield from map(plain, _lines(answer))
    else:
        yield plain(heading, style="bold")
    yield from map(plain, _basis(answer))
    yield as_of(answer)


def _lines(answer: Answer) -> Iterator[str]:
    runs_out, recharges = answer["runsOut"], answer["recharges"]
    names = ("expected", "earliest", "latest")
    days = ", ".join(f"{name} {runs_out[name] or 'after the horizon'}" for name in names)
    if any(runs_out[name] for name in names):
        yield f"The credit runs out: {days}."
    else:
        yield f"The credit does not run out within {counted(len(answer['path']), 'day')}."
    if unanswered := answer.get("unansweredRecharge"):
        yield (
            f"Recharges: none is counted on. That of {amount(unanswered['amount'])} requested on "
            f"{time_of(unanswered['requestedAt'])} is not answered, and while it is open no other "
            "is requested."
        )
        return
    yield f"Recharges: {recharges['expected']} expected, {recharges['high']} if much is spent."


def _basis(answer: Answer) -> Iterator[str]:
    basis: Row = answer["basis"]
    known = f"{counted(basis['days'], 'day')}, {basis['activeDays']} of them with cost"
    if answer["status"] == "ok":
        yield f"Known are {known}: confidence {answer['confidence']}."
    else:
        yield f"Too little is known for a forecast: {known}. It takes 7 days, 3 of them with cost."
