"""What benchmarks charge: an organization's licensing, its credit and calls that have ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from perminute.application.charge_calls import EndedCall
from perminute.domain.credit.booking import Purchase, purchase
from perminute.domain.credit.lots import twelve_months_after
from perminute.domain.credit.transaction import EventIdentity, IdentityKind, ProcessedEvent
from perminute.domain.licensing.licensing import LicensingChange
from perminute.domain.licensing.timelines import Fact
from perminute.domain.rating.calls import Call, LegType, MeetingType
from perminute_local.packaged import TEMPLATE
from perminute_local.replay.lambda_runtime import Context, SQSMessage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from perminute.domain.credit.accounts import Account
    from perminute.domain.credit.transaction import Transaction
    from perminute.domain.licensing.attributes import FactValue

CONTEXT = Context(function_name="bench", invoked_function_arn="arn:bench")
ORGANIZATION, ORGANIZERS = "contoso", tuple(f"organizer-{n}" for n in range(20))
RATE_CARD = TEMPLATE.parent / "examples" / "day" / "rates.csv"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def facts(values: Mapping[str, FactValue]) -> tuple[Fact, ...]:
    """Return facts that hold since the year began."""
    return tuple(
        Fact(
            attribute=attribute,
            value=value,
            effective_at=SINCE,
            issued_at=SINCE,
            event_id="event-1",
        )
        for attribute, value in values.items()
    )


def licensing_change(
    organization_id: str, user_id: str | None, values: Mapping[str, FactValue]
) -> tuple[LicensingChange, ProcessedEvent]:
    """Return facts about a user or the organization, as a licensing store records them."""
    name = f"{organization_id} {user_id}: {', '.join(values)}"
    identity = EventIdentity(IdentityKind.EVENT, organization_id, name)
    change = LicensingChange(organization_id, user_id, facts(values))
    return change, ProcessedEvent(identity, "{}")


def bought(account: Account, *, micros: int = 10**9, number: int = 0) -> Transaction:
    """Buy credit that does not expire while anybody measures."""
    at = SINCE + timedelta(minutes=number)
    credit = Purchase(
        purchase_id=f"po-{1001 + number}",
        amount_micros=micros,
        currency="USD",
        purchased_at=at,
        expires_at=twelve_months_after(at),
    )
    return purchase(account, credit, at=at, cause=f"purchase#{credit.purchase_id}")


def ended_call(
    organization_id: str, call_id: str, organizer_id: str, answered_at: datetime, seconds: int
) -> EndedCall:
    """Return a dial-out with identifiers that are as long as real ones."""
    ended_at = answered_at + timedelta(seconds=seconds)
    call = Call(
        organization_id=organization_id,
        call_id=call_id,
        organizer_id=organizer_id,
        meeting_id="19:meeting_MzQ0ZjI2YmMtYjBlYi00ZjY4LWI2ZGQ",
        meeting_type=MeetingType.SCHEDULED,
        leg_type=LegType.DIAL_OUT,
        service_number="+493023125100",
        remote_number="+493023125042",
        answered_at=answered_at,
        ended_at=ended_at,
        billable_seconds=seconds,
    )
    return EndedCall(call, ended_at)


def batch(calls: int, organizations: Sequence[str] = (ORGANIZATION,)) -> dict[str, Any]:
    """Return a batch of so many calls, of these organizations in turn, as Lambda receives it."""
    return records(call_ended(n, organizations[n % len(organizations)]) for n in range(calls))


def records(bodies: Iterable[str]) -> dict[str, Any]:
    """Return messages with these bodies, as Lambda receives them."""
    messages = map(SQSMessage, bodies)
    return {"Records": [message.record("arn:aws:sqs:us-east-1:0:calls") for message in messages]}


def call_ended(number: int, organization_id: str) -> str:
    """Return an event with one call, as the bus delivers it."""
    return _event(number, "Call Ended", _call(number, organization_id))


def calls_ended(organization_ids: Sequence[str], calls: int) -> str:
    """Return an event with so many calls of each organization."""
    owners = [*organization_ids] * calls
    return _event(0, "Calls Ended", {"calls": list(map(_call, range(len(owners)), owners))})


def _event(number: int, detail_type: str, detail: dict[str, Any]) -> str:
    event = {
        "version": "0",
        "id": f"4d3c2b1a-0000-4000-8000-{number:012d}",
        "source": "perminute.telephony",
        "detail-type": detail_type,
        "account": "123456789012",
        "time": "2026-11-02T09:31:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }
    # Without spaces, as EventBridge writes JSON.
    return json.dumps(event, separators=(",", ":"))


def _call(number: int, organization_id: str) -> dict[str, Any]:
    return {
        "schemaVersion": "1",
        "organizationId": organization_id,
        # As hard to compress as real identifiers.
        "callId": str(uuid5(NAMESPACE_OID, f"{organization_id}/{number}")),
        "organizerId": ORGANIZERS[number % len(ORGANIZERS)],
        "meetingId": f"meeting-{number % 7}",
        "meetingType": "scheduled",
        "legType": "dialOut",
        "remoteNumber": f"+4930231250{number % 100:02d}",
        "answeredAt": "2026-11-02T09:02:11.417Z",
        "endedAt": "2026-11-02T09:30:59Z",
    }
