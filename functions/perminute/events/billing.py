"""Source `perminute.billing`: what happens to the prepaid credit itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, TypeAlias, assert_never

from msgspec import Meta

from perminute.application.book_credit import CreditEvent, FailedRecharge
from perminute.domain.credit.booking import Adjustment, Purchase
from perminute.domain.credit.credit_settings import (
    LATE_USAGE_HOURS,
    MAX_GRANT_SECONDS,
    CreditSettings,
    FailureHandling,
)
from perminute.domain.credit.ledger import Producer
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.recharge import AutoRecharge
from perminute.domain.credit.transaction import IdentityKind, ProcessedEvent
from perminute.domain.errors import Refused
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.values.money import format_micros
from perminute.events.event import (
    Event,
    IssuedDetail,
    Source,
    booked_at,
    issued_at,
    processed_event_of,
    read_event,
)
from perminute.fields import (
    Amount,
    BookingInstant,
    Currency,
    Id,
    Instant,
    Message,
    NonzeroAmount,
    PositiveAmount,
    about,
)
from perminute.parsing import text_type

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.sqs import Received

# Thresholds are in the account item, which every charge writes: it must stay small.
MAX_THRESHOLDS = 20
# More is a slip: no bridge has so many calls at once, and credit would be reserved for longer than
# a month for calls that nobody reports.
MAX_CALLS = 1_000_000
MAX_LATE_USAGE_HOURS = 720
MAX_REASON_LENGTH = 1_024

if TYPE_CHECKING:
    Reason: TypeAlias = str
else:
    Reason = text_type(str, minLength=1, maxLength=MAX_REASON_LENGTH)


class AutoRechargeDetail(Message, frozen=True, kw_only=True):
    """When to buy credit, and how much."""

    enabled: Annotated[
        bool, about("false: no credit is requested, and the other fields may be absent")
    ]
    trigger_amount: Annotated[Amount | None, about("credit is requested below this balance")] = None
    minimum_purchase: Annotated[
        Amount | None,
        about("the smallest purchase that is sold, by default 0; rechargeAmount is at least this"),
    ] = None
    recharge_amount: Annotated[PositiveAmount | None, about("the amount of each request")] = None
    monthly_limit: Annotated[Amount | None, about("the most that is requested in a UTC month")] = (
        None
    )


class CreditsConfigured(IssuedDetail, frozen=True, kw_only=True):
    """An admin sets up the credit, or replaces all its settings [changeId or event id]."""

    currency: Annotated[Currency, about("cannot change once the credit is set up")]
    low_balance_thresholds: Annotated[
        tuple[Amount, ...],
        Meta(
            max_length=MAX_THRESHOLDS,
            description="a `LowBalance` is sent below each of these balances",
        ),
    ] = ()
    auto_recharge: Annotated[
        AutoRechargeDetail | None, about("when credit is requested, and how much")
    ] = None
    daily_spend_limit: Annotated[Amount | None, about("what calls may cost in a UTC day")] = None
    prefix_hourly_spend_limit: Annotated[
        Amount | None, about("what calls out to one prefix may cost in a UTC clock hour")
    ] = None
    max_concurrent_calls: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_CALLS)] | None,
        about("how many calls may be under way at once"),
    ] = None
    max_grant_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=MAX_CALL_SECONDS,
            description="the most that a call is granted at a time, by default 1,800: suspected "
            "fraud, a lowered limit and a lost license take effect at the bridge's next report",
        ),
    ] = MAX_GRANT_SECONDS
    failure_handling: Annotated[
        FailureHandling,
        about(
            "what bridges do without an answer: closed (default) connects no call, open all calls"
        ),
    ] = FailureHandling.CLOSED
    late_usage_hours: Annotated[
        int,
        Meta(
            ge=1,
            le=MAX_LATE_USAGE_HOURS,
            description="how late usage may be reported, by default 72: after so many hours a call "
            "that a bridge reported is charged without its `Call Ended`, and for so many hours "
            "after its expiry a lot pays calls that ended before it",
        ),
    ] = LATE_USAGE_HOURS
    monthly_budget: Annotated[
        Amount | None,
        about(
            "what the calls of a UTC month may cost before a `MonthCostForecast` is sent; no call "
            "is refused for it"
        ),
    ] = None


class NumberedDetail(IssuedDetail, frozen=True, kw_only=True):
    """What an event says that has an identity of its own."""

    change_id: Annotated[
        Id | None, about("ignored: these events have an identity of their own")
    ] = None


class CreditPurchased(NumberedDetail, frozen=True, kw_only=True):
    """Credit was bought [organizationId, purchaseId]."""

    happened = ("issued_at", "purchased_at")
    numbered_by = (IdentityKind.PURCHASE, "purchase_id")

    purchase_id: Annotated[Id, about("unique in the organization")]
    amount: Annotated[PositiveAmount, about("the credit of the lot")]
    currency: Annotated[Currency, about("that of the credit, which the first event sets")]
    purchased_at: Annotated[
        BookingInstant,
        about(
            "when it was bought, at most 5 minutes after the event's `time`; the lot bought first "
            "pays first"
        ),
    ]
    recharge_id: Annotated[Id | None, about("the RechargeRequested that it answers")] = None
    expires_at: Annotated[
        Instant | None, about("12 calendar months after purchasedAt by default")
    ] = None


class CreditAdjusted(NumberedDetail, frozen=True, kw_only=True):
    """The balance was corrected [organizationId, adjustmentId]."""

    numbered_by = (IdentityKind.ADJUSTMENT, "adjustment_id")

    adjustment_id: Annotated[Id, about("unique in the organization")]
    amount: Annotated[
        NonzeroAmount,
        about(
            "in the currency of the credit: above 0 it is added, below 0 taken; never 0. Refused "
            "until the first Credits Configured or Credit Purchased sets a currency"
        ),
    ]
    reason: Annotated[Reason, about("why it was corrected")]
    purchase_id: Annotated[Id | None, about("the purchase that an amount below 0 takes back")] = (
        None
    )


class RechargeFailed(NumberedDetail, frozen=True, kw_only=True):
    """Requested credit could not be bought [organizationId, rechargeId]."""

    numbered_by = (IdentityKind.RECHARGE_FAILURE, "recharge_id")

    recharge_id: Annotated[Id, about("the RechargeRequested that it answers")]
    reason: Annotated[Reason, about("shown in the notification")]


BillingDetail: TypeAlias = CreditsConfigured | CreditPurchased | CreditAdjusted | RechargeFailed

BILLING: Source[BillingDetail] = Source(
    "perminute.billing",
    {
        "Credits Configured": CreditsConfigured,
        "Credit Purchased": CreditPurchased,
        "Credit Adjusted": CreditAdjusted,
        "Recharge Failed": RechargeFailed,
    },
)


def parse_credit_event(body: str, received: Received) -> CreditEvent:
    """Parse a billing event. Raises `Refused`."""
    return credit_event(read_event(body, BILLING, received), received.heard_at)


def credit_event(event: Event[BillingDetail], heard_at: datetime | None = None) -> CreditEvent:
    """Return the change of an account; raises `Refused` for fields that contradict each other."""
    detail, at = event.detail, booked_at(event.time, heard_at)
    processed_event = processed_event_of(event)
    change: CreditSettings | Purchase | Adjustment | FailedRecharge
    match detail:
        case CreditsConfigured():
            change = _settings(detail, processed_event, issued_at(event, detail))
        case CreditPurchased():
            change = _purchase(detail)
        case CreditAdjusted():
            change = _adjustment(detail, at)
        case RechargeFailed():
            change = FailedRecharge(recharge_id=detail.recharge_id, reason=detail.reason)
        case never:
            assert_never(never)
    return CreditEvent(
        organization_id=detail.organization_id,
        change=change,
        processed_event=processed_event,
        issued_at=at,
        decided_at=detail.issued_at,
        heard_at=heard_at,
        event_id=event.id,
        producer=Producer(_account_id(event.account), event.source),
    )


def _account_id(account: object) -> str | None:
    # Only the 12 digits that a bus writes: for anything else no money is refused.
    is_id = isinstance(account, str) and re.fullmatch("[0-9]{12}", account)
    return str(account) if is_id else None


def _purchase(detail: CreditPurchased) -> Purchase:
    expires_at = detail.expires_at or twelve_months_after(detail.purchased_at)
    if expires_at <= detail.purchased_at:
        raise Refused("expiresAt", "must lie after purchasedAt")
    return Purchase(
        purchase_id=detail.purchase_id,
        amount_micros=detail.amount,
        currency=detail.currency,
        purchased_at=detail.purchased_at,
        expires_at=expires_at,
        recharge_id=detail.recharge_id,
    )


def _adjustment(detail: CreditAdjusted, at: datetime) -> Adjustment:
    if detail.purchase_id is not None and detail.amount > 0:
        raise Refused("amount", "must be below 0 with a purchaseId, which says what is taken back")
    return Adjustment(
        adjustment_id=detail.adjustment_id,
        amount_micros=detail.amount,
        expires_at=twelve_months_after(at),
        purchase_id=detail.purchase_id,
    )


def _settings(
    detail: CreditsConfigured, processed_event: ProcessedEvent, configured_at: datetime
) -> CreditSettings:
    return CreditSettings(
        configured_at=configured_at,
        event_id=processed_event.key.id,
        has_change_id=processed_event.key.kind is IdentityKind.CHANGE,
        currency=detail.currency,
        low_balance_thresholds_micros=detail.low_balance_thresholds,
        auto_recharge=_auto_recharge(detail.auto_recharge),
        daily_spend_limit_micros=detail.daily_spend_limit,
        prefix_hourly_spend_limit_micros=detail.prefix_hourly_spend_limit,
        max_concurrent_calls=detail.max_concurrent_calls,
        max_grant_seconds=detail.max_grant_seconds,
        failure_handling=detail.failure_handling,
        late_usage_hours=detail.late_usage_hours,
        monthly_budget_micros=detail.monthly_budget,
    )


def _auto_recharge(detail: AutoRechargeDetail | None) -> AutoRecharge | None:
    if detail is None:
        return None
    trigger_micros, recharge_micros = detail.trigger_amount, detail.recharge_amount
    minimum_micros = detail.minimum_purchase or 0
    if recharge_micros is not None and recharge_micros < minimum_micros:
        field, minimum = "autoRecharge.rechargeAmount", format_micros(minimum_micros)
        message = f"must be at least minimumPurchase, {minimum}"
        raise Refused(field, message)
    if not detail.enabled:
        return None
    if trigger_micros is None or recharge_micros is None:
        message = "triggerAmount and rechargeAmount are required when enabled is true"
        raise Refused("autoRecharge", message)
    return AutoRecharge(
        trigger_micros=trigger_micros,
        recharge_micros=recharge_micros,
        monthly_limit_micros=detail.monthly_limit,
    )
