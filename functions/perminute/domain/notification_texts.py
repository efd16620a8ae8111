"""Each notification in plain sentences: what happened, the amounts, and what to do.

What an e-mail subscription shows as it is, so that nobody has to read JSON to keep meetings going.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.call_texts import call_text
from perminute.domain.notifications import (
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
from perminute.domain.printable import one_line
from perminute.domain.readable import Recipient, Text, minute, money
from perminute.domain.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, Disabled
from perminute.domain.spending import LimitName

if TYPE_CHECKING:
    from perminute.domain.notifications import Notification


def text_of(notification: Notification, organization_name: str | None = None) -> Text:
    """Write a notification for people; amounts are in the currency of the credit.

    Names and reasons from outside can neither end a line nor hide what follows them.
    """
    subject, body = _written(notification, organization_name or notification.organization_id)
    return Text(one_line(subject), one_line(body))


def _written(notification: Notification, who: str) -> Text:  # noqa: C901, PLR0911, PLR0912 - a case for each kind
    match notification.news:
        case LowBalance() as news:
            threshold = money(news.threshold_micros, news.currency)
            what_next = (
                "When it is used up, what needs credit is no longer covered. Unless it is "
                "recharged automatically, buy credit before that happens."
                if news.balance_micros > 0
                else "It is used up, and what needs credit is no longer covered. Buy credit now."
            )
            return Text(
                f"{who}: credit is below {threshold}",
                f"The communications credit of {who} fell below {threshold} and now stands at "
                f"{money(news.balance_micros, news.currency)}. {what_next}",
            )
        case BalanceExhausted() as news:
            return Text(
                f"{who}: credit is used up",
                f"The communications credit of {who} is used up: the balance is "
                f"{money(news.balance_micros, news.currency)}. What needs credit is no longer "
                "covered: of pay-per-minute organizers, every phone call. Buy credit now.",
            )
        case RechargeRequested() as news:
            return _recharge_requested(who, news)
        case RechargeSucceeded() as news:
            amount = money(news.amount_micros, news.currency)
            paid = (
                f"The recharge {news.recharge_id} of {amount} for {who} was reported as failed "
                "before and has been paid after all. It counts for the limit of this month."
                if news.after_failure
                else f"The recharge {news.recharge_id} of {amount} for {who} succeeded."
            )
            return Text(
                f"{who}: recharged with {amount}",
                f"{paid} The balance is now {money(news.balance_micros, news.currency)}. No "
                "action needed.",
            )
        case RechargeFailed() as news:
            return _recharge_failed(who, news)
        case RechargeDisabled() as news:
            return _recharge_disabled(who, news)
        case CreditExpiring() as news:
            return Text(
                f"{who}: credit expires on {news.expires_at:%Y-%m-%d}",
                f"Of the credit {news.purchase_id} of {who}, "
                f"{money(news.remaining_micros, news.currency)} is left and expires on "
                f"{minute(news.expires_at)}. What is not used by then is forfeited: "
                "plan meetings, and the next purchase, accordingly.",
            )
        case CreditExpired() as news:
            return Text(
                f"{who}: {money(news.amount_micros, news.currency)} of credit expired",
                f"The rest of the credit {news.purchase_id} of {who}, "
                f"{money(news.amount_micros, news.currency)}, expired on "
                f"{minute(news.expires_at)} and is forfeited. It still pays calls that ended "
                f"before and are reported by {minute(news.late_usage_until)}. The balance is now "
                f"{money(news.balance_micros, news.currency)}. Buy credit if that is too little.",
            )
        case CallNotEntitled() | CallNotRated() | CallFlagged() as news:
            to = Recipient(notification.organization_id, who)
            subject, body = call_text(to, news, notification.at)
            return Text(f"{who}: {subject}", body)
        case MinutePoolThreshold() as news:
            what_next = (
                "Further ones of that month go to communications credit: see that it lasts."
                if news.used >= news.minutes
                else f"Once the {news.minutes - news.used} that are left are used up too, such "
                "calls go to communications credit."
            )
            return Text(
                f"{who}: {news.percent} % of the dial-out minutes of {news.month} are used",
                f"Of the {news.minutes} dial-out minutes that the subscriptions of {who} bring "
                f"for {news.month}, {news.used} are used. {what_next}",
            )
        case SpendLimitReached() as news:
            return _spend_limit_reached(who, news)
        case FraudSuspected() as news:
            return Text(
                f"{who}: calls out to +{news.prefix} reach the limit of an hour",
                f"{_used(news, news.amount_micros)} for calls of {who} out to numbers that begin "
                f"with +{news.prefix}, since {news.since:%H:%M} UTC. What would pass that is "
                "refused until the hour is over. If nobody knows of these calls, find out whose "
                "meetings make them, and take away their right to call out.",
            )
        case never:
            assert_never(never)


def _spend_limit_reached(who: str, news: SpendLimitReached) -> Text:
    match news.limit:
        case LimitName.CONCURRENT_CALLS:
            return Text(
                f"{who}: as many calls as may be at once",
                f"Paid calls of {who} under way: {news.calls}, as many as its limit allows. "
                "More are refused until some of them end. Raise the limit if it is too low.",
            )
        case LimitName.MONTHLY_SPEND:
            whose, over = f"the meetings of {news.user_id} of {who}", "month"
        case LimitName.DAILY_SPEND | LimitName.PREFIX_HOURLY_SPEND:
            whose, over = f"calls of {who}", "day"
        case never:
            assert_never(never)
    return Text(
        f"{who}: the limit of {news.user_id or 'the day'} for {news.period} is reached",
        f"{_used(news, news.amount_micros or 0)} for {whose} on account of {news.period}. What "
        f"would pass that is refused until the {over} is over, in UTC. Raise the limit if it is "
        "too low.",
    )


def _used(news: SpendLimitReached | FraudSuspected, amount_micros: int) -> str:
    """Say how much of a limit is used: a call that was refused would have passed it."""
    spent = money(news.spent_micros or 0, news.currency)
    reserved = money(news.reserved_micros or 0, news.currency)
    amount = money(amount_micros, news.currency)
    return f"Of {amount} that are allowed, {spent} is spent and {reserved} is reserved"


def _recharge_requested(who: str, news: RechargeRequested) -> Text:
    """Say that somebody else is to buy: perminute never does."""
    amount = money(news.amount_micros, news.currency)
    balance = money(news.balance_micros, news.currency)
    if news.attempt > 1:
        return Text(
            f"{who}: recharge of {amount} requested again (attempt {news.attempt})",
            f"Your billing system has not answered the recharge {news.recharge_id} of {amount} for "
            f"{who}. We have asked it again to buy {amount} under the same id, attempt "
            f"{news.attempt}, and ask once a day until it reports Credit Purchased or Recharge "
            f"Failed with this id. It must not be bought twice. The balance is {balance}.",
        )
    return Text(
        f"{who}: recharge of {amount} requested",
        f"The communications credit of {who} stands at {balance}, below its trigger. We have asked "
        f"your billing system to buy {amount} under the id {news.recharge_id} (perminute only "
        "asks). Until an outcome is reported, the same id is sent again each day. No action "
        "needed.",
    )


def _recharge_failed(who: str, news: RechargeFailed) -> Text:
    reason, balance = news.reason.rstrip("."), money(news.balance_micros, news.currency)
    if news.never_requested:
        return Text(
            f"{who}: a recharge that was never requested failed",
            f"Your billing system has reported that the recharge {news.recharge_id} for {who} "
            f"failed ({reason}), but that recharge was never requested. It counts for nothing. The "
            f"balance is {balance}. Check which ids your billing system reports.",
        )
    return Text(
        f"{who}: recharge failed",
        f"The recharge {news.recharge_id} for {who} failed: {reason}. The balance is {balance}. "
        f"Check the means of payment, or buy credit by hand; {MAX_FAILURES} failures in a row "
        "stop it.",
    )


def _recharge_disabled(who: str, news: RechargeDisabled) -> Text:
    subject = f"{who}: auto-recharge has stopped"
    balance = money(news.balance_micros, news.currency)
    match news.reason:
        case Disabled.THREE_FAILURES:
            return Text(
                subject,
                f"Auto-recharge of {who} is switched off after {MAX_FAILURES} failures in a row. "
                f"The balance is {balance}. Update your payment method, then buy credit, or switch "
                "auto-recharge off and on again in the credit settings: either starts it again. "
                "Saving the same settings again does not.",
            )
        case Disabled.MONTHLY_LIMIT:
            return Text(
                subject,
                f"One more recharge of {who} would exceed its monthly limit. The balance is "
                f"{balance}, and nothing is bought until the limit allows it. Buy credit by hand, "
                "or raise the limit.",
            )
        case Disabled.DAILY_LIMIT:
            return Text(
                subject,
                f"We have asked for {MAX_REQUESTS_A_DAY} recharges of {who} today and ask for no "
                f"more until tomorrow, 00:00 UTC. The balance is {balance}. If the recharge amount "
                "is too small for what calls cost, raise it: settings that differ start "
                "auto-recharge again at once. Or buy credit by hand.",
            )
        case never:
            assert_never(never)
