"""Each notification in plain sentences: what happened and when, what it means, and what to do.

What an e-mail subscription shows as it is, so that nobody has to read JSON to keep meetings going.
"""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, assert_never

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
from perminute.domain.values.printable import one_line
from perminute.formats.call_texts import call_text
from perminute.formats.readable import Recipient, Text, day, hour, minute, money
from perminute.formats.recharge_texts import (
    recharge_disabled,
    recharge_failed,
    recharge_requested,
    recharge_succeeded,
)

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.notifications.notifications import Notification

MAX_SUBJECT = 99
"""Characters of a subject: SNS takes fewer than 100, of ASCII, and no space first."""

_WITHOUT_CREDIT = (
    "Pay-per-minute organizers can no longer join or call by phone. Subscription organizers can no "
    "longer use toll-free numbers, or call out beyond their minute pool."
)


class Sender(NamedTuple):
    """Who sends notifications: the stack, and where docs/ is to be found; each may be empty."""

    stack: str = ""
    documentation_url: str = ""

    def footer(self, kind: str) -> str:
        """Say where to read more about a kind of notification, and who has sent it."""
        stack = f", stack {self.stack}" if self.stack else ""
        # No full stop after it: mail programs would make that a part of the link.
        page = f"{self.documentation_url}docs/notifications.md#{kind.lower()}"
        return f"Sent by perminute{stack}. More about this: {page}"


SOMEBODY = Sender()


def text_of(
    notification: Notification, organization_name: str | None = None, sender: Sender = SOMEBODY
) -> Text:
    """Write a notification for people; amounts are in the currency of the credit.

    Names and reasons from outside can neither end a line nor hide what follows them. Of a subject
    that is too long the name is cut, never what happened.
    """
    organization_id = notification.organization_id
    to = Recipient(organization_id, organization_name or organization_id)
    subject, body = _written(notification, to)
    return Text(
        _with_name(one_line(subject), to), one_line(f"{body} {sender.footer(notification.type)}")
    )


def _with_name(what: str, to: Recipient) -> str:
    """Put as much of the name before the subject as there is room for.

    Letters are written without their accents; the id stands for a name that has no letter of ASCII.
    """
    name = next(filter(None, map(_in_ascii, (to.name, to.id))), "organization")
    room = MAX_SUBJECT - len(what) - len(": ")
    return f"{name if len(name) <= room else name[: room - 3] + '...'}: {what}"


def _in_ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", one_line(name)).encode("ascii", "ignore").decode()
    return plain.strip()


def _written(notification: Notification, to: Recipient) -> Text:  # noqa: C901, PLR0911, PLR0912 - a case for each kind
    at = notification.at
    match notification.news:
        case LowBalance() as news:
            return _low_balance(to, news, at)
        case BalanceExhausted() as news:
            balance = money(news.balance_micros, news.currency)
            return Text(
                "credit is used up",
                f"The communications credit of {to.in_full} was used up on {minute(at)}. The "
                f"balance is {balance}. {_WITHOUT_CREDIT} Buy credit now: calls are possible again "
                "as soon as the balance is above 0.",
            )
        case RechargeRequested() as news:
            return recharge_requested(to, news, at)
        case RechargeSucceeded() as news:
            return recharge_succeeded(to, news, at)
        case RechargeFailed() as news:
            return recharge_failed(to, news, at)
        case RechargeDisabled() as news:
            return recharge_disabled(to, news, at)
        case CreditExpiring() as news:
            left = money(news.remaining_micros, news.currency)
            return Text(
                f"{left} of credit expires on {day(news.expires_at)}",
                f"Of the purchase {news.purchase_id} of {to.in_full}, {left} is left and expires "
                f"on {minute(news.expires_at)}. What is not used by then is forfeited. The oldest "
                "credit is always used first. If so much is often left, buy less at a time.",
            )
        case CreditExpired() as news:
            return _credit_expired(to, news)
        case CallNotEntitled() | CallNotRated() | CallFlagged() as news:
            return call_text(to, news, at)
        case MinutePoolThreshold() as news:
            return _minute_pool(to, news, at)
        case SpendLimitReached() as news:
            return _spend_limit_reached(to, news, at)
        case FraudSuspected() as news:
            return _fraud_suspected(to, news)
        case never:
            assert_never(never)


