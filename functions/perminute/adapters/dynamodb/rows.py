"""The items of our tables, as pynamodb models: the one place that knows their attributes.

A model here is only a schema; `tables.Table` binds it to the name that the deployment gives.
What a condition, a filter or an export asks for is an attribute of its own. The rest of a record
is one JSON attribute: every attribute costs the SDK some 4 µs on the way out (`make bench`), and
a usage record would have twenty of them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import (
    Attribute,
    BinaryAttribute,
    JSONAttribute,
    ListAttribute,
    UnicodeAttribute,
)
from pynamodb.constants import NUMBER, STRING
from pynamodb.exceptions import AttributeNullError
from pynamodb.models import Model

from perminute.domain.values.times import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping

Item = dict[str, dict[str, Any]]
"""An item as DynamoDB's API has it: by attribute name the type and the value."""


class IntegerAttribute(Attribute[int]):
    """A whole number: pynamodb's own NumberAttribute reads decimals as floats."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        """Write the digits."""
        return str(value)

    def deserialize(self, value: str) -> int:
        """Read the digits; a fraction is a fault of whoever wrote it."""
        return int(value)


class InstantAttribute(Attribute[datetime]):
    """An aware UTC time as RFC 3339."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        """Write it in UTC."""
        return format_instant(value)

    def deserialize(self, value: str) -> datetime:
        """Read it as UTC."""
        return parse_instant(value)


class CompactJSONAttribute(JSONAttribute):
    """JSON without spaces, in its own letters: an item is paid for by the started kilobyte."""

    def serialize(self, value: Any) -> str | None:  # noqa: ANN401 - whatever JSON can say
        """Write it."""
        if value is None:
            return None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def item_of(row: type[Model], values: Mapping[str, Any]) -> Item:
    """Serialize the values of a row without making a model of it first.

    For the usage records of a batch, a model each would cost a third of all the CPU time of a
    charge (`make bench`). The schema is the same; a contract test reads every field back.
    """
    item: Item = {}
    for name, attribute in row.get_attributes().items():
        value = values[name]
        if value is not None:
            item[attribute.attr_name] = {attribute.attr_type: attribute.serialize(value)}
        elif not attribute.null:
            raise AttributeNullError(name)
    return item


class AccountRow(Model):
    """CreditTable, record `account`: the credit of an organization."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    version = IntegerAttribute(default=0)
    licensing_version = IntegerAttribute(default=0, attr_name="licensingVersion")
    user_facts = IntegerAttribute(default=0, attr_name="userFacts")
    entries = IntegerAttribute(default=0)
    balance_micros = IntegerAttribute(default=0, attr_name="balanceMicros")
    debt_micros = IntegerAttribute(default=0, attr_name="debtMicros")
    currency = UnicodeAttribute(null=True)
    credits_set_up_at = InstantAttribute(null=True, attr_name="creditsSetUpAt")
    settings = CompactJSONAttribute(null=True)
    as_of = InstantAttribute(null=True, attr_name="asOf")
    lots = CompactJSONAttribute(null=True)
    further = CompactJSONAttribute(null=True)
    forfeited_at = InstantAttribute(null=True, attr_name="forfeitedAt")
    recharge = CompactJSONAttribute(null=True)
    reserved = CompactJSONAttribute(null=True)
    calls_notified = IntegerAttribute(null=True, attr_name="callsTold")
    days = CompactJSONAttribute(null=True)
    corrections = IntegerAttribute(null=True)
    prefixes_from = IntegerAttribute(null=True, attr_name="prefixesFrom")
    provisional = CompactJSONAttribute(null=True)
    digests_due_at = InstantAttribute(null=True, attr_name="digestsDueAt")
    listed_as = UnicodeAttribute(null=True, attr_name="listedAs")
    due_at = UnicodeAttribute(null=True, attr_name="dueAt")


