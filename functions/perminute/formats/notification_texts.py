"""Each notification as an e-mail subscription shows it: a subject, and plain sentences."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.domain.comparison.difference_kinds import DifferenceKind
from perminute.domain.notifications import notifications as kinds
from perminute.domain.rating.calls import LegType
from perminute.domain.values.money import MICROS_PER_UNIT, format_micros
from perminute.domain.values.printable import counted, one_line
from perminute.formats.console_pages import where_to_look
from perminute.formats.notification_templates import TEMPLATES

if TYPE_CHECKING:
    from perminute.domain.notifications.notifications import Notification, NotificationBody

MAX_SUBJECT = 99
"""Characters of a subject: SNS takes fewer than 100, of ASCII, and no space first."""


class Text(NamedTuple):
    """An e-mail: its subject, and five lines of sentences.

    The lines are what happened, what it means, what to do, where to look, and where to read more.
    """

    subject: str
    body: str


class Sender(NamedTuple):
    """Who sends notifications, and where docs/ and the console are found; each may be empty."""

    stack: str = ""
    documentation_url: str = ""
    console_url: str = ""

    def footer(self, kind: str) -> str:
        """Say where to read more about a kind of notification, and who has sent it."""
        stack = f", stack {self.stack}" if self.stack else ""
        # No full stop after it: mail programs would make that a part of the link.
        page = f"{self.documentation_url}docs/notifications.md#{kind.lower()}"
        return f"Sent by perminute{stack}. More about this: {page}"


UNKNOWN_SENDER = Sender()


def text_of(
    notification: Notification,
    organization_name: str | None = None,
    sender: Sender = UNKNOWN_SENDER,
) -> Text:
    """Write a notification for people; amounts are in the currency of the credit.

    Names and reasons from outside can neither end a line nor hide what follows them. Of a subject
    that is too long the name is cut, never what happened.
    """
    body, organization_id = notification.body, notification.organization_id
    name = organization_name or organization_id
    # With the id, by which the organization is found.
    in_full = name if name == organization_id else f"{name} ({organization_id})"
    variant, further_values = _variant(body, notification.at)
    template = TEMPLATES[type(body), variant]
    values = {
        "organization": in_full,
        "name": name,
        "at": _minute(notification.at),
        **_field_values(body),
        **further_values,
    }
    subject = template.subject.format_map(values)
    if isinstance(body, kinds.CallNotification):
        values["call_or_digest"] = _call_or_digest(body, subject, in_full, notification.at)
    # The price of a call ends with a space, whatever follows it.
    lines = [line.format_map(values).rstrip() for line in template[1:]]
    lines.append(where_to_look(notification, sender.console_url))
    lines.append(sender.footer(notification.type))
    return Text(
        _with_name(one_line(subject), name, organization_id),
        "\n".join(map(one_line, lines)),
    )


def _with_name(what: str, *names: str) -> str:
    """Put as much of the first name that has a letter of ASCII before the subject as fits."""
    name = next(filter(None, map(_in_ascii, names)), "organization")
    room = MAX_SUBJECT - len(what) - len(": ")
    return f"{name if len(name) <= room else name[: room - 3] + '...'}: {what}"


def _in_ascii(name: str) -> str:
    """Write letters without their accents."""
    plain = unicodedata.normalize("NFKD", one_line(name)).encode("ascii", "ignore").decode()
    return plain.strip()


def _variant(body: NotificationBody, at: datetime) -> tuple[object, dict[str, object]]:  # noqa: C901, PLR0911, PLR0912 - one for each kind
    """Return by which template of its kind a notification is written, and further values for it."""
    match body:
        case kinds.CallNotEntitled() | kinds.CallNotRated() | kinds.CallFlagged():
            return body.reason, _call_values(body)
        case kinds.RechargeDisabled():
            return body.reason, {}
        case kinds.SpendLimitReached():
            return body.limit, {"in_progress": counted(body.calls or 0, "call")}
        case kinds.LowBalance():
            what = "credit is left" if body.balance_micros > 0 else None
            return what, {"requested": _requested(body.recharge_id)}
        case kinds.BalanceExhausted():
            return None, {"requested": _requested(body.recharge_id)}
        case kinds.MinutePoolThreshold():
            left = body.minutes - body.used
            # Rounded down: 100% only if no minutes are left.
            used_percent = 100 * body.used // body.minutes if body.minutes else body.percent
            variant = "minutes are left" if left > 0 else None
            return variant, {"left": left, "used_percent": used_percent}
        case kinds.RechargeRequested():
            return "again" if body.attempt > 1 else None, {}
        case kinds.RechargeSucceeded():
            return "after failure" if body.after_failure else None, {}
        case kinds.RechargeFailed():
            variant = "never requested" if body.never_requested else None
            return variant, {"reason": body.reason.rstrip(".")}
        case kinds.CreditExpiring():
            return None, {"day": f"{body.expires_at:%Y-%m-%d}"}
        case kinds.RecordsDiffer():
            return None, {
                "differences": counted(sum(of_kind.calls for of_kind in body.kinds), "difference"),
                "listed": "; ".join(
                    f"{of_kind.calls} {_DIFFERENT[of_kind.kind]}" for of_kind in body.kinds
                ),
                "more": _more(body),
            }
        case kinds.RunOutForecast(runs_out=runs_out):
            days = [day for day in runs_out if day is not None]
            variant = "within the horizon" if len(days) == len(runs_out) else None
            # Who spends more is recharged earlier, and may even run out later: so sort.
            return variant, {"expected": runs_out.expected, "first": min(days), "last": max(days)}
        case kinds.MonthCostForecast(month=month):
            # Estimates: cents are more than is known.
            cents = {name: round(micros, -4) for name, micros in month._asdict().items()}
            return None, {name: _money(micros, body) for name, micros in cents.items()}
        case kinds.StatementReady():
            return "may change" if at < body.stated_at else None, {}
        case kinds.FraudSuspected():
            return None, {"end": f"{body.since + timedelta(hours=1):%H:%M} UTC"}
        case _:
            return None, {}


def _requested(recharge_id: str | None) -> str:
    if recharge_id is None:
        return ""
    return (
        f"A recharge is already requested under the id {recharge_id}: check first whether your "
        "billing system pays it. "
    )


_DIFFERENT = {
    DifferenceKind.ONLY_THERE: "known to the operator only",
    DifferenceKind.ONLY_HERE: "known to perminute only",
    DifferenceKind.SECONDS: "with another duration",
    DifferenceKind.NUMBER: "with another number",
    DifferenceKind.ORGANIZER: "with another organizer",
    DifferenceKind.COST: "with another cost",
}


def _more(body: kinds.RecordsDiffer) -> str:
    # Both signs may be in it: the sums say what is to be expected on the operator's bill.
    seconds = sum(of_kind.seconds for of_kind in body.kinds)
    micros = sum(of_kind.cost_micros for of_kind in body.kinds)
    said = [f"{abs(seconds)} seconds {'more' if seconds > 0 else 'fewer'}"] if seconds else []
    if micros:
        said.append(f"{_money(abs(micros), body)} {'more' if micros > 0 else 'less'}")
    return f"perminute has {' and '.join(said)}" if said else "seconds and costs are equal"


def _field_values(body: NotificationBody) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in body._asdict().items():
        if name.endswith("_micros"):
            values[name.removesuffix("_micros")] = _money(value or 0, body)
        else:
            values[name] = _minute(value) if isinstance(value, datetime) else value
    return values


def _call_values(body: kinds.CallNotification) -> dict[str, object]:
    """Return the words by which the texts of a call and of a digest differ."""
    price = _money(body.retail_cost_micros or 0, body)
    of_one_or_several = {
        "calls": ("a call", f"{body.calls} more calls"),
        "They": ("The call", "They"),
        "were": ("was", "were"),
        "numbers": ("its number", "their numbers"),
        "those_numbers": ("that number", "those numbers"),
        "blocked_numbers": ("a blocked number", "blocked numbers"),
        "price": (
            f"Its price by the rate card is {price}. ",
            f"Their price by the rate card is {price} in all. ",
        ),
        "unpaid_price": (
            f"It would have cost {price} by the rate card. ",
            f"They would have cost {price} in all by the rate card. ",
        ),
    }
    values: dict[str, object] = {
        name: of_several if body.calls is not None else of_one
        for name, (of_one, of_several) in of_one_or_several.items()
    }
    if body.retail_cost_micros is None:
        values["price"] = values["unpaid_price"] = ""
    if isinstance(body, kinds.CallNotRated):
        values["rate_currency"] = body.rate_currency or "another currency"
    return values


def _call_or_digest(
    body: kinds.CallNotification, what: str, organization: str, at: datetime
) -> str:
    """Say which call it was, or of a digest how many of which kind and day."""
    organizer = f"{body.organizer_id} at {organization}"
    if body.calls is not None:
        return (
            f"On {body.day or at.date()} (UTC), {what}, in meetings of {organizer}, after the call "
            f"that you were notified of.{_call_ids(body)}"
        )
    when = f" on {_minute(body.answered_at)}" if body.answered_at else ""
    return f"{_how_joined(body)} of {organizer}{when} (call id {body.call_id})."


def _how_joined(body: kinds.CallNotification) -> str:
    number = body.number or "a number that is not known"
    match body.leg_type:
        case LegType.DIAL_OUT:
            return f"A call to {number} was made from a meeting"
        case LegType.TOLL_DIAL_IN:
            return f"Somebody called the toll number {number} to join a meeting"
        case LegType.TOLL_FREE_DIAL_IN:
            return f"Somebody called the toll-free number {number} to join a meeting"
        case LegType.APP | None:
            return "Somebody joined a meeting"
        case never:
            assert_never(never)


def _call_ids(body: kinds.CallNotification) -> str:
    """Name the first calls of a digest; the others are found by organizer and day."""
    if not body.call_ids:
        return ""
    which = "The first of these calls" if len(body.call_ids) < (body.calls or 0) else "These calls"
    return f" {which}: {', '.join(body.call_ids)}."


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M} UTC"


def _money(micros: int, body: NotificationBody) -> str:
    """Write an amount as people do: with two decimals at least, if it has any."""
    amount = format_micros(micros)
    if micros % MICROS_PER_UNIT and micros % (MICROS_PER_UNIT // 10) == 0:
        amount += "0"
    return " ".join(filter(None, (amount, getattr(body, "currency", None))))