def _low_balance(to: Recipient, news: LowBalance, at: datetime) -> Text:
    threshold = money(news.threshold_micros, news.currency)
    what_next = (
        "When the credit is used up, pay-per-minute organizers can no longer join or call by "
        "phone. Buy credit before that happens, unless your billing system recharges it."
        if news.balance_micros > 0
        else f"The credit is used up. {_WITHOUT_CREDIT} Buy credit now."
    )
    return Text(
        f"credit is below {threshold}",
        f"The communications credit of {to.in_full} fell below {threshold} on {minute(at)}. The "
        f"balance is {money(news.balance_micros, news.currency)}. {what_next}",
    )


def _credit_expired(to: Recipient, news: CreditExpired) -> Text:
    amount = money(news.amount_micros, news.currency)
    return Text(
        f"{amount} of credit expired",
        f"The rest of the purchase {news.purchase_id} of {to.in_full}, {amount}, expired on "
        f"{minute(news.expires_at)} and is forfeited. It still pays calls that ended before then, "
        f"if they are reported by {minute(news.late_usage_until)}. The balance is "
        f"{money(news.balance_micros, news.currency)}. Buy credit if that is too little.",
    )


def _minute_pool(to: Recipient, news: MinutePoolThreshold, at: datetime) -> Text:
    what_next = (
        "Further dial-out calls of that month are charged to communications credit."
        if news.used >= news.minutes
        else f"When the remaining {news.minutes - news.used} are used, too, dial-out calls are "
        "charged to communications credit."
    )
    return Text(
        f"{news.percent} % of the dial-out minutes of {news.month} are used",
        f"The subscriptions of {to.in_full} include {news.minutes} dial-out minutes for "
        f"{news.month}. By {minute(at)}, {news.used} of them were used. {what_next} Check that "
        "there is enough credit until the end of the month.",
    )


def _spend_limit_reached(to: Recipient, news: SpendLimitReached, at: datetime) -> Text:
    match news.limit:
        case LimitName.CONCURRENT_CALLS:
            return Text(
                f"concurrent-call limit reached ({news.calls} of {news.calls})",
                f"On {minute(at)} {to.in_full} had {news.calls} calls in progress that cost "
                "something, which is its limit. Further calls are refused until one of these ends. "
                "If the limit is too low, raise maxConcurrentCalls in the credit settings.",
            )
        case LimitName.MONTHLY_SPEND:
            subject = f"monthly spend limit of a user reached ({news.period})"
            whose, setting = f"for meetings of {news.user_id} at", "monthlySpendLimit of this user"
        case LimitName.DAILY_SPEND | LimitName.PREFIX_HOURLY_SPEND:
            subject = f"daily spend limit reached ({news.period})"
            whose, setting = "for", "dailySpendLimit in the credit settings"
        case never:
            assert_never(never)
    return Text(
        subject,
        f"On {minute(at)} the spend limit {whose} {to.in_full} for {news.period} was reached. "
        f"{_used(news, news.amount_micros or 0)} Calls that would exceed the limit are refused "
        f"until the end of {news.period} (UTC). If the limit is too low, raise {setting}.",
    )


def _fraud_suspected(to: Recipient, news: FraudSuspected) -> Text:
    return Text(
        f"possible fraud: calls to +{news.prefix} reached the hourly limit",
        f"Since {minute(news.since)} calls of {to.in_full} to numbers that begin with "
        f"+{news.prefix} have reached the limit for one hour. {_used(news, news.amount_micros)} "
        f"Further calls to this prefix are blocked until {hour(news.since + timedelta(hours=1))}. "
        "If nobody knows of these calls, find out whose meetings make them, and set the dial-out "
        "policy of these users to none.",
    )


def _used(news: SpendLimitReached | FraudSuspected, amount_micros: int) -> str:
    """Say how much of a limit is used: a call that was refused would have passed it."""
    spent = money(news.spent_micros or 0, news.currency)
    reserved = money(news.reserved_micros or 0, news.currency)
    amount = money(amount_micros, news.currency)
    return (
        f"Of {amount} that may be spent, {spent} is spent and {reserved} is reserved for calls in "
        "progress."
    )
