"""The content of a statement, in the order in which it is read: headings, tables and remarks.

It is made from the answer of the report `statement` with its details. What others sent is text in
one line. Amounts are rounded to the decimals of their currency; if that changes one, the exact
amounts, which add up to the micro-unit, are beside them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.pools.pools import Month
from perminute.domain.reference.countries import decimals_of
from perminute.domain.values.money import format_micros, format_rounded, read_micros
from perminute.domain.values.printable import one_line, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Answer = Mapping[str, Any]
    Row = Mapping[str, Any]

MAX_ENTRIES = 5_000
"""Entries that are printed, some fifty on a page; CSV and JSON have all."""

NOTHING = "\N{EN DASH}"
"""What a cell shows for a value that is missing."""

BASES = {"now": "as it is now", "stated": "as it was stated"}
_LEGS = {"tollDialIn": "Toll dial-in", "tollFreeDialIn": "Toll-free dial-in", "dialOut": "Dial-out"}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MINUS = "\N{MINUS SIGN}"


class Column(NamedTuple):
    """A column of a table: its header, and what it contains, row by row."""

    header: str
    cells: list[str]
    is_number: bool = False
    is_faint: bool = False  # repeats the amounts of another column exactly
    is_wide: bool = False  # texts of others, which may be long


class Section(NamedTuple):
    """A table below a heading; its last row may be the sum of the others."""

    heading: str
    columns: list[Column]
    has_total: bool = False
    remark: str = ""


class Figure(NamedTuple):
    """One of the few figures at the top."""

    label: str
    amount: str
    is_negative: bool = False


class Content(NamedTuple):
    """All that a statement says, in one line each."""

    organization: str
    title: str
    lines: list[str]
    figures: list[Figure]
    chart_label: str
    sections: list[Section]
    remarks: list[str]
    warnings: list[str]  # what does not agree


def content_of(organization_id: str, answer: Answer) -> Content:
    """Return what the statement of an organization says."""
    month = Month.parse(answer["month"])
    money = _Money(answer["currency"])
    return Content(
        organization=one_line(organization_id),
        title=f"Statement of {_MONTHS[month.month - 1]} {month.year}",
        lines=[f"Prepaid phone calls into meetings, {BASES[answer['basis']]}"],
        figures=list(_figures(month, money, answer)),
        chart_label=f"Cost of calls by day, {money.name}",
        sections=list(_sections(money, answer)),
        remarks=list(_remarks(money, answer)),
        warnings=[
            f"Does not agree: {one_line(difference)}" for difference in answer["differences"]
        ],
    )


class _Money:
    """How amounts of one currency are written."""

    def __init__(self, currency: str | None) -> None:
        self.name = currency or "no currency yet"
        self.decimals = decimals_of(currency)

    def rounded(self, amount: str) -> str:
        return _signed(format_rounded(read_micros(amount), self.decimals))

    def exact(
        self, header: str, amounts: Iterable[str | None], *, is_faint: bool = False
    ) -> Column:
        """Write amounts with as many decimals as the longest of them, so that they align."""
        values = list(amounts)
        micros = [0 if amount is None else read_micros(amount) for amount in values]
        decimals = max([self.decimals, *map(_decimals_in, micros)])
        cells = [
            NOTHING if value is None else _signed(format_rounded(one, decimals))
            for value, one in zip(values, micros, strict=True)
        ]
        return Column(header, cells, is_number=True, is_faint=is_faint)

    def both(self, header: str, amounts: Sequence[str]) -> Iterator[Column]:
        """Write amounts rounded, and exactly beside them if one of them was rounded."""
        yield Column(header, list(map(self.rounded, amounts)), is_number=True)
        if any(_decimals_in(read_micros(amount)) > self.decimals for amount in amounts):
            yield self.exact("exactly", amounts, is_faint=True)


def _decimals_in(micros: int) -> int:
    return len(format_micros(micros).partition(".")[2])


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)


def _is_over(answer: Answer) -> bool:
    # Both texts begin with a year and a month.
    return bool(answer["asOf"]["at"][:7] > answer["month"])


def _figures(month: Month, money: _Money, answer: Answer) -> Iterator[Figure]:
    last = (month.end - timedelta(days=1)).day
    name = _MONTHS[month.month - 1]
    closing = f"Balance after {name} {last}" if _is_over(answer) else "Balance so far"
    opening, bought, charged = (
        answer["opening"],
        answer["sums"]["purchase"],
        answer["bridge"]["charged"],
    )
    others = (
        read_micros(answer["closing"])
        - read_micros(opening)
        - read_micros(bought)
        + read_micros(charged)
    )
    for label, amount in (
        (f"Balance before {name} 1", opening),
        ("Purchases", bought),
        ("Charged for calls", charged),
        # So that the figures add up; most months have neither.
        *((("Expired and adjusted", format_micros(others)),) if others else ()),
        (closing, answer["closing"]),
    ):
        shown = money.rounded(amount)
        yield Figure(label, shown, is_negative=shown.startswith(_MINUS))


def _sections(money: _Money, answer: Answer) -> Iterator[Section]:
    yield _credit(money, answer)
    yield _bridge(money, answer["bridge"])
    if answer["usage"]["calls"]:
        yield from _usages(money, answer)
    if answer["lots"]:
        yield _lots(money, answer["lots"])
    if answer["changed"]:
        yield _changed(money, answer)
    if answer["entries"]:
        yield _entries(money, answer["entries"])


def _credit(money: _Money, answer: Answer) -> Section:
    sums, charged = answer["sums"], read_micros(answer["bridge"]["charged"])
    # The bridge begins with charges and corrections of calls.
    correction = -charged - read_micros(sums["charge"])
    other = read_micros(sums["adjustment"]) - correction
    lines = {
        "Balance before the month": answer["opening"],
        "Purchases": sums["purchase"],
        "Charges of calls": sums["charge"],
        "Corrections of calls": format_micros(correction),
        "Expired": sums["expiry"],
        "Other adjustments": format_micros(other),
        "Balance after the month" if _is_over(answer) else "Balance so far": answer["closing"],
    }
    return _listed("Credit", "Movements", money, lines)


def _bridge(money: _Money, bridge: Row) -> Section:
    # Amounts to subtract are negative, so that the column adds up.
    lines = {
        "Charged for calls, by the entries of the month": bridge["charged"],
        "For calls of other months": format_micros(-read_micros(bridge["forOtherMonths"])),
        "For calls of this month, booked in others": bridge["bookedLater"],
        "Cost of the calls that ended in the month": bridge["usage"],
    }
    return _listed("From the ledger to the cost of the calls", "Calls", money, lines)


def _listed(heading: str, header: str, money: _Money, lines: Mapping[str, str]) -> Section:
    amounts = money.both(money.name, list(lines.values()))
    return Section(heading, [Column(header, list(lines), is_wide=True), *amounts], has_total=True)


def _usages(money: _Money, answer: Answer) -> Iterator[Section]:
    for field, key, header in (
        ("byLegType", "legType", "Type of call"),
        ("byCountry", "country", "Country"),
        ("byOrganizer", "organizerId", "Organizer"),
    ):
        rows = [*answer[field], answer["usage"]]
        names = [*(_text(_LEGS.get(row[key], row[key])) for row in answer[field]), "Total"]
        heading = f"Calls that ended in the month, by {header.lower()}"
        columns = [Column(header, names, is_wide=True), *_sums_of_calls(money, rows)]
        yield Section(heading, columns, has_total=True)


def _sums_of_calls(money: _Money, rows: Sequence[Row]) -> Iterator[Column]:
    yield _counts("Calls", rows, "calls")
    yield Column("Billed, min:s", [_minutes(row["billedSeconds"]) for row in rows], is_number=True)
    yield _counts("Pool min", rows, "poolMinutes")
    yield from money.both(f"Cost, {money.name}", [row["charge"] for row in rows])
    retail = [money.rounded(row["retailCost"]) for row in rows]
    yield Column("Retail price", retail, is_number=True)


def _lots(money: _Money, lots: Sequence[Row]) -> Section:
    moved = ("bought", "used", "expired", "adjusted")
    columns = [
        Column("Lot", [_text(lot["purchaseId"]) for lot in lots], is_wide=True),
        *(money.exact(name.capitalize(), [lot[name] for lot in lots]) for name in moved),
    ]
    return Section(f"Lots of credit, {money.name} exactly", columns)


def _changed(money: _Money, answer: Answer) -> Section:
    calls = answer["changed"]
    nothing: Answer = {"outcome": "not in this month", "charge": None}
    columns = [Column("Call", [_text(call["callId"]) for call in calls], is_wide=True)]
    for name, header in (("stated", "As stated"), ("now", "Now")):
        states = [call[name] or nothing for call in calls]
        columns.append(Column(header, [_text(words_of(state["outcome"])) for state in states]))
        columns.append(money.exact("charged", [state["charge"] for state in states]))
    more = answer["changedCalls"] - len(calls)
    remark = f"And {more:,} more." if more else ""
    return Section(f"Calls that changed since, {money.name} exactly", columns, remark=remark)


def _entries(money: _Money, entries: Sequence[Row]) -> Section:
    shown = entries[:MAX_ENTRIES]
    more = len(entries) - len(shown)
    columns = [
        Column("Entry", [_text(entry["entryId"].lstrip("0")) for entry in shown]),
        Column("Day and time, UTC", [_time(entry["at"]) for entry in shown]),
        Column("What", [_text(entry["description"]) for entry in shown], is_wide=True),
        Column(
            "Calls",
            [f"{entry['calls']:,}" if entry["calls"] else "" for entry in shown],
            is_number=True,
        ),
        money.exact("Amount", [entry["amount"] for entry in shown]),
        money.exact("Balance", [entry["balance"] for entry in shown]),
    ]
    remark = f"And {more:,} more, which the CSV file of this statement has." if more else ""
    return Section(f"Entries of the ledger, {money.name} exactly", columns, remark=remark)


def _remarks(money: _Money, answer: Answer) -> Iterator[str]:
    yield (
        f"Amounts are rounded to {money.decimals} decimals, a half away from zero, each by itself. "
        "Those that are called exact have all their decimals, down to a millionth, and add up."
    )
    if debt := read_micros(answer["debt"]):
        moved = "grew" if debt > 0 else "fell"
        exactly = money.exact("", [format_micros(abs(debt))]).cells[0]
        why = "calls took more credit than there was" if debt > 0 else "purchases paid it"
        yield f"The debt {moved} by {exactly}: {why}."
    if others := answer["usage"].get("otherRetailCosts"):
        costs = ", ".join(f"{cost} {_text(currency)}" for currency, cost in others.items())
        yield f"Retail prices in other currencies, not added up: {costs}."
    until = _time(answer["statedAt"])
    is_open = "; until then it may change" if answer["asOf"]["at"] < answer["statedAt"] else ""
    yield f"As stated, {answer['month']} contains what is booked before {until} UTC{is_open}."
    if answer["agrees"]:
        yield "Balances, entries and calls agree."
    version = answer["asOf"]["version"]
    known = "" if version else "; nothing is recorded of this organization"
    yield f"As of {_time(answer['asOf']['at'])} UTC (version {version}){known}."


def _counts(header: str, rows: Iterable[Row], name: str) -> Column:
    return Column(header, [f"{row[name]:,}" for row in rows], is_number=True)


def _minutes(seconds: int) -> str:
    whole, rest = divmod(seconds, 60)
    return f"{whole:,}:{rest:02d}"


def _time(at: str) -> str:
    return one_line(f"{at[:10]} {at[11:19]}".strip())


def _text(value: str | None) -> str:
    return NOTHING if value is None else one_line(value)