class EntryRow(Model):
    """CreditTable, record `entry#…`: one movement of the balance, charges aside."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    entry_id = UnicodeAttribute(attr_name="entryId")
    type = UnicodeAttribute()
    amount_micros = IntegerAttribute(attr_name="amountMicros")
    balance_after_micros = IntegerAttribute(attr_name="balanceAfterMicros")
    at = InstantAttribute()
    lots = CompactJSONAttribute(null=True)
    cause = UnicodeAttribute(null=True)
    opens = CompactJSONAttribute(null=True)
    calls = CompactJSONAttribute(null=True)
    producer = CompactJSONAttribute(null=True)


class LotRow(Model):
    """CreditTable, record `lot#…` or `expired#…`: a lot that is not in the account item.

    A further lot, by the instant of its purchase; or one that has expired, by its expiry, with
    what is forfeited of it.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    lot = CompactJSONAttribute()


class ChargebackRow(Model):
    """CreditTable, record `chargeback#…`: how much of a purchase was taken back."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    amount_micros = IntegerAttribute(attr_name="amountMicros")


class PoolRow(Model):
    """CreditTable, record `pool#2026-11`: what calls drew from a month's minutes.

    `unsettled` is there only while calls are to be gone over again, and `step` only if this writing
    asks for it: the stream is filtered by that. What calls draw meanwhile asks nobody again.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    used = CompactJSONAttribute()
    reserved = CompactJSONAttribute(null=True)
    held = CompactJSONAttribute(null=True)
    bound = CompactJSONAttribute(null=True)
    unsettled = CompactJSONAttribute(null=True)
    drawn_from = CompactJSONAttribute(null=True, attr_name="drawnFrom")
    disturbed = CompactJSONAttribute(null=True)
    step = UnicodeAttribute(null=True)
    steps = IntegerAttribute(default=0)
    told = IntegerAttribute(default=0)
    listed_as = UnicodeAttribute(null=True, attr_name="listedAs")
    due_at = UnicodeAttribute(null=True, attr_name="dueAt")
    """Both are there only while it is unsettled: the index finds what nobody was woken for."""


class SpendingRow(Model):
    """CreditTable, record `spent#…`: what was spent of a limit in a period."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    spent_micros = IntegerAttribute(attr_name="spentMicros")
    corrections = IntegerAttribute(default=0)
    held = CompactJSONAttribute(null=True)
    notified_micros = IntegerAttribute(null=True, attr_name="toldMicros")
    counted_before = UnicodeAttribute(null=True, attr_name="countedBefore")
    part = CompactJSONAttribute(null=True)


class CorrectionRow(Model):
    """CreditTable, record `corrected#…`: what one correction changed of what limits count.

    Under the number that the account has of it: a record of a limit takes in those that it lacks.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    changes = CompactJSONAttribute()


class CallListRow(Model):
    """CreditTable, `calls#…`: calls of one transaction, by when the last of them ended.

    It finds the calls of a user or an organization since an instant, by a consistent read. An
    index of the usage table would lag behind, and cost a write unit for each call. If the
    transaction charged something, its ledger entry is in here too: an item of its own would cost
    two more.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    calls = BinaryAttribute(legacy_encoding=False)
    dial_outs = IntegerAttribute(null=True, attr_name="dialOuts")
    """How many of the calls are dial-outs, if any: who settles pools asks for these lists only."""
    entry = CompactJSONAttribute(null=True)


class ReratingRow(Model):
    """CreditTable, record `rerating#…`: calls that are to be looked at again."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    at = InstantAttribute()
    since = CompactJSONAttribute()
    pools_since = InstantAttribute(null=True, attr_name="poolsSince")
    seats_since = InstantAttribute(null=True, attr_name="seatsSince")
    after = UnicodeAttribute(null=True)
    steps = IntegerAttribute(default=0)
    others = IntegerAttribute(default=0)
    producer = CompactJSONAttribute(null=True)
    listed_as = UnicodeAttribute(attr_name="listedAs")
    due_at = UnicodeAttribute(attr_name="dueAt")
    """The index finds what nobody was woken for."""


