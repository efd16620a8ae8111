"""The events that come in, checked at the door (CONTRACT §2) and turned into the domain's words.

Unknown fields are ignored; what is missing or impossible is refused by the field's name. Messages
never repeat a phone number: they end up in logs and queues.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeVar, assert_never

from aws_lambda_powertools.utilities.parser import (
    BaseModel,
    Field,
    ValidationError,
    model_validator,
    parse,
)
from pydantic import (
    AfterValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    StrictInt,
    StringConstraints,
    TypeAdapter,
)
from pydantic.alias_generators import to_camel

from perminute.application.apply_licensing import LicensingEvent
from perminute.application.book_credit import Adjustment, CreditEvent, Purchase
from perminute.application.charge_legs import EndedLeg
from perminute.domain.accounts import AutoRecharge, CreditSettings
from perminute.domain.dial_out import dial_out_mode
from perminute.domain.errors import Refused
from perminute.domain.legs import Leg, LegType, MeetingType
from perminute.domain.licenses import product_named
from perminute.domain.licensing import LicensingChange, license_attribute
from perminute.domain.money import format_micros, parse_micros
from perminute.domain.phone_numbers import check_e164
from perminute.domain.timelines import Fact, FactValue
from perminute.domain.times import format_instant, parse_instant
from perminute.ports import Receipt, ReceiptKey, ReceiptKind

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_ID_LENGTH = 250
"""Characters of an identifier: at four bytes each they fit a DynamoDB sort key with our prefix."""

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def _text(value: object, example: str) -> str:
    if not isinstance(value, str):
        msg = f"must be a string such as {example!r}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    return value


def _instant(value: object) -> datetime:
    return parse_instant(_text(value, "2026-11-02T09:00:00Z"))


def _amount(value: object) -> int:
    return parse_micros(_text(value, "0.026"))


def _not_negative(micros: int) -> int:
    if micros < 0:
        msg = "must not be negative"
        raise ValueError(msg)
    return micros


def _positive(micros: int) -> int:
    if micros <= 0:
        msg = "must be greater than 0"
        raise ValueError(msg)
    return micros


def _country(code: str) -> str:
    if _COUNTRY.fullmatch(code) is None:
        msg = "must be an ISO 3166-1 alpha-2 code such as DE"
        raise ValueError(msg)
    return code


def _currency(code: str) -> str:
    if _CURRENCY.fullmatch(code) is None:
        msg = "must be an ISO 4217 code such as USD"
        raise ValueError(msg)
    return code


Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH)]
Instant = Annotated[datetime, PlainValidator(_instant), PlainSerializer(format_instant)]
SignedAmount = Annotated[int, PlainValidator(_amount), PlainSerializer(format_micros)]
Amount = Annotated[SignedAmount, AfterValidator(_not_negative)]
PositiveAmount = Annotated[SignedAmount, AfterValidator(_positive)]
PhoneNumber = Annotated[str, AfterValidator(check_e164)]
Country = Annotated[str, AfterValidator(_country)]
Currency = Annotated[str, AfterValidator(_currency)]
Product = Annotated[str, AfterValidator(product_named)]
DialOutPolicy = Annotated[str, AfterValidator(dial_out_mode)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)


class _Detail(_Model):
    schema_version: Literal["1"] = "1"
    organization_id: Id


class _Event(_Model):
    """What EventBridge puts around every detail."""

    id: Id
    time: Instant


# --- perminute.telephony ---------------------------------------------------------------------


class CallEndedDetail(_Detail):
    """One phone leg that has ended."""

    call_id: Id
    organizer_id: Id
    meeting_id: Id
    meeting_type: MeetingType
    leg_type: LegType
    service_number: PhoneNumber | None = None
    remote_number: PhoneNumber | None = None
    answered_at: Instant | None
    ended_at: Instant
    billable_seconds: StrictInt | None = None


class CallEnded(_Event):
    """Telephony reports the end of a leg [organizationId, callId]."""

    source: Literal["perminute.telephony"]
    detail_type: Literal["Call Ended"] = Field(alias="detail-type")
    detail: CallEndedDetail


TelephonyEvent = CallEnded


def ended_leg(event: TelephonyEvent) -> EndedLeg:
    """Turn the event into the domain's words; `Refused` if the leg contradicts itself."""
    detail = event.detail
    leg = Leg(
        organization_id=detail.organization_id,
        call_id=detail.call_id,
        organizer_id=detail.organizer_id,
        meeting_id=detail.meeting_id,
        meeting_type=detail.meeting_type,
        leg_type=detail.leg_type,
        service_number=detail.service_number,
        remote_number=detail.remote_number,
        answered_at=detail.answered_at,
        ended_at=detail.ended_at,
        billable_seconds=detail.billable_seconds,
    )
    return EndedLeg(leg, event.time)


