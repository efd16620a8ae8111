"""What the report `explanation` is asked for, and what it answers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from perminute.api.reports.documents import ReportDocument, ShareDocument
from perminute.api.values import Count, Instant, Money
from perminute.domain.credit.ledger import EntryType
from perminute.domain.rating.calls import LegType, MeetingType
from perminute.domain.rating.usage_record import Flag, Outcome
from perminute.domain.reference.licenses import License
from perminute.domain.reporting.explanation import Pending
from perminute.fields import Id, Message, about

Told = Annotated[Instant, about("When the event about it was issued.")]


class ExplanationQuery(Message, frozen=True, kw_only=True):
    """The call that is to be explained."""

    call_id: Id


class InputDocument(Message, frozen=True, kw_only=True):
    """What was reported of the call, and the organizer's country when it was answered."""

    organizer_id: str
    organizer_country: str | None
    meeting_id: str
    meeting_type: MeetingType
    leg_type: LegType
    number: Annotated[
        str | None, about("The number that sets the price, masked for readers without `numbers`.")
    ]
    answered_at: Instant | None
    ended_at: Instant
    connected_seconds: Count
    seconds_from: Annotated[
        str, Meta(description="`times`: from answer to end. `billableSeconds`: the operator's.")
    ]


class LicenseDocument(Message, frozen=True, kw_only=True):
    """A license that the organizer had when the call was answered."""

    license: Annotated[str, about("The part number of the product.")]
    brings: License
    since: Instant
    told: Told
    event_id: str


class SettingDocument(Message, frozen=True, kw_only=True):
    """An attribute of the organizer or of the organization that decides as well."""

    setting: str
    of: Annotated[str, about("`organizer` or `organization`.")]
    value: str | bool | int
    since: Instant
    told: Told
    event_id: str


class CheckDocument(Message, frozen=True, kw_only=True):
    """A condition of a license, in the order of checking."""

    rule: License
    check: str
    holds: bool


class PolicyDocument(Message, frozen=True, kw_only=True):
    """The policy that a call needs, and whether it allowed the call."""

    policy: str
    of: Annotated[str, about("`organizer`, `organization`, or `default` if neither has one.")]
    allows: bool


class EntitlementDocument(Message, frozen=True, kw_only=True):
    """Who had to pay for the call, by what was in force when it was answered."""

    at: Instant
    licenses: list[LicenseDocument]
    settings: list[SettingDocument]
    rule: Annotated[License | None, about("The license by which the call was rated.")]
    checks: list[CheckDocument]
    outcome: Outcome
    reason: str | None
    policy: PolicyDocument | None


class StepDocument(Message, frozen=True, kw_only=True):
    """Billed seconds, from the first to before the second, and what they cost."""

    from_second: Count
    to_second: Count
    rate_per_minute: Money
    increment_seconds: Count
    amount: Money


class ExplainedPriceDocument(Message, frozen=True, kw_only=True):
    """The price by the rate card, paid or not."""

    rate_card_version: str
    prefix: str | None
    country: str | None
    effective_from: Annotated[
        Instant | None,
        about("When the rate takes effect; null if always, or if not known (see `notRecorded`)."),
    ]
    currency: str | None
    rate_per_minute: Annotated[
        Money | None, about("The price of a minute at the start of the call.")
    ]
    connection_fee: Money | None
    initial_increment_seconds: Count
    billed_seconds: Count
    blocks: Annotated[str | None, about("How the connected seconds were rounded up.")]
    steps: Annotated[
        list[StepDocument],
        about("The seconds that credit pays; if it pays none, those of the retail cost."),
    ]
    rounding: Annotated[str | None, about("`exact`, or how the sum of steps was rounded, once.")]
    retail_cost: Money | None


class PoolUseDocument(Message, frozen=True, kw_only=True):
    """The minutes of the pool that the call drew: its first ones."""

    month: Annotated[str, Meta(examples=["2026-11"])]
    minutes: Count
    wanted: Count
    left_before: Annotated[
        Count | None, about("The minutes that were left for this call; null: not recorded.")
    ]


class ChargeDocument(Message, frozen=True, kw_only=True):
    """What credit pays after all movements so far."""

    amount: Money
    currency: str | None
    lots: list[ShareDocument]
    debt: Annotated[Money, about("The part that no lot paid.")]


class BeforeDocument(Message, frozen=True, kw_only=True):
    """What the call was before it was changed."""

    outcome: Outcome
    reason: str | None
    charge: Money
    retail_cost: Money | None
    pool_minutes: Count
    ended_at: Instant
    flags: list[Flag]


class MovementDocument(Message, frozen=True, kw_only=True):
    """The charge, or a change of the call, with its ledger entry if credit paid more or less."""

    entry_id: str | None
    type: EntryType | None
    at: Annotated[Instant | None, about("The time of the entry; if there is none, of the change.")]
    amount: Annotated[
        Money, about("The amount of this call in the entry; negative if credit paid.")
    ]
    cause: str | None
    before: BeforeDocument | None


class DifferenceDocument(Message, frozen=True, kw_only=True):
    """A field of the record that differs from the call rated again, or from its list."""

    field: str
    recorded: str | None
    found: str | None


class ExplanationDocument(ReportDocument, frozen=True, kw_only=True):
    """Why a call cost what it did, by what is recorded, rated again."""

    call_id: str
    organization_id: str
    input: InputDocument
    entitlement: EntitlementDocument
    price: ExplainedPriceDocument
    pool: PoolUseDocument | None
    charge: ChargeDocument
    movements: list[MovementDocument]
    flags: list[Flag]
    pending: Annotated[list[Pending], about("What may still change the call.")]
    not_recorded: Annotated[list[str], about("Fields whose values are not recorded.")]
    agrees: Annotated[bool, about("Whether rating the call again gives what is recorded.")]
    differences: list[DifferenceDocument]
    sentences: list[str]
