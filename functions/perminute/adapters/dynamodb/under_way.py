"""Between calls under way, what was spent of limits, and the rows that hold them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from perminute.adapters.dynamodb import records
from perminute.adapters.dynamodb.rows import (
    CorrectionRow,
    Item,
    ReservationRow,
    SpendingRow,
    UsageRow,
)
from perminute.domain.authorization.reservations import (
    Answer,
    ChargingRequest,
    Decision,
    Held,
    Operation,
    PaidBy,
    Promise,
    Reservation,
    under_way_since,
)
from perminute.domain.credit.credit_settings import FailureHandling
from perminute.domain.limits.spending import (
    LimitName,
    PartOfDay,
    Spending,
    SpendingChange,
    SpendingKey,
    SpendingKind,
)
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute.domain.values.times import format_instant, parse_instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perminute.domain.rating.usage_record import Usage

SPENDING = "spent#"
CORRECTION = "corrected#"
REPORTED_INDEX = "ReportedCallsByChargeTime"
UNDER_WAY_INDEX = "CallsUnderWayByStart"
OUTCOME = "outcome"
"""The attribute of the usage table that a call has once it has ended."""

FORGOTTEN_AFTER = timedelta(days=30)
"""How long a call is known of whose end nobody reports, and that has nothing to be charged."""

_SECOND = timedelta(seconds=1)


def spending_row(organization_id: str, spending: Spending) -> SpendingRow:
    """Write what was spent of a limit."""
    return SpendingRow(
        organization_id=organization_id,
        record=spending_record(spending.key),
        spent_micros=spending.spent_micros,
        corrections=spending.corrections,
        held=records.holds_record(spending.held),
        notified_micros=spending.notified_micros,
        counted_before=spending.counted_before and spending.counted_before.isoformat(),
        part=spending.part and list(spending.part),
    )


def spending_record(key: SpendingKey) -> str:
    """Name the record of what was spent, in few letters: a name of 250 must fit into a key."""
    return f"{SPENDING}{key.kind[0]}#{key.since:%Y%m%dT%H}#{key.subject}"


def spending_of(row: SpendingRow) -> Spending:
    """Read what was spent of a limit."""
    return Spending(
        key=_spending_key(row.record),
        spent_micros=row.spent_micros,
        corrections=row.corrections,
        held=records.holds_of(row.held),
        notified_micros=row.notified_micros,
        counted_before=date.fromisoformat(row.counted_before) if row.counted_before else None,
        part=PartOfDay(*row.part) if row.part else None,
    )


def _spending_key(record: str) -> SpendingKey:
    letter, since, subject = record.removeprefix(SPENDING).split("#", 2)
    kind = next(kind for kind in SpendingKind if kind[0] == letter)
    at = datetime.strptime(since, "%Y%m%dT%H").replace(tzinfo=UTC)
    return SpendingKey(kind, subject, at)


def correction_row(
    organization_id: str, number: int, changes: Sequence[SpendingChange]
) -> CorrectionRow:
    """Write what a correction changed for limits; most move no call, and say nothing of it."""
    return CorrectionRow(
        organization_id=organization_id,
        record=correction_record(number),
        changes=[
            [
                spending_record(key).removeprefix(SPENDING),
                ended_on.isoformat(),
                micros,
                *((1,) if moved else ()),
            ]
            for key, ended_on, micros, moved in changes
        ],
    )


def correction_record(number: int) -> str:
    """Name the record of a correction so that text sorts as numbers do."""
    return f"{CORRECTION}{number:012d}"


def correction_of(row: CorrectionRow) -> tuple[int, list[SpendingChange]]:
    """Read the number of a correction, and what it changed for limits."""
    changes = [
        SpendingChange(_spending_key(key), date.fromisoformat(ended_on), micros, bool(moved))
        for key, ended_on, micros, *moved in row.changes
    ]
    return int(row.record.removeprefix(CORRECTION)), changes


def reservation_row(reservation: Reservation) -> ReservationRow:
    """Write a call under way; what is empty is left out."""
    call, answer, promised = reservation.call, reservation.answer, reservation.promised
    at = call.rated_at
    record = {
        "organizerId": call.organizer_id,
        "meetingId": call.meeting_id,
        "meetingType": call.meeting_type.value,
        "legType": call.leg_type.value,
        "serviceNumber": call.service_number,
        "remoteNumber": call.remote_number,
        "at": format_instant(at),
        "operation": reservation.asked.operation.value,
        "card": reservation.rate_card_version or None,
        "reported": reservation.asked.used_seconds or None,
        "wanted": reservation.wanted_seconds,
        "default": reservation.default_seconds,
        "used": reservation.used_seconds or None,
        "reportedAt": reservation.reported_at and format_instant(reservation.reported_at),
        "promised": promised
        and [(promised.until - records.EPOCH) // records.MINUTE, promised.micros, promised.minutes],
        "keys": [
            [key.kind.value, key.subject, format_instant(key.since)] for key in reservation.keys
        ]
        or None,
        "decision": answer.decision.value,
        "reason": answer.reason,
        "granted": answer.granted_seconds or None,
        "validUntil": answer.valid_until and format_instant(answer.valid_until),
        "reportBefore": answer.report_before and format_instant(answer.report_before),
        "hangUp": answer.hang_up_after_seconds,
        "remaining": answer.remaining_seconds,
        "final": int(answer.final_unit) or None,
        "paidBy": answer.paid_by and answer.paid_by.value,
        "rate": answer.rate_micros_per_minute,
        "fee": answer.connection_fee_micros,
        "currency": answer.currency,
        "limit": answer.limit and answer.limit.value,
        "open": int(answer.failure_handling is FailureHandling.OPEN) or None,
    }
    charge_at, since = reservation.charge_at, under_way_since(reservation)
    return ReservationRow(
        organization_id=call.organization_id,
        call_id=call.call_id,
        sequence=reservation.sequence,
        held=[
            [(until - records.EPOCH) // records.MINUTE, micros, minutes, int(used), calls]
            for until, micros, minutes, used, calls in reservation.held
        ]
        or None,
        charge_at=charge_at and records.due_text(charge_at),
        reservation={name: value for name, value in record.items() if value is not None},
        forget_at=None if charge_at else (at + FORGOTTEN_AFTER - records.EPOCH) // _SECOND,
        under_way_since=since and start_text(since),
    )


def start_text(at: datetime) -> str:
    """Write when a call was authorized so that text sorts as time does: with all six digits."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def reservation_of(row: ReservationRow) -> Reservation:
    """Read a call under way."""
    record: dict[str, Any] = row.reservation
    at = parse_instant(record["at"])
    valid_until, report_before = record.get("validUntil"), record.get("reportBefore")
    reported_at, promised = record.get("reportedAt"), record.get("promised")
    operation = Operation(record["operation"])
    is_over = operation is Operation.RELEASE
    return Reservation(
        call=Call(
            organization_id=row.organization_id,
            call_id=row.call_id,
            organizer_id=record["organizerId"],
            meeting_id=record["meetingId"],
            meeting_type=MeetingType(record["meetingType"]),
            leg_type=LegType(record["legType"]),
            service_number=record.get("serviceNumber"),
            remote_number=record.get("remoteNumber"),
            answered_at=at,
            ended_at=at,
        ),
        asked=ChargingRequest(
            operation=operation,
            sequence=row.sequence,
            requested_seconds=None if is_over else record["wanted"],
            used_seconds=record.get("reported", 0),
        ),
        answer=Answer(
            sequence=row.sequence,
            decision=Decision(record["decision"]),
            reason=record.get("reason"),
            granted_seconds=record.get("granted", 0),
            valid_until=parse_instant(valid_until) if valid_until else None,
            report_before=parse_instant(report_before) if report_before else None,
            hang_up_after_seconds=record.get("hangUp"),
            remaining_seconds=record.get("remaining"),
            final_unit=bool(record.get("final")),
            paid_by=PaidBy(record["paidBy"]) if "paidBy" in record else None,
            rate_micros_per_minute=record.get("rate"),
            connection_fee_micros=record.get("fee"),
            currency=record.get("currency"),
            limit=LimitName(record["limit"]) if "limit" in record else None,
            failure_handling=FailureHandling.OPEN if "open" in record else FailureHandling.CLOSED,
        ),
        rate_card_version=record.get("card", ""),
        wanted_seconds=record["wanted"],
        default_seconds=record["default"],
        used_seconds=record.get("used", 0),
        reported_at=parse_instant(reported_at) if reported_at else None,
        promised=_promise(*promised) if promised else None,
        held=tuple(
            Held(records.EPOCH + until * records.MINUTE, micros, minutes, bool(used), calls)
            for until, micros, minutes, used, calls in row.held or ()
        ),
        keys=tuple(
            SpendingKey(SpendingKind(kind), subject, parse_instant(since))
            for kind, subject, since in record.get("keys", ())
        ),
    )


def _promise(until: int, micros: int, minutes: int) -> Promise:
    return Promise(records.EPOCH + until * records.MINUTE, micros, minutes)


def call_of(item: Item) -> Reservation | Usage:
    """Read an item of the usage table: a call that is under way, or has ended."""
    if OUTCOME in item:
        return records.usage_of(UsageRow.from_raw_data(item))
    return reservation_of(ReservationRow.from_raw_data(item))
