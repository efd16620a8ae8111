"""`perminute what-if`: recorded calls with another card, other licenses or another pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.printable import counted
from perminute_local.reports.layout import amount, as_of, count, money, table_of, text
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.layout import Column
    from perminute_local.reports.source import Answer, Question


CSV_COLUMNS = ("organizerId", "calls", "recorded", "whatIf", "difference", "currency")
"""By organizer: a file that had countries too would count each call twice."""


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield what would differ by organizer and by country, and how many calls are not charged."""
    heading = f"{question.organization_id}: {answer['month']}, if it were so"
    currency = answer["currency"] or ""
    total = {
        "calls": answer["calls"],
        "recorded": answer["recorded"]["charge"],
        "whatIf": answer["whatIf"]["charge"],
        "difference": answer["difference"],
    }
    for name, header in (("organizerId", "organizer"), ("country", "country")):
        rows = answer["byOrganizer" if name == "organizerId" else "byCountry"]
        columns = {name: text(header), **_figures(currency)}
        yield table_of(f"{heading}, by {header}", columns, rows, {name: "total", **total})
    yield from map(plain, _lines(answer))
    yield as_of(answer)


def _figures(currency: str) -> dict[str, Column]:
    return {
        "calls": count("calls"),
        "recorded": money(f"charged {currency}".strip()),
        "whatIf": money(f"would be {currency}".strip()),
        "difference": money("difference"),
    }


def _lines(answer: Answer) -> Iterator[str]:
    pool, recorded, otherwise = answer["pool"], answer["recorded"], answer["whatIf"]
    before, after = pool["recorded"], pool["whatIf"]
    yield (
        f"{answer['changedCalls']} of {counted(answer['calls'], 'call')} would differ: "
        f"{amount(answer['difference'])} in all."
    )
    yield (
        f"Minute pool: {before['used']} of {before['minutes']} used, and "
        f"{after['used']} of {after['minutes']} if it were so."
    )
    for name, words in (("notEntitled", "that no license covers"), ("unrated", "without a price")):
        if recorded[name] or otherwise[name]:
            yield f"Calls {words}, which are not charged: {recorded[name]}, then {otherwise[name]}."
    for name, words in (
        (
            "usersWithoutCalls",
            "No call that counts in this month, so their licenses change at most the pool",
        ),
        ("unknownUsers", "Nothing is recorded of these users, check their ids"),
    ):
        if users := answer[name]:
            yield f"{words}: {', '.join(users)}."
