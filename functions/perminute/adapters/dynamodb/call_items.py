"""Items of the usage table: a call under way, and the usage that is written in its place."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.json import Encoder, decode

from perminute.adapters.dynamodb.account_items import GRID_INSTANT, SHARES
from perminute.adapters.dynamodb.codec import (
    FLAG,
    FLAG_NUMBER,
    NUMBER,
    PLAIN,
    SECOND,
    SHORT_INSTANT,
    TEXT,
    Field,
    Record,
    as_json,
    enum_of,
    list_of,
    row,
    to_json,
    whole_seconds,
)
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    ReservedPart,
    under_way_since,
)
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.licensing.licensing import NotEntitled
from perminute.domain.limits.spending import LimitName, SpendKey, SpendKind
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.rating.rate_card import SECONDS_PER_MINUTE, Step, Unpriced
from perminute.domain.rating.usage_record import (
    Adjusted,
    Flag,
    Free,
    NotifiedAgain,
    Outcome,
    Price,
    Reason,
    Usage,
)
from perminute.domain.values.times import EPOCH, format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perminute.adapters.dynamodb.codec import Item

REPORTED_INDEX = "ReportedCallsByChargeTime"
UNDER_WAY_INDEX = "CallsUnderWayByStart"
OUTCOME = "outcome"
"""The attribute of the usage table that a call has once it has ended."""
DIGEST = "contentDigest"
"""The attribute of an ended call whose number is masked."""
ERASED = "erased"
FORGET_AT = "forgetAt"
"""DynamoDB's time to live, for calls of which nobody reports anything more: nothing is decided by
it, and what is to be charged is not forgotten."""
FORGOTTEN_AFTER = timedelta(days=30)

_WHOLE_MINUTES = SECONDS_PER_MINUTE, SECONDS_PER_MINUTE
_encode = Encoder().encode
REASONS: dict[str, Reason] = {
    reason.value: reason for kind in (Free, NotEntitled, Unpriced) for reason in kind
}


def call_key(organization_id: str, call_id: str) -> Item:
    return {"organizationId": {"S": organization_id}, "callId": {"S": call_id}}


def call_of(item: Item) -> Reservation | Usage:
    return usage_of(item) if OUTCOME in item else reservation_of(item)


# ── Ended calls ──────────────────────────────────────────────────────────────────────────────
# Written by hand: a batch writes 90 of them, and by a table of fields each would take twice as
# long (`make bench`).


class _Record(Struct, rename="camel", omit_defaults=True, kw_only=True):
    # What a usage item stores as JSON text; what has its default is left out.
    meeting_id: str
    meeting_type: MeetingType
    leg_type: LegType
    service_number: str | None = None
    remote_number: str | None = None
    ended_at: datetime
    billable_seconds: int | None = None
    exact_seconds: int | None = None
    reason: str | None = None
    flags: tuple[Flag, ...] = ()
    lots: list[Any] | None = None
    draws_on_pool: bool = False
    reserved_minutes: int = 0
    notifications_held: bool = False
    notified_again: tuple[NotifiedAgain, ...] = ()
    authorized_at: datetime | None = None
    rate_card_version: str
    billed_seconds: int
    prefix: str | None = None
    country: str | None = None
    rate_micros_per_minute: int | None = None
    connection_fee_micros: int | None = None
    retail_micros: int | None = None
    currency: str | None = None
    unpriced: Unpriced | None = None
    increments: tuple[int, int] | None = None  # the first and the others, unless whole minutes
    later_steps: tuple[Step, ...] = ()


def usage_item(usage: Usage) -> Item:
    """Write a usage; what is empty is left out."""
    call = usage.call
    item = {
        **call_key(call.organization_id, call.call_id),
        "organizerId": {"S": call.organizer_id},
        OUTCOME: {"S": usage.outcome.value},
        "chargeMicros": {"N": str(usage.charge_micros)},
        "record": {"S": record_text(usage)},
    }
    if call.answered_at is not None:
        item["answeredAt"] = {"S": format_instant(call.answered_at)}
    if usage.entry_id is not None:
        item["entryId"] = {"S": usage.entry_id}
    if usage.adjustments:
        item["adjustments"] = {"S": to_json(usage.adjustments)}
    if usage.pool_minutes:
        item["poolMinutes"] = {"N": str(usage.pool_minutes)}
    if usage.content_digest is not None:
        item[DIGEST] = {"S": usage.content_digest}
    if usage.is_erased:
        item[ERASED] = FLAG_NUMBER.write(True)  # noqa: FBT003 - a value to write
    return item


def record_text(usage: Usage) -> str:
    """Return a usage item as JSON text; two texts are equal if the same is recorded."""
    call, price = usage.call, usage.price
    increments = price.initial_increment_seconds, price.increment_seconds
    record = _Record(
        meeting_id=call.meeting_id,
        meeting_type=call.meeting_type,
        leg_type=call.leg_type,
        service_number=call.service_number,
        remote_number=call.remote_number,
        ended_at=call.ended_at,
        billable_seconds=call.billable_seconds,
        exact_seconds=call.exact_seconds,
        reason=usage.reason,
        flags=usage.flags,
        lots=SHARES.write(usage.lots) or None,
        draws_on_pool=usage.draws_on_pool,
        reserved_minutes=usage.reserved_minutes,
        notifications_held=usage.notifications_held,
        notified_again=usage.notified_again,
        authorized_at=usage.authorized_at,
        rate_card_version=price.rate_card_version,
        billed_seconds=price.billed_seconds,
        prefix=price.prefix,
        country=price.country,
        rate_micros_per_minute=price.rate_micros_per_minute,
        connection_fee_micros=price.connection_fee_micros,
        retail_micros=price.retail_micros,
        currency=price.currency,
        unpriced=price.unpriced,
        increments=None if increments == _WHOLE_MINUTES else increments,
        later_steps=price.later_steps,
    )
    return _encode(record).decode()


def movements_of(item: Item) -> Iterator[tuple[str | None, int]]:
    """Read of a usage only by which entries its charge came about, as `Usage.movements`."""
    first_micros = int(item["chargeMicros"]["N"])
    for entry, micros in _adjustments(item):
        yield entry, micros
        first_micros -= micros
    yield item["entryId"]["S"] if "entryId" in item else None, first_micros


def usage_of(item: Item) -> Usage:
    record = decode(item["record"]["S"], type=_Record)
    answered_at = parse_instant(item["answeredAt"]["S"]) if "answeredAt" in item else None
    return Usage(
        call=Call(
            organization_id=item["organizationId"]["S"],
            call_id=item["callId"]["S"],
            organizer_id=item["organizerId"]["S"],
            meeting_id=record.meeting_id,
            meeting_type=record.meeting_type,
            leg_type=record.leg_type,
            service_number=record.service_number,
            remote_number=record.remote_number,
            answered_at=answered_at,
            ended_at=record.ended_at,
            billable_seconds=record.billable_seconds,
            exact_seconds=record.exact_seconds,
        ),
        outcome=Outcome(item[OUTCOME]["S"]),
        reason=None if record.reason is None else REASONS[record.reason],
        price=_price(record),
        charge_micros=int(item["chargeMicros"]["N"]),
        pool_minutes=int(item["poolMinutes"]["N"]) if "poolMinutes" in item else 0,
        draws_on_pool=record.draws_on_pool,
        reserved_minutes=record.reserved_minutes,
        notifications_held=record.notifications_held,
        notified_again=record.notified_again,
        authorized_at=record.authorized_at,
        flags=record.flags,
        entry_id=item["entryId"]["S"] if "entryId" in item else None,
        adjustments=_adjustments(item),
        lots=SHARES.read(record.lots or ()),
        content_digest=item[DIGEST]["S"] if DIGEST in item else None,
        is_erased=ERASED in item,
    )


def _adjustments(item: Item) -> tuple[Adjusted, ...]:
    stored = decode(item["adjustments"]["S"]) if "adjustments" in item else ()
    return tuple(Adjusted(*adjustment) for adjustment in stored)


def _price(record: _Record) -> Price:
    initial_increment, increment = record.increments or _WHOLE_MINUTES
    return Price(
        rate_card_version=record.rate_card_version,
        billed_seconds=record.billed_seconds,
        prefix=record.prefix,
        country=record.country,
        rate_micros_per_minute=record.rate_micros_per_minute,
        connection_fee_micros=record.connection_fee_micros,
        retail_micros=record.retail_micros,
        currency=record.currency,
        unpriced=record.unpriced,
        initial_increment_seconds=initial_increment,
        increment_seconds=increment,
        later_steps=record.later_steps,
        # Stored once, as the flag.
        is_prefix_uncertain=Flag.PREFIX_UNCERTAIN in record.flags,
    )


# ── Calls under way ──────────────────────────────────────────────────────────────────────────

_CALL = Record(
    Call,
    organizer_id=PLAIN,
    meeting_id=PLAIN,
    meeting_type=enum_of(MeetingType),
    leg_type=enum_of(LegType),
    service_number=PLAIN,
    remote_number=PLAIN,
)
_REQUEST = Record(
    ChargingRequest,
    operation=enum_of(Operation),
    requested_seconds=Field(PLAIN, "requested"),
    used_seconds=Field(PLAIN, "reported"),
)
_ANSWER = Record(
    Answer,
    decision=enum_of(Decision),
    reason=PLAIN,
    granted_seconds=Field(PLAIN, "granted"),
    valid_until=SHORT_INSTANT,
    report_before=SHORT_INSTANT,
    hang_up_after_seconds=Field(PLAIN, "hangUp"),
    remaining_seconds=Field(PLAIN, "remaining"),
    final_unit=Field(FLAG, "final"),
    paid_by=enum_of(PaidBy),
    rate_micros_per_minute=Field(PLAIN, "rate"),
    connection_fee_micros=Field(PLAIN, "fee"),
    currency=PLAIN,
    limit=enum_of(LimitName),
    failure_handling=Field(enum_of(FailureHandling), "onFailure"),
)
_RESERVATION = Record(
    Reservation,
    rate_card_version=Field(PLAIN, "card"),
    wanted_seconds=Field(PLAIN, "wanted"),
    default_seconds=Field(PLAIN, "default"),
    used_seconds=Field(PLAIN, "used"),
    reported_at=SHORT_INSTANT,
    promised=row(Promise, until=GRID_INSTANT, micros=PLAIN, minutes=PLAIN),
    limit_keys=list_of(row(SpendKey, kind=enum_of(SpendKind), subject=PLAIN, since=SHORT_INSTANT)),
)
_HELD = as_json(
    list_of(
        row(ReservedPart, until=GRID_INSTANT, micros=PLAIN, minutes=PLAIN, used=FLAG, calls=PLAIN)
    )
)
_PARTS = as_json()


def reservation_item(reservation: Reservation) -> Item:
    """Write a call under way.

    `held` is there only while it has something reserved: then its usage must give that back, and
    cannot be written without knowing it. `chargeAt` and `underWaySince` put it into indexes: of
    calls that have used something, and of those that were authorized and are not released.
    """
    call = reservation.call
    at = call.rated_at
    item = {
        **call_key(call.organization_id, call.call_id),
        "sequenceNumber": NUMBER.write(reservation.sequence),
        "reservation": _PARTS.write(
            {
                "at": SHORT_INSTANT.write(at),
                **_CALL.write(call),
                **_REQUEST.write(reservation.last_request),
                **_ANSWER.write(reservation.answer),
                **_RESERVATION.write(reservation),
            }
        ),
    }
    if reservation.held:
        item["held"] = _HELD.write(reservation.held)
    if reservation.charge_at:
        item["chargeAt"] = TEXT.write(whole_seconds(reservation.charge_at))
    else:
        item[FORGET_AT] = NUMBER.write((at + FORGOTTEN_AFTER - EPOCH) // SECOND)
    if since := under_way_since(reservation):
        item["underWaySince"] = TEXT.write(start_text(since))
    return item


def start_text(at: datetime) -> str:
    """Write when a call was authorized so that text sorts as time does: with all six digits."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def reservation_of(item: Item) -> Reservation:
    stored = _PARTS.read(item["reservation"])
    sequence, at = NUMBER.read(item["sequenceNumber"]), SHORT_INSTANT.read(stored["at"])
    call = _CALL.read(
        stored,
        organization_id=item["organizationId"]["S"],
        call_id=item["callId"]["S"],
        answered_at=at,
        ended_at=at,
    )
    return _RESERVATION.read(
        stored,
        call=call,
        last_request=_REQUEST.read(stored, sequence=sequence),
        answer=_ANSWER.read(stored, sequence=sequence),
        held=_HELD.read(item["held"]) if "held" in item else (),
    )
