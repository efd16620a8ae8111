"""The words of each notification: what happened and when, what it means, and what to do.

A template has a place for each field of its kind, without `_micros`, and for the further values
that `notification_texts` adds. Each text names the `{organization}` once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, Disabled
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications import notifications as kinds
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag

if TYPE_CHECKING:
    from perminute.domain.notifications.notifications import NotificationBody


class Template(NamedTuple):
    """A subject, and the lines of a text."""

    subject: str
    what_happened: str
    what_it_means: str
    what_to_do: str


_NO_CREDIT = (
    "nobody can join meetings of pay-per-minute organizers by phone, or be called from them, if "
    "your bridge asks perminute before each call. Meetings of subscription organizers then have "
    "no toll-free dial-in, and no calls out beyond the minute pool. If your bridge does not ask, "
    "calls continue and the debt grows."
)
_LIMIT = (
    "The limit is {amount}: {spent} is spent, and {reserved} is reserved for calls in progress."
)
_IF_ASKED = (
    "if your bridge asks perminute before each call. If it does not ask, they take place and are "
    "charged."
)


def _low_balance(what_it_means: str, what_to_do: str) -> Template:
    return Template(
        "credit is below {threshold}",
        "The communications credit of {organization} fell below {threshold} on {at}. The balance "
        "is {balance}.",
        what_it_means,
        f"{{requested}}{what_to_do}",
    )


def _recharge_succeeded(how: str, what_it_means: str = "") -> Template:
    return Template(
        "recharge of {amount} succeeded",
        f"The recharge {{recharge_id}} of {{amount}} for {{organization}} {how}",
        f"{what_it_means}The balance is {{balance}}.",
        "No action needed.",
    )


def _recharge_disabled(what_happened: str, until: str, what_to_do: str) -> Template:
    return Template(
        "auto-recharge has stopped",
        f"Auto-recharge of {{organization}} {what_happened}",
        f"We ask your billing system for no more credit {until}. The balance is {{balance}}.",
        what_to_do,
    )


def _run_out(between: str) -> Template:
    return Template(
        "credit is expected to run out on {expected}",
        "By what calls have cost until {at}, the communications credit of {organization} is "
        f"expected to run out on {{expected}}, {between}. The balance is {{balance}}.",
        f"When the credit is used up, {_NO_CREDIT}",
        "Buy credit before that day. If auto-recharge is switched on, it is not expected to buy "
        "enough: check its limits, that it has not stopped, and that its last request was "
        "answered.",
    )


def _statement_ready(what_it_means: str) -> Template:
    return Template(
        "the statement of {month} is ready",
        "The statement of {organization} for {month} (UTC) was written on {at}: the calls that "
        "ended in that month cost {charge}, and the balance after it is {closing}.",
        what_it_means,
        # As long as the link that is signed there works (adapters/statement_bucket.py).
        "No action needed. The section that is named below makes a link to the PDF, which works "
        "for 15 minutes and for whoever has it. Such a link in an e-mail would often have expired "
        "before it is read.",
    )


def _minute_pool(what_it_means: str) -> Template:
    return Template(
        "{used_percent}% of the dial-out minutes of {month} are used",
        "The subscriptions of {organization} include {minutes} dial-out minutes for {month}. By "
        "{at}, {used} minutes were used.",
        what_it_means,
        "Check that there is enough credit until the end of the month.",
    )


def _spend_limit(subject: str, what_happened: str, setting: str) -> Template:
    return Template(
        subject,
        f"{what_happened} {_LIMIT}",
        f"Calls that would exceed it are refused until the end of {{period}} (UTC), {_IF_ASKED}",
        f"If the limit is too low, raise {setting}.",
    )


_DAILY_LIMIT = _spend_limit(
    "daily spend limit reached ({period})",
    "On {at} {organization} reached its daily spend limit.",
    "dailySpendLimit in the credit settings",
)


def _not_entitled(why: str, what_to_do: str) -> Template:
    return Template(
        "{calls} {were} not covered by a license",
        "{call_or_digest}",
        f"{{They}} {{were}} not charged, because {why}. {{unpaid_price}}Until this changes, such "
        "calls are refused if your bridge asks perminute before each call. If it does not ask, "
        "they take place and are not charged either.",
        what_to_do,
    )


def _not_rated(why: str) -> Template:
    return Template(
        "{calls} could not be priced",
        "{call_or_digest}",
        f"{{They}} {{were}} free of charge, because the rate card {why}.",
        "If such calls are wanted, publish a rate card that has a rate for them in the currency "
        "of the credit. If they are not wanted, have your bridge ask perminute before each call: "
        "such calls are then refused.",
    )


def _not_allowed(policy: str) -> Template:
    return Template(
        "{calls} {were} not allowed by policy",
        "{call_or_digest}",
        f"By the policies of {{name}}, {policy}. {{They}} {{were}} charged like any other call. "
        "{price}",
        "To prevent such calls, have your bridge ask perminute before each call. If they are "
        "wanted, change the policy.",
    )


TEMPLATES: dict[tuple[type[NotificationBody], object], Template] = {
    (kinds.LowBalance, "credit is left"): _low_balance(
        f"When the credit is used up, {_NO_CREDIT}",
        "Buy credit before that happens, unless your billing system recharges it.",
    ),
    (kinds.LowBalance, None): _low_balance(
        f"The credit is used up. Until there is credit again, {_NO_CREDIT}", "Buy credit now."
    ),
    (kinds.BalanceExhausted, None): Template(
        "credit is used up",
        "The communications credit of {organization} was used up on {at}. The balance is "
        "{balance}.",
        f"Until there is credit again, {_NO_CREDIT}",
        "{requested}Buy credit now: as soon as the balance is above 0, no call is refused for lack "
        "of credit.",
    ),
    (kinds.RechargeRequested, None): Template(
        "recharge of {amount} requested",
        "On {at} the balance of {organization} was {balance}, which is below the trigger of "
        "auto-recharge.",
        "We have asked your billing system to buy {amount} under the id {recharge_id}; perminute "
        "itself buys nothing. Until it reports an outcome, we ask again each day under the same "
        "id.",
        "No action needed.",
    ),
    (kinds.RechargeRequested, "again"): Template(
        "recharge of {amount} requested again (attempt {attempt})",
        "Your billing system has not answered the request to buy {amount} for {organization}. On "
        "{at} we have asked it again under the same id {recharge_id}, attempt {attempt}. The "
        "balance is {balance}.",
        "We ask once a day until it reports Credit Purchased or Recharge Failed with this id.",
        "Check why your billing system does not answer. It must not pay twice for this id.",
    ),
    (kinds.RechargeSucceeded, None): _recharge_succeeded("succeeded on {at}."),
    (kinds.RechargeSucceeded, "after failure"): _recharge_succeeded(
        "had been reported as failed, and has been paid after all on {at}.",
        "It counts for the monthly limit of auto-recharge. ",
    ),
    (kinds.RechargeFailed, None): Template(
        "recharge failed",
        "The recharge {recharge_id} for {organization} failed on {at}: {reason}.",
        "The balance is {balance}. "
        f"After {MAX_FAILURES} failures in a row auto-recharge is switched off.",
        "Update your payment method, or buy credit by hand.",
    ),
    (kinds.RechargeFailed, "never requested"): Template(
        "a recharge that was never requested failed",
        "On {at} your billing system reported that the recharge {recharge_id} for {organization} "
        "failed ({reason}), but that recharge was never requested.",
        "The report is ignored. The balance is {balance}.",
        "Check which ids your billing system reports.",
    ),
    (kinds.RechargeDisabled, Disabled.THREE_FAILURES): _recharge_disabled(
        f"was switched off on {{at}}, after {MAX_FAILURES} failures in a row.",
        "until it is started again",
        "Update your payment method, then buy credit, or switch auto-recharge off and on again in "
        "the credit settings: either starts it again. Saving the same settings again does not.",
    ),
    (kinds.RechargeDisabled, Disabled.MONTHLY_LIMIT): _recharge_disabled(
        "stopped on {at}: one more recharge would exceed its monthly limit.",
        "until the limit allows it",
        "Buy credit by hand, or raise the monthly limit.",
    ),
    (kinds.RechargeDisabled, Disabled.DAILY_LIMIT): _recharge_disabled(
        f"stopped on {{at}}: we have asked for {MAX_REQUESTS_A_DAY} recharges on that day.",
        "until the next day, 00:00 UTC",
        "If the recharge amount is too small for what calls cost, raise it: changed settings start "
        "auto-recharge again at once. Or buy credit by hand.",
    ),
    (kinds.CreditExpiring, None): Template(
        "{remaining} of credit expires on {day}",
        "The purchase {purchase_id} of {organization} has {remaining} left, which expires on "
        "{expires_at}.",
        "Credit that is not used by then is forfeited. The oldest credit is always used first.",
        "If so much is often left, buy less at a time.",
    ),
    (kinds.CreditExpired, None): Template(
        "{amount} of credit expired",
        "The rest of the purchase {purchase_id} of {organization}, {amount}, expired on "
        "{expires_at}.",
        "It can only pay calls that ended before then and are reported by {late_usage_until}. The "
        "balance without it is {balance}.",
        "Buy credit if that is too little.",
    ),
    (kinds.CallNotEntitled, NotEntitled.NO_LICENSE): _not_entitled(
        "{organizer_id} has neither a pay-per-minute nor a subscription license",
        "Assign {organizer_id} one of these licenses if such calls are wanted.",
    ),
    (kinds.CallNotEntitled, NotEntitled.NO_CREDITS_LICENSE): _not_entitled(
        "{organizer_id} has no Communications Credits license",
        "Assign this license to {organizer_id} if such calls are wanted.",
    ),
    (kinds.CallNotEntitled, NotEntitled.CREDITS_NOT_SET_UP): _not_entitled(
        "communications credit was not set up for {name} at that time",
        "Set up communications credit, or buy credit, if such calls are wanted.",
    ),
    (kinds.CallNotEntitled, NotEntitled.NOT_VOLUME_LICENSING): _not_entitled(
        "pay-per-minute needs volume licensing, and {name} does not have it",
        "Assign {organizer_id} a subscription license if such calls are wanted.",
    ),
    (kinds.CallNotEntitled, NotEntitled.COUNTRY_NOT_AVAILABLE): _not_entitled(
        "pay-per-minute is not available at the usage location of {organizer_id}",
        "Check the user's usage location in Microsoft 365.",
    ),
    (kinds.CallNotRated, Unpriced.NO_RATE): _not_rated("has no price for {numbers}"),
    (kinds.CallNotRated, Unpriced.BLOCKED_NUMBER): Template(
        "{calls} to {blocked_numbers} took place",
        "{call_or_digest}",
        "The rate card blocks {numbers} on purpose. {They} {were} free of charge, because a "
        "blocked number has no price.",
        "Have your bridge ask perminute before each call: calls to blocked numbers are then "
        "refused. If such calls are wanted, publish a rate card that has a price for these numbers "
        "instead of blocking them.",
    ),
    (kinds.CallNotRated, Unpriced.CURRENCY_MISMATCH): _not_rated(
        "has a price for {numbers} only in {rate_currency}, which is not the currency of the credit"
    ),
    (kinds.CallFlagged, Flag.DIAL_OUT_NOT_ALLOWED): _not_allowed(
        "meetings of {organizer_id} may not call {those_numbers}"
    ),
    (kinds.CallFlagged, Flag.TOLL_FREE_NOT_ALLOWED): _not_allowed(
        "nobody may join meetings of {organizer_id} by a toll-free number"
    ),
    (kinds.CallFlagged, Flag.REPORTED_BY_BRIDGE): Template(
        "{calls} {were} charged without a Call Ended event",
        "{call_or_digest}",
        "{They} {were} charged by the seconds that the bridge had reported, because no Call Ended "
        "event arrived in time. {price}A Call Ended event that still arrives corrects the charge.",
        "Check that your telephony system sends a Call Ended event for every call.",
    ),
    (kinds.MinutePoolThreshold, "minutes are left"): _minute_pool(
        "Minutes left: {left}. When these are used, dial-out calls are charged to communications "
        "credit."
    ),
    (kinds.MinutePoolThreshold, None): _minute_pool(
        "Further dial-out calls of that month are charged to communications credit."
    ),
    (kinds.SpendLimitReached, LimitName.CONCURRENT_CALLS): Template(
        "concurrent-call limit reached ({calls} of {calls})",
        "On {at} {organization} had {in_progress} in progress, as many as the limit allows.",
        "Further calls that count towards it are refused until one ends, if your bridge asks "
        "perminute before each call.",
        "If the limit is too low, raise maxConcurrentCalls in the credit settings.",
    ),
    (kinds.SpendLimitReached, LimitName.MONTHLY_SPEND): _spend_limit(
        "monthly spend limit of a user reached ({period})",
        "On {at} meetings of {user_id} at {organization} reached the monthly spend limit of this "
        "user.",
        "monthlySpendLimit of this user",
    ),
    (kinds.SpendLimitReached, LimitName.DAILY_SPEND): _DAILY_LIMIT,
    (kinds.SpendLimitReached, LimitName.PREFIX_HOURLY_SPEND): _DAILY_LIMIT,
    (kinds.FraudSuspected, None): Template(
        "possible fraud: calls to +{prefix} reached the hourly limit",
        "Since {since} calls of {organization} to numbers that begin with +{prefix} have reached "
        f"the limit for one hour. {_LIMIT}",
        f"Further calls to this prefix are blocked until {{end}}, {_IF_ASKED}",
        "If nobody knows of these calls, find out whose meetings make them, and set the dial-out "
        "policy of these users to none. If the calls are wanted, raise prefixHourlySpendLimit in "
        "the credit settings.",
    ),
    (kinds.RunOutForecast, "within the horizon"): _run_out(
        "in 8 of 10 cases between {first} and {last}"
    ),
    (kinds.RunOutForecast, None): _run_out("in 9 of 10 cases not before {first}"),
    (kinds.MonthCostForecast, None): Template(
        "{period} is expected to cost {expected}, more than its budget",
        "By what calls have cost until {at}, those of {organization} are expected to cost "
        "{expected} in {period} (UTC), in 8 of 10 cases between {low} and {high}. The budget of a "
        "month is {monthly_budget}; {spent} is spent so far.",
        "No call is refused for the budget.",
        "See who spends it on what. To spend less, set dailySpendLimit in the credit settings, or "
        "monthlySpendLimit of users. If so much is wanted, raise monthlyBudget in the credit "
        "settings.",
    ),
    (kinds.StatementReady, "may change"): _statement_ready(
        "Calls that are reported late may change it until {stated_at}. It is then written again, "
        "in the place of this one, and you are not notified again."
    ),
    (kinds.StatementReady, None): _statement_ready(
        "Calls that are reported from now on do not change it."
    ),
    (kinds.RecordsDiffer, None): Template(
        "calls of {day} differ from the operator's records",
        "Between the records of {source} about calls that ended on {day} (UTC) and the calls of "
        "{organization} we found {differences}: {listed}.",
        "In all of these together, {more}. Nothing was corrected.",
        "List the calls with perminute calls compare, and ask your operator, or whoever sends the "
        "Call Ended events, about those that remain.",
    ),
}
"""By the kind of a notification, and by what its texts differ: a reason, a limit, or a case."""

NOTIFIED_FLAGS = frozenset(variant for kind, variant in TEMPLATES if kind is kinds.CallFlagged)
"""The flags that a call's notification may have as its reason; others are only recorded."""
