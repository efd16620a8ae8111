"""Source `perminute.licensing`: facts about organizations and their users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from aws_lambda_powertools.utilities.parser import Field
from pydantic import AfterValidator, StrictBool, StrictInt, StringConstraints, TypeAdapter

from perminute.application.apply_licensing import LicensingEvent
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing.dial_out import dial_out_mode
from perminute.domain.licensing.licensing import (
    LicensingChange,
    holds_from,
    license_attribute,
    purchased_attribute,
)
from perminute.domain.licensing.timelines import Fact, FactValue
from perminute.domain.reference.licenses import product_named
from perminute.events.fields import (
    Amount,
    Country,
    Event,
    Id,
    Instant,
    IssuedDetail,
    documented,
    issued_at,
)
from perminute.events.processed_events import processed_change_of

if TYPE_CHECKING:
    from datetime import datetime, timedelta

MAX_NAME_LENGTH = 100
MAX_POOL_MINUTES = 1_000_000_000
"""What an organization may have used of its pool: more is a slip."""

MAX_QUANTITY = 100_000_000
"""Licenses of one organization: more than there are organizers in the world is a slip."""

Product = Annotated[str, AfterValidator(product_named), documented("license")]
DialOutPolicy = Annotated[str, AfterValidator(dial_out_mode), documented("dial-out policy")]


class _LicensingDetail(IssuedDetail):
    effective_at: Instant = Field(
        description="from when it holds; may lie before calls that were charged, at most 400 days "
        "(`ReratingHorizonDays`) before it was issued"
    )


class LicenseDetail(_LicensingDetail):
    """A user and the product that the user gained or lost."""

    user_id: Id = Field(description="whose license it is")
    license: Product = Field(description="what the user gained or lost")


class PurchasedDetail(_LicensingDetail):
    """How many licenses of a product the organization owns by now, in all."""

    license: Product = Field(description="what was bought")
    quantity: StrictInt = Field(ge=0, le=MAX_QUANTITY, description="the new total")


class UserDetail(_LicensingDetail):
    """What changed about a user; what is absent stays as it was."""

    user_id: Id = Field(description="the user that it is about")
    country: Country | None = Field(default=None, description="the usage location")
    dial_out_policy: DialOutPolicy | None = Field(
        default=None,
        description="where calls out of their meetings may go",
    )
    toll_free_dial_in_allowed: StrictBool | None = Field(
        default=None, description="false: toll-free calls to their meetings are flagged"
    )
    monthly_spend_limit: Amount | None = Field(
        default=None, description="what their meetings may cost in a calendar month"
    )


class OrganizationDetail(_LicensingDetail):
    """What changed about an organization; what is absent stays as it was."""

    name: Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH)] | None = Field(
        default=None, description="for people; nothing depends on it"
    )
    licensing_program: Literal["volume", "other"] | None = Field(
        default=None, description="pay-per-minute works with `volume` only"
    )
    communications_credits_license: Literal["perUser", "organization"] | None = Field(
        default=None, description="whether each user needs one, or one is enough for all"
    )
    dial_out_policy: DialOutPolicy | None = Field(
        default=None, description="of users who have none of their own"
    )
    pool_minutes_per_license: Annotated[StrictInt, Field(ge=0, le=1_000_000)] | None = Field(
        default=None, description="minutes a month that each subscription brings; 60 unless set"
    )
    pool_basis: Literal["purchased", "assigned"] | None = Field(
        default=None, description="whether bought or assigned subscriptions bring minutes"
    )
    pool_minutes_used: Annotated[StrictInt, Field(ge=0, le=MAX_POOL_MINUTES)] | None = Field(
        default=None,
        description="minutes of the UTC month of `effectiveAt` that were used in another system",
    )


class _LicensingEvent(Event):
    source: Literal["perminute.licensing"]


class LicenseAssigned(_LicensingEvent):
    """From `effectiveAt` on the user holds the product [changeId or event id]."""

    detail_type: Literal["License Assigned"] = Field(alias="detail-type")
    detail: LicenseDetail


class LicenseRemoved(_LicensingEvent):
    """From `effectiveAt` on the user no longer holds the product [changeId or event id]."""

    detail_type: Literal["License Removed"] = Field(alias="detail-type")
    detail: LicenseDetail


class LicensesPurchased(_LicensingEvent):
    """From `effectiveAt` on so many licenses of a product are owned [changeId or event id]."""

    detail_type: Literal["Licenses Purchased"] = Field(alias="detail-type")
    detail: PurchasedDetail


class UserChanged(_LicensingEvent):
    """From `effectiveAt` on this holds of the user [changeId or event id]."""

    detail_type: Literal["User Changed"] = Field(alias="detail-type")
    detail: UserDetail


class OrganizationChanged(_LicensingEvent):
    """From `effectiveAt` on this holds of the organization [changeId or event id]."""

    detail_type: Literal["Organization Changed"] = Field(alias="detail-type")
    detail: OrganizationDetail


AnyLicensingEvent = (
    LicenseAssigned | LicenseRemoved | LicensesPurchased | UserChanged | OrganizationChanged
)

LICENSING: TypeAdapter[AnyLicensingEvent] = TypeAdapter(
    Annotated[AnyLicensingEvent, Field(discriminator="detail_type")]
)


def licensing_event(event: AnyLicensingEvent, heard_at: datetime | None = None) -> LicensingEvent:
    """Turn the event into the facts that it states about its subject."""
    subject, values = _stated(event)
    processed_event = processed_change_of(event, event.detail)
    issued = issued_at(event, event.detail)
    facts = tuple(
        Fact(
            attribute=attribute,
            value=value,
            effective_at=holds_from(attribute, event.detail.effective_at),
            issued_at=issued,
            event_id=processed_event.key.id,
            has_change_id=processed_event.key.kind is IdentityKind.CHANGE,
        )
        for attribute, value in values.items()
    )
    change = LicensingChange(event.detail.organization_id, subject, facts)
    return LicensingEvent(change, processed_event, heard_at or event.time, event.id)


def check_within_horizon(event: AnyLicensingEvent, horizon: timedelta) -> None:
    """Raise `Refused` if the event takes effect longer before it was issued than is looked back.

    What was issued is judged alike whenever it arrives, and when it is put on a bus again.
    """
    if min(event.time, issued_at(event, event.detail)) - event.detail.effective_at > horizon:
        raise Refused(
            "effectiveAt",
            f"lies more than {horizon.days} days before the event was issued; send the event with "
            "a later effectiveAt, or raise ReratingHorizonDays and redrive it",
        )


def _stated(event: AnyLicensingEvent) -> tuple[str | None, dict[str, FactValue]]:
    match event:
        case LicenseAssigned(detail=detail):
            return detail.user_id, {license_attribute(detail.license): True}
        case LicenseRemoved(detail=detail):
            return detail.user_id, {license_attribute(detail.license): False}
        case LicensesPurchased(detail=detail):
            return None, {purchased_attribute(detail.license): detail.quantity}
        case UserChanged(detail=detail):
            return detail.user_id, _attributes(detail, but={"user_id"})
        case OrganizationChanged(detail=detail):
            return None, _attributes(detail, but=set())
        case never:
            assert_never(never)


def _attributes(detail: _LicensingDetail, *, but: set[str]) -> dict[str, FactValue]:
    """Give what is said of the subject, as it is and not as it is written: amounts in micros."""
    values = {
        field.alias or name: getattr(detail, name)
        for name, field in type(detail).model_fields.items()
        if name not in but and name not in _LicensingDetail.model_fields
    }
    return {name: value for name, value in values.items() if value is not None}
