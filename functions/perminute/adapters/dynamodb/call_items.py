"""Items of the usage table: a call under way, and the usage that is written in its place."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb.account_items import GRID_INSTANT, SHARES
from perminute.adapters.dynamodb.codec import (
    EPOCH,
    FLAG,
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
from perminute.domain.values.times import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from perminute.adapters.dynamodb.codec import Item

REPORTED_INDEX = "ReportedCallsByChargeTime"
UNDER_WAY_INDEX = "CallsUnderWayByStart"
OUTCOME = "outcome"
"""The attribute of the usage table that a call has once it has ended."""
FORGET_AT = "forgetAt"
"""DynamoDB's time to live, for calls of which nobody reports anything more: nothing is decided by
it, and what is to be charged is not forgotten."""
FORGOTTEN_AFTER = timedelta(days=30)

_WHOLE_MINUTES = [SECONDS_PER_MINUTE, SECONDS_PER_MINUTE]
_REASONS: dict[str, Reason] = {
    reason.value: reason for kind in (Free, NotEntitled, Unpriced) for reason in kind
}


def call_key(organization_id: str, call_id: str) -> Item:
    return {"organizationId": {"S": organization_id}, "callId": {"S": call_id}}


def call_of(item: Item) -> Reservation | Usage:
    return usage_of(item) if OUTCOME in item else reservation_of(item)


# ── Ended calls ──────────────────────────────────────────────────────────────────────────────
# Written by hand: a batch writes 96 of them, and by a table of fields each would take twice as
# long (`make bench`).


def usage_item(usage: Usage) -> Item:
    """Write a usage; what is empty is left out."""
    call, price = usage.call, usage.price
    record = {
        "meetingId": call.meeting_id,
        "meetingType": call.meeting_type.value,
        "legType": call.leg_type.value,
        "serviceNumber": call.service_number,
        "remoteNumber": call.remote_number,
        "endedAt": format_instant(call.ended_at),
        "billableSeconds": call.billable_seconds,
        "exactSeconds": call.exact_seconds,
        "reason": usage.reason and usage.reason.value,
        "flags": [flag.value for flag in usage.flags] or None,
        "lots": SHARES.write(usage.lots) or None,
        "drawsOnPool": usage.draws_on_pool or None,
        "reservedMinutes": usage.reserved_minutes or None,
        "notificationsHeld": usage.notifications_held or None,
        "notifiedAgain": usage.notified_again or None,
        "authorizedAt": usage.authorized_at and format_instant(usage.authorized_at),
        "rateCardVersion": price.rate_card_version,
        "billedSeconds": price.billed_seconds,
        "prefix": price.prefix,
        "country": price.country,
        "rateMicrosPerMinute": price.rate_micros_per_minute,
        "connectionFeeMicros": price.connection_fee_micros,
        "retailMicros": price.retail_micros,
        "currency": price.currency,
        "unpriced": price.unpriced and price.unpriced.value,
        "increments": _increments(price),
        "laterSteps": price.later_steps or None,
    }
    item = {
        **call_key(call.organization_id, call.call_id),
        "organizerId": {"S": call.organizer_id},
        OUTCOME: {"S": usage.outcome.value},
        "chargeMicros": {"N": str(usage.charge_micros)},
        "record": {"S": to_json({k: value for k, value in record.items() if value is not None})},
    }
    if call.answered_at is not None:
        item["answeredAt"] = {"S": format_instant(call.answered_at)}
    if usage.entry_id is not None:
        item["entryId"] = {"S": usage.entry_id}
    if usage.adjustments:
        item["adjustments"] = {"S": to_json(usage.adjustments)}
    if usage.pool_minutes:
        item["poolMinutes"] = {"N": str(usage.pool_minutes)}
    return item


def _increments(price: Price) -> list[int] | None:
    increments = [price.initial_increment_seconds, price.increment_seconds]
    return None if increments == _WHOLE_MINUTES else increments


def movements_of(item: Item) -> Iterator[tuple[str | None, int]]:
    """Read of a usage only by which entries its charge came about, as `Usage.movements`."""
    first_micros = int(item["chargeMicros"]["N"])
    for entry, micros in json.loads(item["adjustments"]["S"]) if "adjustments" in item else ():
        yield entry, micros
        first_micros -= micros
    yield item["entryId"]["S"] if "entryId" in item else None, first_micros


def usage_of(item: Item) -> Usage:
    record: dict[str, Any] = json.loads(item["record"]["S"])
    reason, authorized_at = record.get("reason"), record.get("authorizedAt")
    adjustments = json.loads(item["adjustments"]["S"]) if "adjustments" in item else ()
    return Usage(
        call=_ended_call(item, record),
        outcome=Outcome(item[OUTCOME]["S"]),
        reason=_REASONS[reason] if reason else None,
        price=_price(record),
        charge_micros=int(item["chargeMicros"]["N"]),
        pool_minutes=int(item["poolMinutes"]["N"]) if "poolMinutes" in item else 0,
        draws_on_pool=record.get("drawsOnPool", False),
        reserved_minutes=record.get("reservedMinutes", 0),
        notifications_held=record.get("notificationsHeld", False),
        notified_again=tuple(NotifiedAgain(*again) for again in record.get("notifiedAgain", ())),
        authorized_at=parse_instant(authorized_at) if authorized_at else None,
        flags=tuple(map(Flag, record.get("flags", ()))),
        entry_id=item["entryId"]["S"] if "entryId" in item else None,
        adjustments=tuple(Adjusted(*adjustment) for adjustment in adjustments),
        lots=SHARES.read(record.get("lots", ())),
    )


def _ended_call(item: Item, record: Mapping[str, Any]) -> Call:
    return Call(
        organization_id=item["organizationId"]["S"],
        call_id=item["callId"]["S"],
        organizer_id=item["organizerId"]["S"],
        meeting_id=record["meetingId"],
        meeting_type=MeetingType(record["meetingType"]),
        leg_type=LegType(record["legType"]),
        service_number=record.get("serviceNumber"),
        remote_number=record.get("remoteNumber"),
        answered_at=parse_instant(item["answeredAt"]["S"]) if "answeredAt" in item else None,
        ended_at=parse_instant(record["endedAt"]),
        billable_seconds=record.get("billableSeconds"),
        exact_seconds=record.get("exactSeconds"),
    )


def _price(record: Mapping[str, Any]) -> Price:
    unpriced = record.get("unpriced")
    initial_increment, increment = record.get("increments", _WHOLE_MINUTES)
    return Price(
        rate_card_version=record["rateCardVersion"],
        billed_seconds=record["billedSeconds"],
        prefix=record.get("prefix"),
        country=record.get("country"),
        rate_micros_per_minute=record.get("rateMicrosPerMinute"),
        connection_fee_micros=record.get("connectionFeeMicros"),
        retail_micros=record.get("retailMicros"),
        currency=record.get("currency"),
        unpriced=Unpriced(unpriced) if unpriced else None,
        initial_increment_seconds=initial_increment,
        increment_seconds=increment,
        later_steps=tuple(Step(*step) for step in record.get("laterSteps", ())),
        # Stored once, as the flag.
        is_prefix_uncertain=Flag.PREFIX_UNCERTAIN in record.get("flags", ()),
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
