"""`perminute balance`: the credit of an organization now, and what may change it."""

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

_STANDS = {
    "balance": "balance",
    "reserved": "reserved by calls under way",
    "available": "available",
    "debt": "debt, which the next purchase pays",
    "spentToday": "cost of calls that began today (UTC)",
}
_LOTS = {"purchaseId": text("lot"), "expiresAt": text("expires (UTC)"), "remaining": money("left")}
CSV_COLUMNS = ("purchaseId", "expiresAt", "remaining", "currency")
"""The balance is the sum of its lots, less the debt."""
_LIMITS = {
    "dailySpendLimit": "{} a day",
    "prefixHourlySpendLimit": "{} an hour to one prefix",
    "maxConcurrentCalls": "{} at once",
    "monthlyBudget": "a budget of {} a month, which refuses nothing",
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield the balance and its lots, then pool, recharge, limits and what is pending."""
    organization_id, currency = question.organization_id, answer["currency"]
    rows = [{"what": words, "amount": answer[name]} for name, words in _STANDS.items()]
    columns = {"what": text("credit"), "amount": money(currency or "no currency yet")}
    yield table_of(f"{organization_id}: balance", columns, rows)
    if answer["lots"]:
        lots = [{**lot, "expiresAt": time_of(lot["expiresAt"])} for lot in answer["lots"]]
        heading = f"{organization_id}: lots of credit, in the order in which they pay"
        yield table_of(heading, _LOTS, lots)
    yield from map(plain, _lines(answer))
    yield as_of(answer)


def _lines(answer: Answer) -> Iterator[str]:
    pool, limits, pending = answer["pool"], answer["limits"], answer["pending"]
    if pool["minutes"]:
        yield (
            f"Minute pool of {pool['month']}: {pool['used']:,} of {pool['minutes']:,} minutes "
            f"used, {pool['reserved']:,} reserved."
        )
    if answer["autoRecharge"]:
        yield from _recharge(answer["autoRecharge"])
    stated = [words.format(_limit(limits[name])) for name, words in _LIMITS.items() if limits[name]]
    yield f"Limits: {', '.join(stated) or 'none'}."
    if pending["reratings"]:
        yield f"Changes of licenses by which calls are being rated again: {pending['reratings']}."
    if pending["unsettledFrom"]:
        since = time_of(pending["unsettledFrom"])
        yield f"The pool minutes of calls that ended since {since} UTC may still change."


def _recharge(recharge: Row) -> Iterator[str]:
    limit = recharge["monthlyLimit"]
    of_limit = "no monthly limit" if limit is None else f"of {amount(limit)} at most"
    yield (
        f"Auto-recharge: {amount(recharge['rechargeAmount'])} below "
        f"{amount(recharge['triggerAmount'])}; {amount(recharge['requestedThisMonth'])} requested "
        f"this month, {of_limit}."
    )
    for request in recharge["waiting"]:
        yield (
            f"Requested, not answered yet: {amount(request['amount'])} since "
            f"{time_of(request['requestedAt'])} UTC ({request['rechargeId']})."
        )
    if why := recharge["stoppedBy"]:
        yield f"Nothing is requested at present: {why}."


def _limit(value: str | int) -> str:
    return amount(value) if isinstance(value, str) else counted(value, "call")
