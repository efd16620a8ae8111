"""`perminute license-advice`: which subscriptions would cost least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.domain.values.money import read_micros
from perminute_local.reports.layout import amount, as_of, count, money, table_of, text
from perminute_local.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from perminute_local.reports.layout import Row
    from perminute_local.reports.source import Answer, Question

CSV_COLUMNS = ("user", "from", "to", "saves", "currency", "monthsAgreeing")
_HELD = {
    "payPerMinute": "pay-per-minute",
    "subscription": "subscription",
    "both": "both",
    "none": "none",
}
_REMARKS = {
    "removePayPerMinute": "{user} has a subscription and does not need pay-per-minute beside it.",
    "subscriptionTwice": "{user} has a subscription beside that of a suite.",
    "needsCreditsLicense": (
        "{user} needs the communications credits license for what a subscription does not include."
    ),
    "idle": "{user} has a subscription and no calls in these months.",
    "noLicense": "{user} has no license; calls count at the price of the rate card: {number}.",
    "unratedCalls": "Calls that have no price and count nothing: {number}.",
    "atRenewal": "{user} should change to pay-per-minute at the renewal{renewal}: saves {saves}.",
    "payPerMinuteNotAvailable": "{user} may not have pay-per-minute, so nothing is changed.",
    "spareLicenses": "Subscriptions that are paid and that nobody needs: {number}.",
    "moreMinutes": "One more subscription, only for its minutes of the pool, would save {saves}.",
}


def tables(question: Question, answer: Answer) -> Iterator[RenderableType]:
    """Yield what to change, what that saves in a month, and the remarks."""
    heading = f"{question.organization_id}: license advice"
    if answer.get("status", "ok") != "ok":
        yield plain(heading, style="bold")
        yield plain("There are no calls in a complete month, so nothing can be advised.")
        yield as_of(answer)
        return
    currency = answer.get("currency") or ""
    rows = sorted(answer["recommendations"], key=_most_first)
    if rows:
        columns = {
            "user": text("user"),
            "from": text("has"),
            "to": text("should have"),
            "saves": money(f"saves {currency}".strip()),
            "monthsAgreeing": count("months agreeing"),
        }
        yield table_of(heading, columns, [{**row, **_in_words(row)} for row in rows])
    else:
        yield plain(heading, style="bold")
        yield plain("The licenses are right as they are.")
    yield from map(plain, _lines(answer, currency))
    if "asOf" in answer:
        yield as_of(answer)


def _most_first(row: Row) -> tuple[int, str]:
    return -read_micros(row["saves"]), row["user"]


def _in_words(row: Row) -> dict[str, str]:
    return {name: _HELD.get(row[name], str(row[name])) for name in ("from", "to")}


def _lines(answer: Answer, currency: str) -> Iterator[str]:
    now, best, saving = (amount(answer[name]) for name in ("current", "best", "saving"))
    confidence = f", confidence {answer['confidence']}" if answer["confidence"] else ""
    yield (
        f"A month costs {now} {currency} now, and {best} with the best licenses: {saving} less"
        f"{confidence}."
    ).replace("  ", " ")
    if months := answer.get("months"):
        yield f"By the calls of {', '.join(months)}."
    if not answer["isExact"]:
        yield "There are too many users to compare all sets; a slightly better one may exist."
    for remark in answer["remarks"]:
        renewal = f" on {remark['renewal'][:10]}" if "renewal" in remark else ""
        saves = amount(remark["saves"]) if "saves" in remark else ""
        known = {"user": "", "number": "", **remark, "renewal": renewal, "saves": saves}
        yield _REMARKS.get(remark["remark"], remark["remark"]).format(**known)
