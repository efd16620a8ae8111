"""The answers of the charging API, made of the domain's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.api.messages import AnswerDocument, BalanceDocument, PriceDocument
from perminute.domain.limits.spending import SpendCounters, day_of
from perminute.domain.rating.usage_record import Flag
from perminute.domain.values.money import format_micros, money_text
from perminute.domain.values.times import format_instant, instant_text

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.authorization.reservations import Answer
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.rating.usage_record import Usage


def answer_document(answer: Answer) -> AnswerDocument:
    """Write the answer to a request about a call."""
    fields = answer._asdict()
    return AnswerDocument(
        rate_per_minute=money_text(fields.pop("rate_micros_per_minute")),
        connection_fee=money_text(fields.pop("connection_fee_micros")),
        valid_until=instant_text(fields.pop("valid_until")),
        report_before=instant_text(fields.pop("report_before")),
        **fields,
    )


def price_document(usage: Usage, *, entitled: bool) -> PriceDocument:
    """Write what a call would become; not `entitled`, only what the rate card says.

    Then `reason` says why there is no price, or that credit could not pay it.
    """
    call, price = usage.call, usage.stated_price
    reason = usage.reason if entitled else price.unpriced
    return PriceDocument(
        leg_type=call.leg_type,
        seconds=call.connected_seconds,
        at=format_instant(call.rated_at),
        billed_seconds=price.billed_seconds,
        prefix=price.prefix,
        country=price.country,
        rate_per_minute=money_text(price.rate_micros_per_minute),
        connection_fee=money_text(price.connection_fee_micros),
        retail_cost=money_text(price.retail_micros),
        currency=price.currency,
        outcome=usage.outcome if entitled else None,
        reason=reason and reason.value,
        pool_minutes=usage.pool_minutes if entitled else None,
        charge=format_micros(usage.charge_micros) if entitled else None,
        flags=[flag for flag in usage.flags if entitled or flag is Flag.PREFIX_UNCERTAIN],
    )


def balance_document(account: Account, at: datetime, further: Lots) -> BalanceDocument:
    """Write the balance of an account at an instant, whether all that has expired is booked or not.

    `further` are its further lots, if some of them may have expired by then.
    """
    balance_micros = account.balance_at(at, further)
    reserved_micros = account.reserved.amount_at(at)
    settings = account.settings
    today = SpendCounters(account.days, {})[day_of(at)]
    return BalanceDocument(
        organization_id=account.organization_id,
        at=format_instant(at),
        currency=account.currency,
        balance=format_micros(balance_micros),
        reserved=format_micros(reserved_micros),
        available=format_micros(balance_micros - reserved_micros),
        calls=account.reserved.calls_at(at),
        spent_today=format_micros(today.spent_micros),
        daily_spend_limit=money_text(settings.daily_spend_limit_micros if settings else None),
        max_concurrent_calls=settings.max_concurrent_calls if settings else None,
    )
