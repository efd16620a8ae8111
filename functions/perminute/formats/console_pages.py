"""The section of the console to which each notification links (docs/notifications.md).

`local/perminute_local/console/static/address.js` reads these fragments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from perminute.domain.notifications import notifications as kinds

if TYPE_CHECKING:
    from perminute.domain.notifications.notifications import Notification, NotificationBody


class ConsoleSection(NamedTuple):
    """A section of the page: its name, and the fragment of the address that opens it."""

    name: str
    fragment: str


OVERVIEW = ConsoleSection("overview", "overview")
CALLS = ConsoleSection("calls", "calls")
LEDGER = ConsoleSection("ledger", "ledger")
FORECAST = ConsoleSection("forecast", "forecast")
STATEMENT = ConsoleSection("statement", "statement")

SECTIONS: dict[type[NotificationBody], ConsoleSection] = {
    kinds.LowBalance: OVERVIEW,
    kinds.BalanceExhausted: OVERVIEW,
    kinds.RechargeRequested: OVERVIEW,
    kinds.RechargeSucceeded: LEDGER,
    kinds.RechargeFailed: OVERVIEW,
    kinds.RechargeDisabled: OVERVIEW,
    kinds.CreditExpiring: OVERVIEW,
    kinds.CreditExpired: LEDGER,
    kinds.CallNotEntitled: CALLS,
    kinds.CallNotRated: CALLS,
    kinds.CallFlagged: CALLS,
    kinds.MinutePoolThreshold: OVERVIEW,
    kinds.SpendLimitReached: CALLS,
    kinds.FraudSuspected: CALLS,
    kinds.RecordsDiffer: CALLS,
    kinds.RunOutForecast: FORECAST,
    kinds.MonthCostForecast: FORECAST,
    kinds.StatementReady: STATEMENT,
}


def section_of(body: NotificationBody) -> ConsoleSection:
    """Return the section of a notification; of one call, of one month if it is about one."""
    if isinstance(body, kinds.CallNotification) and body.call_id is not None:
        return ConsoleSection("calls", f"call={quote(body.call_id, safe='')}")
    if isinstance(body, kinds.StatementReady):
        return ConsoleSection(STATEMENT.name, f"{STATEMENT.fragment}&month={body.month}")
    return SECTIONS[type(body)]


def where_to_look(notification: Notification, console_url: str) -> str:
    """Return a sentence that names the section, and ends with a link if the address is known."""
    name, fragment = section_of(notification.body)
    if not console_url:
        return f"To see the figures, open the section {name} of the console (perminute console)."
    organization = quote(notification.organization_id, safe="")
    # No full stop after it: mail programs would make that a part of the link.
    link = f"{console_url}#{fragment}&organization={organization}"
    return f"To see the figures, open the section {name} of the console: {link}"