# --- perminute.licensing ---------------------------------------------------------------------


class _LicensingDetail(_Detail):
    effective_at: Instant


class LicenseDetail(_LicensingDetail):
    """A user and the product that the user gained or lost."""

    user_id: Id
    license: Product


class UserDetail(_LicensingDetail):
    """What changed about a user; what is absent stays as it was."""

    user_id: Id
    country: Country | None = None
    dial_out_policy: DialOutPolicy | None = None
    toll_free_dial_in_allowed: StrictBool | None = None


class OrganizationDetail(_LicensingDetail):
    """What changed about an organization; what is absent stays as it was."""

    name: Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH)] | None = None
    licensing_program: Literal["volume", "other"] | None = None
    communications_credits_license: Literal["perUser", "organization"] | None = None
    dial_out_policy: DialOutPolicy | None = None
    pool_minutes_per_license: Annotated[StrictInt, Field(ge=0, le=1_000_000)] | None = None
    pool_basis: Literal["purchased", "assigned"] | None = None


class _LicensingEvent(_Event):
    source: Literal["perminute.licensing"]


class LicenseAssigned(_LicensingEvent):
    """From `effectiveAt` on the user holds the product [event id]."""

    detail_type: Literal["License Assigned"] = Field(alias="detail-type")
    detail: LicenseDetail


class LicenseRemoved(_LicensingEvent):
    """From `effectiveAt` on the user no longer holds the product [event id]."""

    detail_type: Literal["License Removed"] = Field(alias="detail-type")
    detail: LicenseDetail


class UserChanged(_LicensingEvent):
    """From `effectiveAt` on this holds of the user [event id]."""

    detail_type: Literal["User Changed"] = Field(alias="detail-type")
    detail: UserDetail


class OrganizationChanged(_LicensingEvent):
    """From `effectiveAt` on this holds of the organization [event id]."""

    detail_type: Literal["Organization Changed"] = Field(alias="detail-type")
    detail: OrganizationDetail


AnyLicensingEvent = LicenseAssigned | LicenseRemoved | UserChanged | OrganizationChanged


def licensing_event(event: AnyLicensingEvent) -> LicensingEvent:
    """Turn the event into the facts that it states about its subject."""
    subject, values = _stated(event)
    facts = tuple(
        Fact(
            attribute=attribute,
            value=value,
            effective_at=event.detail.effective_at,
            issued_at=event.time,
            event_id=event.id,
        )
        for attribute, value in values.items()
    )
    change = LicensingChange(event.detail.organization_id, subject, facts)
    return LicensingEvent(change, _receipt(event, ReceiptKind.EVENT, event.id))


def _stated(event: AnyLicensingEvent) -> tuple[str | None, dict[str, FactValue]]:
    match event:
        case LicenseAssigned(detail=detail):
            return detail.user_id, {license_attribute(detail.license): True}
        case LicenseRemoved(detail=detail):
            return detail.user_id, {license_attribute(detail.license): False}
        case UserChanged(detail=detail):
            return detail.user_id, _attributes(detail, but={"user_id"})
        case OrganizationChanged(detail=detail):
            return None, _attributes(detail, but=set())
        case never:
            assert_never(never)


def _attributes(detail: _LicensingDetail, *, but: set[str]) -> dict[str, FactValue]:
    common = set(_LicensingDetail.model_fields)
    return detail.model_dump(by_alias=True, exclude=common | but, exclude_none=True)


# --- perminute.billing -----------------------------------------------------------------------


class AutoRechargeDetail(_Model):
    """When to buy credit, and how much."""

    enabled: StrictBool
    trigger_amount: Amount | None = None
    recharge_amount: PositiveAmount | None = None
    monthly_limit: Amount | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.enabled and (self.trigger_amount is None or self.recharge_amount is None):
            msg = "triggerAmount and rechargeAmount are required when enabled is true"
            raise ValueError(msg)
        return self


class CreditsConfiguredDetail(_Detail):
    """How an organization keeps its credit."""

    currency: Currency
    low_balance_thresholds: tuple[Amount, ...] = ()
    auto_recharge: AutoRechargeDetail | None = None


class CreditPurchasedDetail(_Detail):
    """A lot of credit that was bought."""

    purchase_id: Id
    amount: PositiveAmount
    currency: Currency
    purchased_at: Instant
    recharge_id: Id | None = None
    expires_at: Instant | None = None


