"""`perminute statement`: what moved the credit in a month, and what its calls cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.money import format_micros, read_micros
from perminute_local.reports.layout import as_of, money, table_of, text, time_of
from perminute_local.reports.usage import KEYS, figures
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.layout import Row
    from perminute_local.reports.source import Answer, Question

BASES = {"now": "as it is now", "stated": "as it was stated"}
_SUMS = {
    "purchase": "purchases",
    "charge": "charges of calls",
    "expiry": "expired",
    "adjustment": "adjustments",
}
_BRIDGE = {
    "charged": "charged for calls, by the entries of the month",
    "forOtherMonths": "for calls of other months",
    "bookedLater": "for calls of this month, booked in others",
    "usage": "cost of the calls that ended in the month",
}
_BROKEN_DOWN = {
    "byLegType": ("legType", "type"),
    "byCountry": ("country", "country"),
    "byOrganizer": ("organizerId", "organizer"),
}
_LOTS = {
    "purchaseId": text("lot"),
    "bought": money("bought"),
    "used": money("used"),
    "expired": money("expired"),
    "adjusted": money("adjusted"),
}
_CHANGED = {
    "callId": text("call"),
    "was": text("as stated"),
    "stated": money("charged"),
    "is": text("now"),
    "now": money("charged"),
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield balances, usage, how they lead to each other, lots, and what has changed since."""
    who, month = question.organization_id, answer["month"]
    currency = answer["currency"] or "no currency yet"
    heading = f"{who}: statement of {month}, {BASES[answer['basis']]}"
    columns = {"what": text("credit"), "amount": money(currency)}
    rows = [
        {"what": "balance before the month", "amount": answer["opening"]},
        *({"what": words, "amount": answer["sums"][name]} for name, words in _SUMS.items()),
    ]
    closing = {"what": "balance after the month", "amount": answer["closing"]}
    yield table_of(heading, columns, rows, closing)
    for field, (key, name) in _BROKEN_DOWN.items():
        heading = f"{who}: calls that ended in {month}, by {name}"
        yield _usage(heading, key, answer[field], answer)
    *steps, cost = _bridge(answer["bridge"])
    heading = f"{who}: from the ledger to the cost of the calls"
    yield table_of(heading, {**columns, "what": text("calls")}, steps, cost)
    if answer["lots"]:
        yield table_of(f"{who}: lots of credit in {month}", _LOTS, answer["lots"])
    if answer["changed"]:
        changed = list(map(_change, answer["changed"]))
        yield table_of(f"{who}: calls that changed since {month} was stated", _CHANGED, changed)
    yield from map(plain, _lines(answer))
    yield as_of(answer)


def _usage(heading: str, key: str, rows: list[Row], answer: Answer) -> RenderableType:
    columns = {key: KEYS[key], **figures(answer["currency"])}
    return table_of(heading, columns, rows, {key: "total", **answer["usage"]})


def _bridge(bridge: Row) -> list[Row]:
    # What is to be taken off is negative: so the column adds up.
    signed = {**bridge, "forOtherMonths": format_micros(-read_micros(bridge["forOtherMonths"]))}
    return [{"what": words, "amount": signed[name]} for name, words in _BRIDGE.items()]


def _change(call: Row) -> Row:
    stated, now = call["stated"], call["now"]
    nothing = {"outcome": "not in this month", "charge": None}
    return {
        "callId": call["callId"],
        "was": (stated or nothing)["outcome"],
        "stated": (stated or nothing)["charge"],
        "is": (now or nothing)["outcome"],
        "now": (now or nothing)["charge"],
    }


def _lines(answer: Answer) -> Iterator[str]:
    more = answer["changedCalls"] - len(answer["changed"])
    if more:
        yield f"{more:,} more calls changed."
    until = time_of(answer["statedAt"])
    yield f"What is booked from {until} UTC on is not in the month as it was stated."
    if answer["agrees"]:
        yield "Balances, entries and calls agree."
    for difference in answer["differences"]:
        yield f"DOES NOT AGREE: {difference}"
