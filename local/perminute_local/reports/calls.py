"""`perminute calls`: the calls of a period, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.printable import words_of
from perminute_local.reports.layout import (
    Column,
    as_of,
    instant,
    minutes,
    money,
    omitted,
    period,
    table_of,
    text,
)
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.layout import Row
    from perminute_local.reports.source import Answer, Question

_SHORT = {"tollDialIn": "in", "tollFreeDialIn": "toll-free", "dialOut": "out"}
CSV_COLUMNS = (
    *("endedAt", "answeredAt", "callId", "meetingId", "organizerId", "legType"),
    *("number", "country", "prefix", "connectedSeconds", "billedSeconds", "poolMinutes"),
    *("ratePerMinute", "connectionFee", "retailCost", "charge", "currency"),
    *("outcome", "reason", "flags", "entries", "revision"),
)
COLUMNS = {
    "endedAt": instant("ended (UTC)"),
    "callId": text("call"),
    "organizerId": text("organizer"),
    "legType": Column("type", lambda values: [_SHORT.get(value, str(value)) for value in values]),
    "number": text("number"),
    "billedSeconds": minutes("min:s"),
    "charge": money("charged"),
    "what": text("outcome", folds=True),
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield a line for each call, and how to get those that are not shown."""
    calls = [{**call, "what": _what(call)} for call in answer["calls"]]
    heading = f"{question.organization_id}: calls {period(question.parameters)}, the last first"
    currency = next((call["currency"] for call in calls if call["charge"] != "0"), "")
    charged = COLUMNS["charge"]._replace(header=f"charged {currency}".strip())
    yield table_of(heading, {**COLUMNS, "charge": charged}, calls)
    yield as_of(answer)
    yield from omitted(answer)
    if answer["next"]:
        yield plain(f"These are the last {len(calls)}: --limit N shows more, --csv writes all.")


def _what(call: Row) -> str:
    outcome = words_of(call["outcome"])
    marks = ", ".join(map(words_of, filter(None, [call["reason"], *call["flags"]])))
    return f"{outcome} ({marks})" if marks else outcome
