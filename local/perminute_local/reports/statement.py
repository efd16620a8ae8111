"""`perminute statement`: what moved the credit in a month, and what its calls cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.money import format_micros, read_micros
from perminute_local.reports.layout import (
    Section,
    amount,
    as_of,
    code,
    money,
    table_of,
    text,
    time_of,
)
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
    "correction": "corrections of calls",
    "expiry": "expired",
    "other": "other adjustments",
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
    "was": code("as stated"),
    "stated": money("charged"),
    "is": code("now"),
    "now": money("charged"),
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield balances, usage, how they lead to each other, lots, and what has changed since."""
    balance, *others = _sections(answer)
    yield table_of(*balance._replace(heading=_title(question, answer)))
    for section in others:
        heading = f"{question.organization_id}: {section.heading}"
        yield table_of(*section._replace(heading=heading))
    yield from map(plain, _lines(answer))
    yield as_of(answer)


def _title(question: Question, answer: Answer) -> str:
    basis = BASES[answer["basis"]]
    return f"{question.organization_id}: statement of {answer['month']}, {basis}"


def _sections(answer: Answer) -> Iterator[Section]:
    month, currency, sums = answer["month"], answer["currency"], _sums(answer)
    columns = {"what": text("credit"), "amount": money(currency or "no currency yet")}
    rows = [
        {"what": "balance before the month", "amount": answer["opening"]},
        *({"what": words, "amount": sums[name]} for name, words in _SUMS.items()),
    ]
    closing = {"what": "balance after the month", "amount": answer["closing"]}
    yield Section("balance", columns, rows, closing)
    for field, (key, name) in _BROKEN_DOWN.items():
        figures_of = {key: KEYS[key], **figures(currency)}
        total = {key: "total", **answer["usage"]}
        heading = f"calls that ended in {month}, by {name}"
        yield Section(heading, figures_of, answer[field], total)
    *steps, cost = _bridge(answer["bridge"])
    heading = "from the ledger to the cost of the calls"
    yield Section(heading, {**columns, "what": text("calls")}, steps, cost)
    if answer["lots"]:
        yield Section(f"lots of credit in {month}", _LOTS, answer["lots"])
    if answer["changed"]:
        changed = list(map(_change, answer["changed"]))
        yield Section(f"calls that changed since {month} was stated", _CHANGED, changed)


def _sums(answer: Answer) -> Row:
    # Charges and corrections of calls are what the bridge begins with.
    sums, charged = answer["sums"], read_micros(answer["bridge"]["charged"])
    correction = -charged - read_micros(sums["charge"])
    other = read_micros(sums["adjustment"]) - correction
    return {**sums, "correction": format_micros(correction), "other": format_micros(other)}


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
        yield f"Calls that changed besides: {more:,}."
    if debt := read_micros(answer["debt"]):
        moved = "grew" if debt > 0 else "fell"
        yield f"The debt {moved} by {amount(format_micros(abs(debt)))}."
    until = time_of(answer["statedAt"])
    is_stated = time_of(answer["asOf"]["at"]) >= until
    is_open = "" if is_stated else "; until then it may change"
    yield f"As stated, {answer['month']} contains what is booked before {until} UTC{is_open}."
    if answer["agrees"]:
        yield "Balances, entries and calls agree."
    for difference in answer["differences"]:
        yield f"DOES NOT AGREE: {difference}"
