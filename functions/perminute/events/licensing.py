"""Source `perminute.licensing`: facts about organizations and their users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from msgspec import Meta

from perminute.application.apply_licensing import LicensingEvent
from perminute.domain.credit.transaction import IdentityKind
from perminute.domain.errors import Refused
from perminute.domain.licensing.attributes import FactValue, license_attribute, purchased_attribute
from perminute.domain.licensing.dial_out import dial_out_mode
from perminute.domain.licensing.licensing import LicensingChange, holds_from
from perminute.domain.licensing.timelines import Fact
from perminute.domain.reference.licenses import product_named
from perminute.events.event import (
    Event,
    IssuedDetail,
    Source,
    issued_at,
    processed_event_of,
    read_event,
)
from perminute.fields import Amount, Country, Id, Instant, about
from perminute.parsing import text_type

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from perminute.sqs import Received

MAX_NAME_LENGTH = 100
# More is a slip: an organization has fewer pool minutes, and the world fewer organizers.
MAX_POOL_MINUTES = 1_000_000_000
MAX_QUANTITY = 100_000_000

if TYPE_CHECKING:
    Product: TypeAlias = str
    DialOutPolicy: TypeAlias = str
    Name: TypeAlias = str
else:
    Product = text_type(product_named, "license")
    DialOutPolicy = text_type(dial_out_mode, "dial-out policy")
    Name = text_type(str, maxLength=MAX_NAME_LENGTH)


class LicensingDetail(IssuedDetail, frozen=True, kw_only=True):
    """What every event of this source says."""

    effective_at: Annotated[
        Instant,
        about(
            "when it takes effect: also before calls that were charged, at most 400 days "
            "(`ReratingHorizonDays`) before it was issued"
        ),
    ]


class LicenseDetail(LicensingDetail, frozen=True, kw_only=True):
    """A user and the product that the user gained or lost."""

    user_id: Annotated[Id, about("the user")]
    license: Annotated[Product, about("the product")]


class LicenseAssigned(LicenseDetail, frozen=True, kw_only=True):
    """From `effectiveAt` on the user has the product [changeId or event id]."""


class LicenseRemoved(LicenseDetail, frozen=True, kw_only=True):
    """From `effectiveAt` on the user no longer has the product [changeId or event id]."""


class LicensesPurchased(LicensingDetail, frozen=True, kw_only=True):
    """From `effectiveAt` on the organization owns so many licenses [changeId or event id]."""

    license: Annotated[Product, about("the product")]
    quantity: Annotated[int, Meta(ge=0, le=MAX_QUANTITY, description="the new total")]


class UserChanged(LicensingDetail, frozen=True, kw_only=True):
    """From `effectiveAt` on the user has these attributes [changeId or event id]."""

    user_id: Annotated[Id, about("the user")]
    country: Annotated[Country | None, about("the usage location")] = None
    dial_out_policy: Annotated[
        DialOutPolicy | None, about("where the user's meetings may call out to")
    ] = None
    toll_free_dial_in_allowed: Annotated[
        bool | None, about("false: toll-free calls to the user's meetings are denied, or flagged")
    ] = None
    monthly_spend_limit: Annotated[
        Amount | None, about("what the user's meetings may cost in a UTC month")
    ] = None


class OrganizationChanged(LicensingDetail, frozen=True, kw_only=True):
    """From `effectiveAt` on the organization has these attributes [changeId or event id]."""

    name: Annotated[Name | None, about("shown to people; nothing depends on it")] = None
    licensing_program: Annotated[
        Literal["volume", "other"] | None, about("pay-per-minute requires `volume`")
    ] = None
    communications_credits_license: Annotated[
        Literal["perUser", "organization"] | None,
        about("perUser (default): each organizer needs it; organization: set-up credit is enough"),
    ] = None
    dial_out_policy: Annotated[DialOutPolicy | None, about("of users without one of their own")] = (
        None
    )
    pool_minutes_per_license: Annotated[
        Annotated[int, Meta(ge=0, le=1_000_000)] | None,
        about("minutes a month for each subscription license; by default 60"),
    ] = None
    pool_basis: Annotated[
        Literal["purchased", "assigned"] | None,
        about("which subscription licenses count; by default the purchased ones"),
    ] = None
    pool_minutes_used: Annotated[
        Annotated[int, Meta(ge=0, le=MAX_POOL_MINUTES)] | None,
        about("minutes of the UTC month of `effectiveAt` that were used in another system"),
    ] = None


LICENSING: Source[LicensingDetail] = Source(
    "perminute.licensing",
    {
        "License Assigned": LicenseAssigned,
        "License Removed": LicenseRemoved,
        "Licenses Purchased": LicensesPurchased,
        "User Changed": UserChanged,
        "Organization Changed": OrganizationChanged,
    },
)

_NO_ATTRIBUTES = frozenset({"user_id", *LicensingDetail.__struct_fields__})


def parse_licensing_event(body: str, received: Received, horizon: timedelta) -> LicensingEvent:
    """Parse a licensing event. Raises `Refused`."""
    event = read_event(body, LICENSING, received)
    check_within_horizon(event, horizon)
    return licensing_event(event, received.heard_at)


def licensing_event(
    event: Event[LicensingDetail], heard_at: datetime | None = None
) -> LicensingEvent:
    """Return the facts that an event states about its subject."""
    detail = event.detail
    processed_event = processed_event_of(event)
    issued = issued_at(event, detail)
    facts = tuple(
        Fact(
            attribute=attribute,
            value=value,
            effective_at=holds_from(attribute, detail.effective_at),
            issued_at=issued,
            event_id=processed_event.key.id,
            has_change_id=processed_event.key.kind is IdentityKind.CHANGE,
        )
        for attribute, value in _attributes(detail).items()
    )
    # Facts without a user are about the organization.
    change = LicensingChange(detail.organization_id, getattr(detail, "user_id", None), facts)
    return LicensingEvent(change, processed_event, heard_at or event.time, event.id)


def check_within_horizon(event: Event[LicensingDetail], horizon: timedelta) -> None:
    """Raise `Refused` if an event takes effect longer than `horizon` before it was issued."""
    # What was issued is judged alike whenever it arrives, and when it is put on a bus again.
    if min(event.time, issued_at(event, event.detail)) - event.detail.effective_at > horizon:
        raise Refused(
            "effectiveAt",
            f"lies more than {horizon.days} days before the event was issued; send the event with "
            "a later effectiveAt, or raise ReratingHorizonDays and redrive it",
        )


def _attributes(detail: LicensingDetail) -> dict[str, FactValue]:
    match detail:
        case LicenseAssigned() | LicenseRemoved():
            return {license_attribute(detail.license): isinstance(detail, LicenseAssigned)}
        case LicensesPurchased():
            return {purchased_attribute(detail.license): detail.quantity}
    names = zip(detail.__struct_fields__, detail.__struct_encode_fields__, strict=True)
    values = {
        attribute: getattr(detail, name) for name, attribute in names if name not in _NO_ATTRIBUTES
    }
    return {attribute: value for attribute, value in values.items() if value is not None}
