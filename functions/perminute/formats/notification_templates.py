"""The words of each notification: what happened and when, what it means, and what to do.

A template has a place for each field of its kind, without `_micros`, and for the further values
that `notification_texts` adds. Each body names the `{organization}` once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from perminute.domain.credit.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, Disabled
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName
from perminute.domain.notifications.notifications import (
    BalanceExhausted,
    CallFlagged,
    CallNotEntitled,
    CallNotRated,
    CreditExpired,
    CreditExpiring,
    FraudSuspected,
    LowBalance,
    MinutePoolThreshold,
    RechargeDisabled,
    RechargeFailed,
    RechargeRequested,
    RechargeSucceeded,
    SpendLimitReached,
)
from perminute.domain.rating.rate_card import Unpriced
from perminute.domain.rating.usage_record import Flag

if TYPE_CHECKING:
    from perminute.domain.notifications.notifications import NotificationBody


class Text(NamedTuple):
    """What happened, in a few words, and sentences about it."""

    subject: str
    body: str


_NO_CREDIT = (
    "Pay-per-minute organizers can no longer join or call by phone. Subscription organizers can no "
    "longer use toll-free numbers, or call out beyond their minute pool."
)
_LIMIT = (
    "The limit is {amount}: {spent} is spent, and {reserved} is reserved for calls in progress."
)


def _low_balance(what_next: str) -> Text:
    return Text(
        "credit is below {threshold}",
        "The communications credit of {organization} fell below {threshold} on {at}. The balance "
        f"is {{balance}}. {what_next}",
    )


def _recharge_succeeded(how: str) -> Text:
    return Text(
        "recharge of {amount} succeeded",
        f"The recharge {{recharge_id}} of {{amount}} for {{organization}} {how} The balance is "
        "{balance}. No action needed.",
    )


def _recharge_disabled(what_happened: str, what_to_do: str) -> Text:
    return Text(
        "auto-recharge has stopped",
        f"Auto-recharge of {{organization}} {what_happened} The balance is {{balance}}. "
        f"{what_to_do}",
    )


def _minute_pool(what_next: str) -> Text:
    return Text(
        "{percent}% of the dial-out minutes of {month} are used",
        "The subscriptions of {organization} include {minutes} dial-out minutes for {month}. By "
        f"{{at}}, {{used}} of them were used. {what_next} Check that there is enough credit until "
        "the end of the month.",
    )


def _spend_limit(subject: str, what_happened: str, setting: str) -> Text:
    return Text(
        subject,
        f"{what_happened} {_LIMIT} Calls that would exceed it are refused until the end of "
        f"{{period}} (UTC). If the limit is too low, raise {setting}.",
    )


_DAILY_LIMIT = _spend_limit(
    "daily spend limit reached ({period})",
    "On {at} {organization} reached its daily spend limit.",
    "dailySpendLimit in the credit settings",
)


def _not_entitled(why: str, what_to_do: str) -> Text:
    return Text(
        "{calls} {were} not covered by a license",
        f"{{They}} {{were}} not charged, because {why}. {{price}}Until this changes, such calls "
        "are refused if your bridge asks perminute before each call; if it does not ask, they "
        f"take place and are not charged either. {what_to_do}",
    )


def _not_rated(why: str) -> Text:
    return Text(
        "{calls} could not be priced",
        f"{{They}} {{were}} free of charge, because the rate card {why}. If such calls are wanted, "
        "publish a rate card that has a rate for them in the currency of the credit. If they are "
        "not wanted, have your bridge ask perminute before each call: such calls are then refused.",
    )


def _not_allowed(policy: str) -> Text:
    return Text(
        "{calls} {were} not allowed by policy",
        f"By the policies of {{name}}, {policy}. {{They}} {{were}} charged like any other call. "
        "{price}To prevent such calls, have your bridge ask perminute before each call. If they "
        "are wanted, change the policy.",
    )


TEMPLATES: dict[tuple[type[NotificationBody], object], Text] = {
    (LowBalance, "credit is left"): _low_balance(
        "When the credit is used up, pay-per-minute organizers can no longer join or call by "
        "phone. Buy credit before that happens, unless your billing system recharges it."
    ),
    (LowBalance, None): _low_balance(f"The credit is used up. {_NO_CREDIT} Buy credit now."),
    (BalanceExhausted, None): Text(
        "credit is used up",
        "The communications credit of {organization} was used up on {at}. The balance is "
        f"{{balance}}. {_NO_CREDIT} Buy credit now: calls are possible again as soon as the "
        "balance is above 0.",
    ),
    (RechargeRequested, None): Text(
        "recharge of {amount} requested",
        "On {at} the balance of {organization} was {balance}, which is below the trigger of "
        "auto-recharge. We have asked your billing system to buy {amount} under the id "
        "{recharge_id} (perminute only asks). Until it reports an outcome, we ask again each day "
        "under the same id. No action needed.",
    ),
    (RechargeRequested, "again"): Text(
        "recharge of {amount} requested again (attempt {attempt})",
        "Your billing system has not answered the request to buy {amount} for {organization}. On "
        "{at} we have asked it again under the same id {recharge_id}, attempt {attempt}. We ask "
        "once a day until it reports Credit Purchased or Recharge Failed with this id. The balance "
        "is {balance}. Check why your billing system does not answer. It must not pay twice for "
        "this id.",
    ),
    (RechargeSucceeded, None): _recharge_succeeded("succeeded on {at}."),
    (RechargeSucceeded, "after failure"): _recharge_succeeded(
        "had been reported as failed, and has been paid after all on {at}. It counts for the "
        "monthly limit of auto-recharge."
    ),
    (RechargeFailed, None): Text(
        "recharge failed",
        "The recharge {recharge_id} for {organization} failed on {at}: {reason}. The balance is "
        "{balance}. Update your payment method, or buy credit by hand. After "
        f"{MAX_FAILURES} failures in a row auto-recharge is switched off.",
    ),
    (RechargeFailed, "never requested"): Text(
        "a recharge that was never requested failed",
        "On {at} your billing system reported that the recharge {recharge_id} for {organization} "
        "failed ({reason}), but that recharge was never requested. The report is ignored. The "
        "balance is {balance}. Check which ids your billing system reports.",
    ),
    (RechargeDisabled, Disabled.THREE_FAILURES): _recharge_disabled(
        f"was switched off on {{at}}, after {MAX_FAILURES} failures in a row.",
        "Update your payment method, then buy credit, or switch auto-recharge off and on again in "
        "the credit settings: either starts it again. Saving the same settings again does not.",
    ),
    (RechargeDisabled, Disabled.MONTHLY_LIMIT): _recharge_disabled(
        "stopped on {at}: one more recharge would exceed its monthly limit. We ask for nothing "
        "more until the limit allows it.",
        "Buy credit by hand, or raise the monthly limit.",
    ),
    (RechargeDisabled, Disabled.DAILY_LIMIT): _recharge_disabled(
        f"stopped on {{at}}: we have asked for {MAX_REQUESTS_A_DAY} recharges on that day, and ask "
        "for nothing more until the next day, 00:00 UTC.",
        "If the recharge amount is too small for what calls cost, raise it: changed settings start "
        "auto-recharge again at once. Or buy credit by hand.",
    ),
    (CreditExpiring, None): Text(
        "{remaining} of credit expires on {day}",
        "The purchase {purchase_id} of {organization} has {remaining} left, which expires on "
        "{expires_at}. Credit that is not used by then is forfeited. The oldest credit is always "
        "used first. If so much is often left, buy less at a time.",
    ),
    (CreditExpired, None): Text(
        "{amount} of credit expired",
        "The rest of the purchase {purchase_id} of {organization}, {amount}, expired on "
        "{expires_at} and is forfeited. It still pays calls that ended before then, if they are "
        "reported by {late_usage_until}. The balance is {balance}. Buy credit if that is too "
        "little.",
    ),
    (CallNotEntitled, NotEntitled.NO_LICENSE): _not_entitled(
        "{organizer_id} has neither a pay-per-minute nor a subscription license",
        "Assign {organizer_id} one of these licenses if such calls are wanted.",
    ),
    (CallNotEntitled, NotEntitled.NO_CREDITS_LICENSE): _not_entitled(
        "{organizer_id} has no Communications Credits license",
        "Assign this license to {organizer_id} if such calls are wanted.",
    ),
    (CallNotEntitled, NotEntitled.CREDITS_NOT_SET_UP): _not_entitled(
        "communications credit was not set up for {name} at that time",
        "Set up communications credit, or buy credit, if such calls are wanted.",
    ),
    (CallNotEntitled, NotEntitled.NOT_VOLUME_LICENSING): _not_entitled(
        "pay-per-minute needs volume licensing, and {name} does not have it",
        "Assign {organizer_id} a subscription license if such calls are wanted.",
    ),
    (CallNotEntitled, NotEntitled.COUNTRY_NOT_AVAILABLE): _not_entitled(
        "pay-per-minute is not available at the usage location of {organizer_id}",
        "Check the user's usage location in Microsoft 365.",
    ),
    (CallNotRated, Unpriced.NO_RATE): _not_rated("has no price for {numbers}"),
    (CallNotRated, Unpriced.BLOCKED_NUMBER): _not_rated("blocks {numbers}"),
    (CallNotRated, Unpriced.CURRENCY_MISMATCH): _not_rated(
        "has a price for {numbers} only in {rate_currency}, which is not the currency of the credit"
    ),
    (CallFlagged, Flag.DIAL_OUT_NOT_ALLOWED): _not_allowed(
        "meetings of {organizer_id} may not call {those_numbers}"
    ),
    (CallFlagged, Flag.TOLL_FREE_NOT_ALLOWED): _not_allowed(
        "nobody may join meetings of {organizer_id} by a toll-free number"
    ),
    (CallFlagged, Flag.REPORTED_BY_BRIDGE): Text(
        "{calls} {were} charged without Call Ended",
        "{They} {were} charged by the seconds that the bridge had reported, because no Call Ended "
        "event arrived in time. {price}Check that your telephony sends Call Ended for every call. "
        "If it still arrives, the charge is corrected.",
    ),
    (MinutePoolThreshold, "minutes are left"): _minute_pool(
        "When the remaining {left} are used, dial-out calls are charged to communications credit."
    ),
    (MinutePoolThreshold, None): _minute_pool(
        "Further dial-out calls of that month are charged to communications credit."
    ),
    (SpendLimitReached, LimitName.CONCURRENT_CALLS): Text(
        "concurrent-call limit reached ({calls} of {calls})",
        "On {at} {organization} had {calls} calls in progress that cost something, which is its "
        "limit. Further calls are refused until one of these ends. If the limit is too low, raise "
        "maxConcurrentCalls in the credit settings.",
    ),
    (SpendLimitReached, LimitName.MONTHLY_SPEND): _spend_limit(
        "monthly spend limit of a user reached ({period})",
        "On {at} meetings of {user_id} at {organization} reached the monthly spend limit of this "
        "user.",
        "monthlySpendLimit of this user",
    ),
    (SpendLimitReached, LimitName.DAILY_SPEND): _DAILY_LIMIT,
    (SpendLimitReached, LimitName.PREFIX_HOURLY_SPEND): _DAILY_LIMIT,
    (FraudSuspected, None): Text(
        "possible fraud: calls to +{prefix} reached the hourly limit",
        "Since {since} calls of {organization} to numbers that begin with +{prefix} have reached "
        f"the limit for one hour. {_LIMIT} Further calls to this prefix are blocked until {{end}}. "
        "If nobody knows of these calls, find out whose meetings make them, and set the dial-out "
        "policy of these users to none.",
    ),
}
"""By the kind of a notification, and by what its texts differ: a reason, a limit, or a case."""

NOTIFIED_FLAGS = frozenset(variant for kind, variant in TEMPLATES if kind is CallFlagged)
"""The flags that a call's notification may have as its reason; others are only recorded."""
