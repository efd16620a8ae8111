"""Which section of the console shows what a notification is about (docs/notifications.md).

`local/perminute_local/console/static/address.js` reads these fragments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallFlagged,
    CallNotEntitled,
    CallNotification,
    CallNotRated,
    CreditExpired,
    CreditExpiring,
    FraudSuspected,
    LowBalance,
    MinutePoolThreshold,
    MonthCostForecast,
    RechargeDisabled,
    RechargeFailed,
    RechargeRequested,
    RechargeSucceeded,
    RecordsDiffer,
    RunOutForecast,
    SpendLimitReached,
)

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

SECTIONS: dict[type[NotificationBody], ConsoleSection] = {
    LowBalance: OVERVIEW,
    BalanceExhausted: OVERVIEW,
    RechargeRequested: OVERVIEW,
    RechargeSucceeded: LEDGER,
    RechargeFailed: OVERVIEW,
    RechargeDisabled: OVERVIEW,
    CreditExpiring: OVERVIEW,
    CreditExpired: LEDGER,
    CallNotEntitled: CALLS,
    CallNotRated: CALLS,
    CallFlagged: CALLS,
    MinutePoolThreshold: OVERVIEW,
    SpendLimitReached: CALLS,
    FraudSuspected: CALLS,
    RecordsDiffer: CALLS,
    RunOutForecast: FORECAST,
    MonthCostForecast: FORECAST,
}


def section_of(body: NotificationBody) -> ConsoleSection:
    """Return the section of a notification; that of one call shows why it cost what it did."""
    if isinstance(body, CallNotification) and body.call_id is not None:
        return ConsoleSection("calls", f"call={quote(body.call_id, safe='')}")
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
