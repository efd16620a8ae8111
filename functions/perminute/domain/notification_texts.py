"""Each notification in plain sentences: what happened, the amounts, and what to do.

What an e-mail subscription shows as it is, so that nobody has to read JSON to keep meetings going.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, assert_never

from perminute.domain.licensing import NotEntitled
from perminute.domain.money import MICROS_PER_UNIT, format_micros
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
from perminute.domain.rate_card import Unpriced
from perminute.domain.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, Disabled
from perminute.domain.spending import LimitName
from perminute.domain.usage import Flag

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.notifications import Notification


class Text(NamedTuple):
    """A subject, and two or three sentences; each of one line."""

    subject: str
    body: str


_NOT_ENTITLED = {
    NotEntitled.NO_LICENSE: (
        "its organizer holds neither a pay-per-minute nor a subscription license",
        "Assign one if such calls are to be made",
    ),
    NotEntitled.NO_CREDITS_LICENSE: (
        "its organizer lacks the communications-credits license",
        "Assign it if such calls are to be made",
    ),
    NotEntitled.CREDITS_NOT_SET_UP: (
        "communications credit had not been set up",
        "Set it up, or buy credit, if such calls are to be made",
    ),
    NotEntitled.NOT_VOLUME_LICENSING: (
        "the organization does not buy through volume licensing, as pay-per-minute asks for",
        "A subscription license for the organizer would cover it",
    ),
    NotEntitled.COUNTRY_NOT_AVAILABLE: (
        "audio conferencing cannot be paid by the minute at its organizer's usage location",
        "See that the usage location is known and right",
    ),
}
"""Why a call was not covered, and what to do about it."""

_WHY_NOT_RATED = {
    Unpriced.NO_RATE: "has no price for its number",
    Unpriced.BLOCKED_NUMBER: "blocks its number",
    Unpriced.CURRENCY_MISMATCH: "prices its number in {currency}, and the credit is kept in "
    "another currency",
}


_POLICIES = {
    Flag.DIAL_OUT_NOT_ALLOWED: "may not call out of meetings to that number",
    Flag.TOLL_FREE_NOT_ALLOWED: "may not be called at toll-free numbers",
}
"""What a policy does not allow."""


def text_of(notification: Notification) -> Text:
    """Write a notification for people; amounts are in the currency of the credit.

    Names and reasons from outside can neither end a line nor hide what follows them.
    """
    subject, body = _written(notification)
    return Text(one_line(subject), one_line(body))


def _written(notification: Notification) -> Text:  # noqa: C901, PLR0911, PLR0912 - a case for each kind
    who = notification.organization_id
    match notification.news:
        case LowBalance() as news:
            threshold = _money(news.threshold_micros, news.currency)
            what_next = (
                "When it is used up, what needs credit is no longer covered. Unless it is "
                "recharged automatically, buy credit before that happens."
                if news.balance_micros > 0
                else "It is used up, and what needs credit is no longer covered. Buy credit now."
            )
            return Text(
                f"{who}: credit is below {threshold}",
                f"The communications credit of {who} fell below {threshold} and now stands at "
                f"{_money(news.balance_micros, news.currency)}. {what_next}",
            )
        case BalanceExhausted() as news:
            return Text(
                f"{who}: credit is used up",
                f"The communications credit of {who} is used up: the balance is "
                f"{_money(news.balance_micros, news.currency)}. What needs credit is no longer "
                "covered: of pay-per-minute organizers, every phone call. Buy credit now.",
            )
        case RechargeRequested() as news:
            return _recharge_requested(who, news)
        case RechargeSucceeded() as news:
            amount = _money(news.amount_micros, news.currency)
            paid = (
                f"The recharge {news.recharge_id} of {amount} for {who} was reported as failed "
                "before and has been paid after all. It counts for the limit of this month."
                if news.after_failure
                else f"The recharge {news.recharge_id} of {amount} for {who} succeeded."
            )
            return Text(
                f"{who}: recharged with {amount}",
                f"{paid} The balance is now {_money(news.balance_micros, news.currency)}. No "
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
                f"{_money(news.remaining_micros, news.currency)} is left and expires on "
                f"{_minute(news.expires_at)}. What is not used by then is forfeited: "
                "plan meetings, and the next purchase, accordingly.",
            )
        case CreditExpired() as news:
            return Text(
                f"{who}: {_money(news.amount_micros, news.currency)} of credit expired",
                f"The rest of the credit {news.purchase_id} of {who}, "
                f"{_money(news.amount_micros, news.currency)}, expired on "
                f"{_minute(news.expires_at)} and is forfeited. It still pays calls that ended "
                f"before and are reported by {_minute(news.late_usage_until)}. The balance is now "
                f"{_money(news.balance_micros, news.currency)}. Buy credit if that is too little.",
            )
        case CallNotEntitled() as news:
            why, remedy = _NOT_ENTITLED[news.reason]
            return Text(
                f"{who}: a call was not covered by a license",
                f"Call {news.call_id} of {who} was not charged, because {why}. {remedy}; until "
                "then the next ones will not be covered either.",
            )
        case CallNotRated() as news:
            return Text(
                f"{who}: a call could not be priced",
                f"Call {news.call_id} of {who} was given free, because the rate card "
                f"{_WHY_NOT_RATED[news.reason].format(currency=news.rate_currency)}. If such "
                "calls are to be made, the rate card needs a rate for them in the currency of the "
                "credit; if not, stop them where calls are authorized.",
            )
        case CallFlagged(reason=Flag.REPORTED_BY_BRIDGE) as news:
            return Text(
                f"{who}: the end of a call was not reported",
                f"Call {news.call_id} of {who} was charged by the seconds that its bridge had "
                "reported, because no Call Ended event came for it in time. Check that your "
                "telephony sends one for every call. If it still comes, it corrects the charge.",
            )
        case CallFlagged() as news:
            return Text(
                f"{who}: a call went against a policy",
                f"Call {news.call_id} of {who} took place although its organizer "
                f"{_POLICIES[news.reason]}. It was charged as usual. See that calls are stopped "
                "where they are authorized, or change the policy.",
            )
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
    spent = _money(news.spent_micros or 0, news.currency)
    reserved = _money(news.reserved_micros or 0, news.currency)
    amount = _money(amount_micros, news.currency)
    return f"Of {amount} that are allowed, {spent} is spent and {reserved} is reserved"


def _recharge_requested(who: str, news: RechargeRequested) -> Text:
    """Say that somebody else is to buy: perminute never does."""
    amount = _money(news.amount_micros, news.currency)
    balance = _money(news.balance_micros, news.currency)
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
    reason, balance = news.reason.rstrip("."), _money(news.balance_micros, news.currency)
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
    balance = _money(news.balance_micros, news.currency)
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


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M} UTC"


def _money(micros: int, currency: str | None) -> str:
    """Write an amount as people do: with two decimals at least, if it has any."""
    amount = format_micros(micros)
    if micros % MICROS_PER_UNIT and micros % (MICROS_PER_UNIT // 10) == 0:
        amount += "0"
    return f"{amount} {currency}" if currency else amount