class CreditAdjustedDetail(_Detail):
    """A correction of the balance, up or down."""

    adjustment_id: Id
    amount: SignedAmount
    reason: Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class _BillingEvent(_Event):
    source: Literal["perminute.billing"]


class CreditsConfigured(_BillingEvent):
    """An admin set the credits up, or changed how they are kept [event id]."""

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


AnyBillingEvent = CreditsConfigured | CreditPurchased | CreditAdjusted


def credit_event(event: AnyBillingEvent) -> CreditEvent:
    """Turn the event into the change of the account that it brings."""
    change: Purchase | Adjustment | CreditSettings
    match event:
        case CreditsConfigured(detail=detail):
            change = _settings(event)
            receipt = _receipt(event, ReceiptKind.EVENT, event.id)
        case CreditPurchased(detail=detail):
            change = Purchase(
                amount_micros=detail.amount,
                currency=detail.currency,
                purchased_at=detail.purchased_at,
            )
            receipt = _receipt(event, ReceiptKind.PURCHASE, detail.purchase_id)
        case CreditAdjusted(detail=detail):
            change = Adjustment(amount_micros=detail.amount)
            receipt = _receipt(event, ReceiptKind.ADJUSTMENT, detail.adjustment_id)
        case never:
            assert_never(never)
    return CreditEvent(
        organization_id=event.detail.organization_id,
        change=change,
        receipt=receipt,
        issued_at=event.time,
    )


def _settings(event: CreditsConfigured) -> CreditSettings:
    detail = event.detail
    return CreditSettings(
        configured_at=event.time,
        event_id=event.id,
        currency=detail.currency,
        low_balance_thresholds_micros=detail.low_balance_thresholds,
        auto_recharge=_auto_recharge(detail.auto_recharge),
    )


def _auto_recharge(detail: AutoRechargeDetail | None) -> AutoRecharge | None:
    if detail is None:
        return None
    return AutoRecharge(
        enabled=detail.enabled,
        trigger_micros=detail.trigger_amount,
        recharge_micros=detail.recharge_amount,
        monthly_limit_micros=detail.monthly_limit,
    )


# --- the door --------------------------------------------------------------------------------

_E = TypeVar("_E")

TELEPHONY: TypeAdapter[TelephonyEvent] = TypeAdapter(TelephonyEvent)
LICENSING: TypeAdapter[AnyLicensingEvent] = TypeAdapter(
    Annotated[AnyLicensingEvent, Field(discriminator="detail_type")]
)
BILLING: TypeAdapter[AnyBillingEvent] = TypeAdapter(
    Annotated[AnyBillingEvent, Field(discriminator="detail_type")]
)


def read_event(body: str, source: TypeAdapter[_E]) -> _E:
    """Parse the JSON of one event; `Refused` names every field that is missing or impossible."""
    try:
        # Powertools takes JSON text and adapters as well; its annotations know neither.
        event: _E = parse(event=body, model=source)  # type: ignore[call-overload]
    except ValidationError as error:
        faults = [_fault(fault) for fault in error.errors(include_url=False, include_input=False)]
        (field, message), *more = faults
        others = "".join(f"; {name}: {what}" for name, what in more)
        raise Refused(field, message + others) from None
    return event


def _fault(fault: ErrorDetails) -> tuple[str, str]:
    if fault["type"] == "union_tag_not_found":
        return "detail-type", "is required"
    if fault["type"] == "union_tag_invalid":
        return "detail-type", f"must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] == "json_invalid":
        return "event", f"is not JSON: {fault['ctx']['error']}"
    # In a union pydantic puts the detail-type in front; no field of an event has a space.
    path = ".".join(str(part) for part in fault["loc"] if " " not in str(part))
    return path or "event", _message(fault)


def _message(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "missing":
            return "is required"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a JSON object"
        case _:
            message = fault["msg"].removeprefix("Value error, ")
            return message.replace("Input should be", "must be").replace("String should", "must")


def _receipt(event: _Event, kind: ReceiptKind, identity: str) -> Receipt:
    """Keep what the event said as canonical JSON: our field order, amounts and times in one form.

    The event's own id and time stay out: a producer that sends again may number anew.
    """
    stated = event.model_dump(by_alias=True, include={"detail_type", "detail"}, exclude_none=True)
    content = json.dumps({"detail-type": stated["detail-type"], **stated["detail"]})
    return Receipt(ReceiptKey(kind, stated["detail"]["organizationId"], identity), content)
