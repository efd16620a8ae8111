"""Source `perminute.billing`: what happens to the prepaid credit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self, assert_never

from aws_lambda_powertools.utilities.parser import Field, field_validator, model_validator
from pydantic import (
    AfterValidator,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
)
from pydantic.json_schema import SkipJsonSchema  # noqa: TC002 - pydantic reads it at run time

from perminute.application.book_credit import CreditEvent, FailedRecharge
from perminute.arrivals import booked_at
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
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.rating.calls import MAX_CALL_SECONDS
from perminute.domain.values.money import format_micros
from perminute.events.fields import (
    AccountId,
    Amount,
    BookingInstant,
    Currency,
    Event,
    Id,
    Instant,
    IssuedDetail,
    Model,
    PositiveAmount,
    SignedAmount,
    issued_at,
)
from perminute.events.processed_events import processed_change_of, processed_event_of

if TYPE_CHECKING:
    from datetime import datetime

    from perminute.domain.credit.transaction import ProcessedEvent

MAX_THRESHOLDS = 20
"""They live in the account item, which every charge writes: it must stay small."""

MAX_CALLS = 1_000_000
"""Calls at once: more than any bridge holds is a slip."""

MAX_LATE_USAGE_HOURS = 720
"""Credit that is reserved for longer than a month for calls of which nobody hears is a slip."""


class AutoRechargeDetail(Model):
    """When to buy credit, and how much."""

    enabled: StrictBool = Field(description="false: nothing is asked for, the rest may be absent")
    trigger_amount: Amount | None = Field(
        default=None, description="below this balance credit is asked for"
    )
    minimum_purchase: Amount | None = Field(
        default=None,
        description="the least that is sold at a time, by default 0: rechargeAmount must reach it",
    )
    recharge_amount: PositiveAmount | None = Field(
        default=None, description="how much is asked for at a time"
    )
    monthly_limit: Amount | None = Field(
        default=None, description="how much may be asked for in a calendar month"
    )

    @field_validator("recharge_amount")
    @classmethod
    def _not_below_minimum(cls, micros: int | None, fields: ValidationInfo) -> int | None:
        """Refuse what nobody would sell; a minimum that is wrong itself is named by itself."""
        minimum_micros = fields.data.get("minimum_purchase") or 0
        if micros is not None and micros < minimum_micros:
            msg = f"must be at least minimumPurchase, {format_micros(minimum_micros)}"
            raise ValueError(msg)
        return micros

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and (self.trigger_amount is None or self.recharge_amount is None):
            msg = "triggerAmount and rechargeAmount are required when enabled is true"
            raise ValueError(msg)
        return self


class CreditsConfiguredDetail(IssuedDetail):
    """How an organization keeps its credit."""

    currency: Currency = Field(description="cannot change once the credit is set up")
    low_balance_thresholds: tuple[Amount, ...] = Field(
        default=(),
        max_length=MAX_THRESHOLDS,
        description="below each of these balances a `LowBalance` is sent",
    )
    auto_recharge: AutoRechargeDetail | None = Field(
        default=None, description="when credit is asked for"
    )
    daily_spend_limit: Amount | None = Field(
        default=None, description="of the organization, by UTC day"
    )
    prefix_hourly_spend_limit: Amount | None = Field(
        default=None, description="for calls out to one prefix, by UTC clock hour"
    )
    max_concurrent_calls: StrictInt | None = Field(
        default=None, ge=0, le=MAX_CALLS, description="calls under way at once"
    )
    max_grant_seconds: StrictInt = Field(
        default=MAX_GRANT_SECONDS,
        ge=1,
        le=MAX_CALL_SECONDS,
        description=(
            "how much a call is granted at a time at most: suspected fraud, a lowered limit and a "
            "lost license take effect when a bridge reports next"
        ),
    )
    failure_handling: FailureHandling = Field(
        default=FailureHandling.CLOSED,
        description=(
            "what bridges are to do while nobody answers them: closed connects no call, open all"
        ),
    )
    late_usage_hours: StrictInt = Field(
        default=LATE_USAGE_HOURS,
        ge=1,
        le=MAX_LATE_USAGE_HOURS,
        description=(
            "how late usage may be reported: after so many hours a call that a bridge reported is "
            "charged without its `Call Ended`, and for so many hours after its expiry a lot pays "
            "calls that ended before it"
        ),
    )


class _NumberedDetail(IssuedDetail):
    """The producer has numbered what it says: that stays its identity, beside any `changeId`."""

    change_id: Id | None = Field(
        default=None, description="means nothing here: these events have an identity of their own"
    )


class CreditPurchasedDetail(_NumberedDetail):
    """A lot of credit that was bought."""

    purchase_id: Id = Field(description="unique in the organization")
    amount: PositiveAmount = Field(description="what the lot holds")
    currency: Currency = Field(description="the credit's own")
    purchased_at: BookingInstant = Field(
        description="when it was bought: what was bought first pays first; at most 5 minutes after "
        "the event's `time`"
    )
    recharge_id: Id | None = Field(
        default=None, description="the RechargeRequested that it answers"
    )
    expires_at: Instant | None = Field(
        default=None, description="by default 12 calendar months after purchasedAt"
    )

    @model_validator(mode="after")
    def _expires_later(self) -> Self:
        if self.expires_at is not None and self.expires_at <= self.purchased_at:
            msg = "expiresAt must lie after purchasedAt"
            raise ValueError(msg)
        return self

    def happened(self) -> dict[str, datetime | None]:
        """Return when it was bought, beside when that was said."""
        return {**super().happened(), "purchasedAt": self.purchased_at}


def _not_zero(micros: int) -> int:
    if micros == 0:
        msg = "must not be 0"
        raise ValueError(msg)
    return micros


Reason = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class CreditAdjustedDetail(_NumberedDetail):
    """A correction of the balance, up or down."""

    adjustment_id: Id = Field(description="unique in the organization")
    amount: Annotated[SignedAmount, AfterValidator(_not_zero)] = Field(
        description="in the currency of the credit; above 0 it is added, below 0 taken; never 0. "
        "Refused until the first Credits Configured or Credit Purchased names a currency"
    )
    reason: Reason = Field(description="for those who read the ledger")
    purchase_id: Id | None = Field(
        default=None, description="the purchase that an amount below 0 takes back"
    )

    @model_validator(mode="after")
    def _takes_back(self) -> Self:
        if self.purchase_id is not None and self.amount > 0:
            msg = "amount must be below 0 with a purchaseId, which says what is taken back"
            raise ValueError(msg)
        return self


class RechargeFailedDetail(_NumberedDetail):
    """A recharge that was requested and could not be bought."""

    recharge_id: Id = Field(description="the RechargeRequested that it answers")
    reason: Reason = Field(description="for the people who are notified")


class _BillingEvent(Event):
    source: Literal["perminute.billing"]
    account: SkipJsonSchema[AccountId] = None
    """Which AWS account sent it: the bus says so, and no producer can. Not part of what is sent."""


class CreditsConfigured(_BillingEvent):
    """An admin set the credits up, or changed how they are kept [changeId or event id]."""

    detail_type: Literal["Credits Configured"] = Field(alias="detail-type")
    detail: CreditsConfiguredDetail


class CreditPurchased(_BillingEvent):
    """Credit was bought [organizationId, purchaseId]."""

    detail_type: Literal["Credit Purchased"] = Field(alias="detail-type")
    detail: CreditPurchasedDetail


class CreditAdjusted(_BillingEvent):
    """The balance was corrected [organizationId, adjustmentId]."""

    detail_type: Literal["Credit Adjusted"] = Field(alias="detail-type")
    detail: CreditAdjustedDetail


class RechargeFailed(_BillingEvent):
    """Credit that was asked for could not be bought [organizationId, rechargeId]."""

    detail_type: Literal["Recharge Failed"] = Field(alias="detail-type")
    detail: RechargeFailedDetail


AnyBillingEvent = CreditsConfigured | CreditPurchased | CreditAdjusted | RechargeFailed

BILLING: TypeAdapter[AnyBillingEvent] = TypeAdapter(
    Annotated[AnyBillingEvent, Field(discriminator="detail_type")]
)


def credit_event(event: AnyBillingEvent, heard_at: datetime | None = None) -> CreditEvent:
    """Turn the event into the change of the account that it brings."""
    change: Purchase | Adjustment | CreditSettings | FailedRecharge
    at = booked_at(event.time, heard_at)
    issued = issued_at(event, event.detail)
    match event:
        case CreditsConfigured(detail=detail):
            processed_event = processed_change_of(event, detail)
            change = _settings(detail, processed_event, issued)
        case CreditPurchased(detail=detail):
            change = Purchase(
                purchase_id=detail.purchase_id,
                amount_micros=detail.amount,
                currency=detail.currency,
                purchased_at=detail.purchased_at,
                expires_at=detail.expires_at or twelve_months_after(detail.purchased_at),
                recharge_id=detail.recharge_id,
            )
            processed_event = processed_event_of(event, IdentityKind.PURCHASE, detail.purchase_id)
        case CreditAdjusted(detail=detail):
            change = Adjustment(
                adjustment_id=detail.adjustment_id,
                amount_micros=detail.amount,
                expires_at=twelve_months_after(at),
                purchase_id=detail.purchase_id,
            )
            processed_event = processed_event_of(
                event, IdentityKind.ADJUSTMENT, detail.adjustment_id
            )
        case RechargeFailed(detail=detail):
            change = FailedRecharge(recharge_id=detail.recharge_id, reason=detail.reason)
            processed_event = processed_event_of(
                event, IdentityKind.RECHARGE_FAILURE, detail.recharge_id
            )
        case never:
            assert_never(never)
    return CreditEvent(
        organization_id=event.detail.organization_id,
        change=change,
        processed_event=processed_event,
        issued_at=at,
        decided_at=event.detail.issued_at,
        heard_at=heard_at,
        event_id=event.id,
        producer=Producer(event.account, event.source),
    )


def _settings(
    detail: CreditsConfiguredDetail, processed_event: ProcessedEvent, configured_at: datetime
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
    )


def _auto_recharge(detail: AutoRechargeDetail | None) -> AutoRecharge | None:
    """Read what is configured; what is switched off needs no amounts and has no effect."""
    match detail:
        case AutoRechargeDetail(
            enabled=True, trigger_amount=int(trigger), recharge_amount=int(recharge)
        ):
            return AutoRecharge(
                trigger_micros=trigger,
                recharge_micros=recharge,
                monthly_limit_micros=detail.monthly_limit,
            )
        case _:
            return None
