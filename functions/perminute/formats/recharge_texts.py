"""What people read of auto-recharge: perminute only asks for credit, and buys nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from perminute.domain.credit.recharge import MAX_FAILURES, MAX_REQUESTS_A_DAY, Disabled
from perminute.formats.readable import Text, minute, money

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.notifications.notifications import (
        RechargeDisabled,
        RechargeFailed,
        RechargeRequested,
        RechargeSucceeded,
    )
    from perminute.formats.readable import Recipient


def recharge_requested(to: Recipient, news: RechargeRequested, at: datetime) -> Text:
    """Say that the billing system is to buy credit, for the first time or again."""
    amount = money(news.amount_micros, news.currency)
    balance = money(news.balance_micros, news.currency)
    if news.attempt > 1:
        return Text(
            f"recharge of {amount} requested again (attempt {news.attempt})",
            f"Your billing system has not answered the request to buy {amount} for {to.in_full}. "
            f"On {minute(at)} we have asked it again under the same id {news.recharge_id}, attempt "
            f"{news.attempt}. We ask once a day until it reports Credit Purchased or Recharge "
            f"Failed with this id. The balance is {balance}. Check why your billing system does "
            "not answer. It must not pay twice for this id.",
        )
    return Text(
        f"recharge of {amount} requested",
        f"On {minute(at)} the balance of {to.in_full} was {balance}, which is below the trigger of "
        f"auto-recharge. We have asked your billing system to buy {amount} under the id "
        f"{news.recharge_id} (perminute only asks). Until it reports an outcome, we ask again each "
        "day under the same id. No action needed.",
    )


def recharge_succeeded(to: Recipient, news: RechargeSucceeded, at: datetime) -> Text:
    """Say that credit has arrived, perhaps after it was reported that it would not."""
    amount = money(news.amount_micros, news.currency)
    paid = (
        f"The recharge {news.recharge_id} of {amount} for {to.in_full} had been reported as "
        f"failed, and has been paid after all on {minute(at)}. It counts for the monthly limit of "
        "auto-recharge."
        if news.after_failure
        else f"The recharge {news.recharge_id} of {amount} for {to.in_full} succeeded on "
        f"{minute(at)}."
    )
    balance = money(news.balance_micros, news.currency)
    return Text(f"recharged with {amount}", f"{paid} The balance is {balance}. No action needed.")


def recharge_failed(to: Recipient, news: RechargeFailed, at: datetime) -> Text:
    """Say that credit was not bought, and why; or that nobody had asked for it."""
    reason, balance = news.reason.rstrip("."), money(news.balance_micros, news.currency)
    if news.never_requested:
        return Text(
            "a recharge that was never requested failed",
            f"On {minute(at)} your billing system reported that the recharge {news.recharge_id} "
            f"for {to.in_full} failed ({reason}), but that recharge was never requested. The "
            f"report is ignored. The balance is {balance}. Check which ids your billing system "
            "reports.",
        )
    return Text(
        "recharge failed",
        f"The recharge {news.recharge_id} for {to.in_full} failed on {minute(at)}: {reason}. The "
        f"balance is {balance}. Update your payment method, or buy credit by hand. After "
        f"{MAX_FAILURES} failures in a row auto-recharge is switched off.",
    )


def recharge_disabled(to: Recipient, news: RechargeDisabled, at: datetime) -> Text:
    """Say why nothing more is asked for, and how to have it asked for again."""
    balance = f"The balance is {money(news.balance_micros, news.currency)}."
    return Text(
        "auto-recharge has stopped",
        f"{_why_disabled(to, news.reason, at)} {balance} {_remedy(news.reason)}",
    )


def _why_disabled(to: Recipient, reason: Disabled, at: datetime) -> str:
    match reason:
        case Disabled.THREE_FAILURES:
            return (
                f"Auto-recharge of {to.in_full} was switched off on {minute(at)}, after "
                f"{MAX_FAILURES} failures in a row."
            )
        case Disabled.MONTHLY_LIMIT:
            return (
                f"Auto-recharge of {to.in_full} stopped on {minute(at)}: one more recharge would "
                "exceed its monthly limit. We ask for nothing more until the limit allows it."
            )
        case Disabled.DAILY_LIMIT:
            return (
                f"Auto-recharge of {to.in_full} stopped on {minute(at)}: we have asked for "
                f"{MAX_REQUESTS_A_DAY} recharges on that day, and ask for nothing more until the "
                "next day, 00:00 UTC."
            )
        case never:
            assert_never(never)


def _remedy(reason: Disabled) -> str:
    match reason:
        case Disabled.THREE_FAILURES:
            return (
                "Update your payment method, then buy credit, or switch auto-recharge off and on "
                "again in the credit settings: either starts it again. Saving the same settings "
                "again does not."
            )
        case Disabled.MONTHLY_LIMIT:
            return "Buy credit by hand, or raise the monthly limit."
        case Disabled.DAILY_LIMIT:
            return (
                "If the recharge amount is too small for what calls cost, raise it: changed "
                "settings start auto-recharge again at once. Or buy credit by hand."
            )
        case never:
            assert_never(never)