class OutboxRow(Model):
    """CreditTable, record `outbox#…`: notifications of one transaction.

    `outbox#call#…` are calls that are published only if they are the first of their day and group,
    by that day, until a digest has counted them. `outbox#first#…` is the first of a group, by which
    it is known, and `outbox#digest#…` are digests.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    notifications = CompactJSONAttribute()
    correlation_ids = CompactJSONAttribute(null=True, attr_name="correlationIds")


class CountedCallsRow(Model):
    """CreditTable, record `counted#…`: calls of a digest that is not sent yet, by day and group.

    `started_by` is the id of the notification that was counted first: see `CountedCalls`.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    first = CompactJSONAttribute()
    calls = IntegerAttribute()
    retail_micros = IntegerAttribute(null=True, attr_name="retailMicros")
    currency = UnicodeAttribute(null=True)
    named = CompactJSONAttribute()
    started_by = UnicodeAttribute(attr_name="startedBy")
    step = IntegerAttribute()


class ProcessedEventRow(Model):
    """CreditTable, record `purchase#…`, `adjustment#…`, `recharge#…` or `rechargeFailure#…`.

    A billing event that was booked, or the purchase that paid a recharge. And record `change#…`:
    an event about licenses or settings that was taken in under its `changeId`. If that event does
    not say when it was issued, `issued_at` is the time of its earliest copy, as text that sorts.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    record = UnicodeAttribute(range_key=True)
    content = UnicodeAttribute()
    entry_id = UnicodeAttribute(null=True, attr_name="entryId")
    issued_at = UnicodeAttribute(null=True, attr_name="issuedAt")


class EventRow(Model):
    """EventsTable: an event that is identified by its id alone."""

    event_id = UnicodeAttribute(hash_key=True, attr_name="eventId")
    organization_id = UnicodeAttribute(attr_name="organizationId")
    content = UnicodeAttribute()


class UsageRow(Model):
    """UsageTable: one call, its outcome and what credit paid for it."""

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    call_id = UnicodeAttribute(range_key=True, attr_name="callId")
    organizer_id = UnicodeAttribute(attr_name="organizerId")
    answered_at = InstantAttribute(null=True, attr_name="answeredAt")
    outcome = UnicodeAttribute()
    charge_micros = IntegerAttribute(attr_name="chargeMicros")
    entry_id = UnicodeAttribute(null=True, attr_name="entryId")
    adjustments = CompactJSONAttribute(null=True)
    pool_minutes = IntegerAttribute(null=True, attr_name="poolMinutes")
    record = CompactJSONAttribute()


class ReservationRow(Model):
    """UsageTable: a call that is authorized and has not ended; its usage is written in its place.

    `held` is there only while it has something reserved: then its usage must give that back, and
    cannot be written without knowing it. `charge_at` is there only while it has used something: by
    then an index finds what is to be charged although nobody reports its end. `forget_at` is
    DynamoDB's time to live, for calls of which nobody ever reports anything more; nothing is
    decided by it, and what is to be charged is not forgotten. `under_way_since` is there only from
    the authorization that lets it in to its release: an index lists the calls under way by it.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    call_id = UnicodeAttribute(range_key=True, attr_name="callId")
    sequence = IntegerAttribute(attr_name="sequenceNumber")
    held = CompactJSONAttribute(null=True)
    reservation = CompactJSONAttribute()
    charge_at = UnicodeAttribute(null=True, attr_name="chargeAt")
    forget_at = IntegerAttribute(null=True, attr_name="forgetAt")
    under_way_since = UnicodeAttribute(null=True, attr_name="underWaySince")


class TimelineRow(Model):
    """LicensingTable: the facts about an organization or one of its users, in no order.

    Facts are appended to a subject's first item. What was moved from it lies in further items,
    each of which is written once, never changed, and deleted when its facts move on.
    """

    organization_id = UnicodeAttribute(hash_key=True, attr_name="organizationId")
    subject = UnicodeAttribute(range_key=True)
    facts: ListAttribute[str] = ListAttribute()
    fact_bytes = IntegerAttribute(null=True, attr_name="factBytes")
    """The facts of a first item, in bytes."""
    further = CompactJSONAttribute(null=True)
    """In a first item: the numbers of the subject's further items."""
    rolled = IntegerAttribute(null=True)
    """In a first item: how many further items it ever had. It only grows, so it is the version of
    all that is not appended."""
    folded_until = UnicodeAttribute(null=True, attr_name="foldedUntil")
    """In a first item: before this instant facts are left out, and none is taken any more. Written
    so that text sorts as time does, for a condition compares it."""
