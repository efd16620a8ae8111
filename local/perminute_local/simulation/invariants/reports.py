"""What must hold of each report: it shows what was posted up to the version that it names."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from perminute.domain.forecast.spend_model import MAX_DAYS, SpendHistory
from perminute.domain.pools.pools import Month
from perminute.domain.reporting.postings import ListedUsage
from perminute.domain.values.money import format_micros, read_micros
from perminute.domain.values.times import format_instant, parse_instant
from perminute_local.simulation.invariants.invariant import invariant, promise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from perminute.domain.rating.usage_record import Usage
    from perminute_local.simulation.invariants.posted import IsIn, Known, Posted

    Compared = Iterator[tuple[str, object, object]]

Document = dict[str, Any]

_STATED_AFTER = timedelta(days=3)
_FOREVER = datetime.max.replace(tzinfo=UTC)

is_as_new_as_its_request = promise("a report counts all that was posted before its request")
same_tag_same_answer = promise("two answers have one ETag if and only if they are equal")
has_pages_of_one_version = promise("all pages of a listing are as of one version")
right_is_answered = promise("a report is answered")


class Report(NamedTuple):
    """A report as it was answered: of a listing, all pages as one."""

    organization_id: str
    name: str
    parameters: Mapping[str, str]
    answer: Document

    @property
    def version(self) -> int:
        """The version of the account that it names."""
        return int(self.answer["asOf"]["version"])

    @property
    def month(self) -> Month:
        """The month that was asked for."""
        return Month.parse(self.parameters["month"])

    @property
    def is_in(self) -> IsIn:
        """Whether an instant lies in the period that was asked for."""
        if "month" in self.parameters:
            since, until = self.month.start, self.month.end
        else:
            since, until = (_instant(self.parameters[name]) for name in ("from", "to"))
        return lambda at: since <= at < until

    def known(self, posted: Posted, *, is_stated: bool = False) -> Known:
        """Return what the report is to show."""
        before = self.month.end + _STATED_AFTER if is_stated else _FOREVER
        return posted.known(self.organization_id, self.version, posted_before=before)


def _instant(text: str) -> datetime:
    return parse_instant(text if "T" in text else f"{text}T00:00:00Z")


@invariant
def true_at_its_version(report: Report, posted: Posted) -> Iterator[str]:
    """A report shows one state of an organization: that of the version that it names."""
    for what, expected, found in _COMPARED[report.name](report, posted):
        if expected != found:
            yield f"{report}: {what} is {found}, and what was posted makes {expected}"


def _overview(report: Report, posted: Posted) -> Compared:
    account, answer = report.known(posted).account, report.answer
    at = parse_instant(answer["asOf"]["at"])
    if account.further is None or at < account.further.expires_from:
        yield "the balance", account.balance_at(at), read_micros(answer["balance"])
    yield "the currency", account.currency, answer["currency"]


def _usage(report: Report, posted: Posted) -> Compared:
    keys = report.parameters["groupBy"].split(",")
    expected: dict[tuple[object, ...], Counter[str]] = {}
    for usage in report.known(posted).usages_in(report.is_in):
        sums = expected.setdefault(tuple(_KEYS[key](usage) for key in keys), Counter())
        sums.update({name: sum_of(usage) for name, sum_of in _SUMS.items()})
    rows = {tuple(row[key] for key in keys): _sums(row) for row in report.answer["rows"]}
    yield "usage", expected, rows
    yield "the total", sum(expected.values(), Counter[str]()), _sums(report.answer["total"])
    yield "the number of rows", len(expected), len(report.answer["rows"])


_KEYS: Mapping[str, Callable[[Usage], object]] = {
    "day": lambda usage: usage.call.ended_at.date().isoformat(),
    "organizerId": lambda usage: usage.call.organizer_id,
    "legType": lambda usage: usage.call.leg_type.value,
    "country": lambda usage: usage.price.country,
    "prefix": lambda usage: usage.price.prefix,
    "outcome": lambda usage: usage.outcome.value,
}
_SUMS: Mapping[str, Callable[[Usage], int]] = {
    "calls": lambda _: 1,
    "connectedSeconds": lambda usage: usage.call.connected_seconds,
    "billedSeconds": lambda usage: usage.stated_price.billed_seconds,
    "poolMinutes": lambda usage: usage.pool_minutes,
    "charge": lambda usage: usage.charge_micros,
}


def _sums(row: Document) -> Counter[str]:
    return Counter({name: _number(row[name]) for name in _SUMS})


def _number(value: int | str) -> int:
    return read_micros(value) if isinstance(value, str) else value


def _calls(report: Report, posted: Posted) -> Compared:
    expected = (
        (
            usage.call.call_id,
            format_instant(usage.call.ended_at),
            usage.outcome.value,
            usage.stated_price.billed_seconds,
            format_micros(usage.charge_micros),
            sorted(usage.flags),
        )
        for usage in report.known(posted).usages_in(report.is_in)
    )
    shown = ("callId", "endedAt", "outcome", "billedSeconds", "charge")
    found = (
        (*(call[name] for name in shown), sorted(call["flags"])) for call in report.answer["calls"]
    )
    yield "the calls", sorted(expected), sorted(found)


def _ledger(report: Report, posted: Posted) -> Compared:
    expected = (
        {
            "entryId": entry.entry_id,
            "type": entry.type.value,
            "amount": format_micros(entry.amount_micros),
            "balanceAfter": format_micros(entry.balance_after_micros),
            "at": format_instant(entry.at),
        }
        for entry in report.known(posted).entries_in(report.is_in)
    )
    found = sorted(report.answer["entries"], key=lambda entry: str(entry["entryId"]))
    shown = ("entryId", "type", "amount", "balanceAfter", "at")
    yield "the entries", list(expected), [{name: entry[name] for name in shown} for entry in found]


def _statement(report: Report, posted: Posted) -> Compared:
    now, stated = report.known(posted), report.known(posted, is_stated=True)
    known = stated if report.parameters["basis"] == "stated" else now
    is_in, month, answer = report.is_in, report.month, report.answer
    opening = sum(entry.amount_micros for entry in known.entries if entry.at < month.start)
    entries, bridge = known.entries_in(is_in), answer["bridge"]
    moved = sum(entry.amount_micros for entry in entries)
    charged = -sum(entry.amount_micros for entry in entries if entry.of_calls)
    for_others, later = known.booked_for_others(is_in), known.booked_outside(is_in)
    cost = sum(usage.charge_micros for usage in known.usages_in(is_in))
    yield "what the calls cost by the bridge", cost, charged - for_others + later
    for name, expected, found in (
        ("opening", opening, answer["opening"]),
        ("closing", opening + moved, answer["closing"]),
        ("usage", cost, answer["usage"]["charge"]),
        ("charged", charged, bridge["charged"]),
        ("for other months", for_others, bridge["forOtherMonths"]),
        ("booked later", later, bridge["bookedLater"]),
        ("usage by the bridge", cost, bridge["usage"]),
    ):
        yield name, expected, read_micros(found)
    yield "what does not agree", [], answer["differences"]
    changed = _shown(now, is_in) ^ _shown(stated, is_in)
    changed_ids = {usage.call_id for usage in changed}
    yield "what has changed", changed_ids, {call["callId"] for call in answer["changed"]}


def _shown(known: Known, is_in: IsIn) -> set[ListedUsage]:
    # A flag alone changes nothing. Nor does a pseudonym: what was posted before has it, too.
    listed = map(ListedUsage.of, known.usages_in(is_in))
    return {usage._replace(flags=(), organizer_id="") for usage in listed}


def _explanation(report: Report, posted: Posted) -> Compared:
    answer, call_id = report.answer, report.parameters["callId"]
    movements = [
        movement
        for movement in report.known(posted).movements
        if movement.after.call.call_id == call_id
    ]
    usage, charge = movements[-1].after, answer["charge"]
    yield "the outcome", usage.outcome.value, answer["entitlement"]["outcome"]
    yield "the end", format_instant(usage.call.ended_at), answer["input"]["endedAt"]
    yield "the charge", usage.charge_micros, read_micros(charge["amount"])
    moved = [movement.micros_in(lambda _: True) for movement in movements]
    yield "what moved", moved, [-read_micros(one["amount"]) for one in answer["movements"]]
    if not answer["pending"]:
        yield "what does not agree", [], answer["differences"]


def _forecast(report: Report, posted: Posted) -> Compared:
    known, at = report.known(posted), parse_instant(report.answer["asOf"]["at"])
    spent: Counter[date] = Counter()
    for usage in known.usages:
        spent[usage.call.ended_at.date()] += usage.charge_micros
    first_day = at.date() - timedelta(days=MAX_DAYS)
    daily = tuple(spent[first_day + timedelta(days=number)] for number in range(MAX_DAYS))
    history = SpendHistory(first_day, daily).that_counts()
    basis = report.answer["basis"]
    yield "the days", len(history.daily_micros), basis["days"]
    yield "the active days", history.active_days, basis["activeDays"]


_COMPARED: Mapping[str, Callable[[Report, Posted], Compared]] = {
    "overview": _overview,
    "usage": _usage,
    "calls": _calls,
    "ledger": _ledger,
    "statement": _statement,
    "explanation": _explanation,
    "forecast": _forecast,
}
