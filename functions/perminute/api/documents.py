"""The answers of the charging API, made of the domain's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perminute.api.messages import AnswerDocument, BalanceDocument, PriceDocument
from perminute.domain.limits.spending import Spendings, day_of
from perminute.domain.rating.usage_record import Flag
from perminute.domain.values.money import format_micros
from perminute.domain.values.times import format_instant

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.authorization.reservations import Answer
    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.lots import Lots
    from perminute.domain.rating.usage_record import Usage


def answer_document(answer: Answer) -> AnswerDocument:
    """Write an answer."""
    return AnswerDocument(
        sequence=answer.sequence,
        decision=answer.decision,
        reason=answer.reason,
        granted_seconds=answer.granted_seconds,
        valid_until=instant_text(answer.valid_until),
        report_before=instant_text(answer.report_before),
        hang_up_after_seconds=answer.hang_up_after_seconds,
        remaining_seconds=answer.remaining_seconds,
        final_unit=answer.final_unit,
        paid_by=answer.paid_by,
        rate_per_minute=_money(answer.rate_micros_per_minute),
        connection_fee=_money(answer.connection_fee_micros),
        currency=answer.currency,
        limit=answer.limit,
        failure_handling=answer.failure_handling,
    )


def price_document(usage: Usage, *, entitled: bool) -> PriceDocument:
    """Write what a call would become; without an organizer only what the rate card says.

    Then `reason` says why there is no price, or that credit could not pay the one that there is.
    """
    call, price = usage.call, usage.stated_price
    unpriced = price.unpriced and price.unpriced.value
    return PriceDocument(
        leg_type=call.leg_type,
        seconds=call.connected_seconds,
        at=format_instant(call.rated_at),
        billed_seconds=price.billed_seconds,
        prefix=price.prefix,
        country=price.country,
        rate_per_minute=_money(price.rate_micros_per_minute),
        connection_fee=_money(price.connection_fee_micros),
        retail_cost=_money(price.retail_micros),
        currency=price.currency,
        outcome=usage.outcome if entitled else None,
        reason=(usage.reason and usage.reason.value) if entitled else unpriced,
        pool_minutes=usage.pool_minutes if entitled else None,
        charge=format_micros(usage.charge_micros) if entitled else None,
        flags=[one for one in usage.flags if entitled or one is Flag.PREFIX_UNCERTAIN],
    )


def balance_document(account: Account, at: datetime, further: Lots = ()) -> BalanceDocument:
    """Write how an account stands, whether all that has expired is booked or not.

    `further` are its further lots, if some of them may have expired by then.
    """
    balance_micros = account.balance_at(at, further)
    reserved_micros = account.reserved.amount_at(at)
    settings = account.settings
    today = Spendings(account.days, {})[day_of(at)]
    return BalanceDocument(
        organization_id=account.organization_id,
        at=format_instant(at),
        currency=account.currency,
        balance=format_micros(balance_micros),
        reserved=format_micros(reserved_micros),
        available=format_micros(balance_micros - reserved_micros),
        calls=account.reserved.calls_at(at),
        spent_today=format_micros(today.spent_micros),
        daily_spend_limit=_money(settings.daily_spend_limit_micros if settings else None),
        max_concurrent_calls=settings.max_concurrent_calls if settings else None,
    )


def instant_text(instant: datetime | None) -> str | None:
    """Write an instant; null if there is none."""
    return None if instant is None else format_instant(instant)


def _money(micros: int | None) -> str | None:
    return None if micros is None else format_micros(micros)
